"""How words sound: the finals of Mandarin, the phonemes and syllables of English."""
