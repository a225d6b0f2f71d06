"""What a reader makes of a file: pieces of text with what is known about them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Passage:
    """One song, where it has a `title` (which may be empty); with None, any number of songs that
    blank lines separate, or a part of them: one text in several passages is their sum. Line ends
    are `\\n`, but those of a song with a title may be any.

    `facts` are what the file says of the song beside its words: artist, author, language, form.
    """

    text: str = field(repr=False)
    title: str | None = None
    facts: Mapping[str, str] = field(default_factory=dict)


# Takes the text of a file in pieces (`\n` line ends, no byte order mark) and the name that errors
# call it. Raises CorpusError where the file is not of its format.
Reader = Callable[[Iterator[str], str], Iterator[Passage]]
