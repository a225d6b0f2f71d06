"""Bytes to ids: decoding, file formats, songs, the split and the vocabulary."""
