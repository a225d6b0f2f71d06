"""JSON and JSON Lines: objects that hold a poem or a song, as the chinese-poetry collection has
them."""

from __future__ import annotations

import json
from collections.abc import Iterator

from engine.corpus.passage import Passage
from engine.corpus.readers.lines import lines
from engine.errors import CorpusError

LONGEST_FILE = 2**28  # characters of a JSON file, which is read whole
LONGEST_LINE = 2**24  # characters of a line of JSON Lines
_LONGEST_TITLE = _LONGEST_FACT = 200  # characters; what is longer is no title and no fact
_LONGEST_KEY = 40
_MOST_FACTS = 16  # of a song: a corpus may have millions

# What holds the words, and what names them: the first that an object has.
_WORDS = ("paragraphs", "content", "para", "lyrics", "lyric", "text", "lines")
_TITLES = ("title", "rhythmic", "name", "song", "chapter")
_NO_FACTS = {*_WORDS, "title", "name", "song"}


def read_json(pieces: Iterator[str], name: str) -> Iterator[Passage]:
    """A song for every object with words, however deep it lies; each sentence is a line.

    Words are a text or a list of texts under `paragraphs`, `content`, `para`, `lyrics`, `lyric`,
    `text` or `lines`. A poem without a title is called by its tune (`rhythmic`) or chapter. Other
    short texts are facts. Raises CorpusError for what is no JSON, is longer than `LONGEST_FILE`
    characters, or has no words.
    """
    found = False
    for passage in _songs(_value(_whole(pieces, name), name)):
        found = True
        yield passage
    if not found:
        raise _no_words(name)


def read_jsonl(pieces: Iterator[str], name: str) -> Iterator[Passage]:
    """Like `read_json`, but with JSON in every line that is not blank. Raises CorpusError that
    names the line."""
    found = False
    for number, line in enumerate(lines(pieces, name, LONGEST_LINE), start=1):
        if not line.isspace():
            for passage in _songs(_value(line, name, number)):
                found = True
                yield passage
    if not found:
        raise _no_words(name)


def _whole(pieces: Iterator[str], name: str) -> str:
    held: list[str] = []
    length = 0
    for piece in pieces:
        held.append(piece)
        length += len(piece)
        if length > LONGEST_FILE:
            raise CorpusError(
                f"{name} is longer than JSON is read ({LONGEST_FILE:,} characters): save it as "
                "JSON Lines (.jsonl), one object a line."
            )
    return "".join(held)


def _value(text: str, name: str, line: int | None = None) -> object:
    """What JSON stands for; `line` is where it is, if it is a line of a file."""
    it = "it" if line is None else f"line {line:,}"
    try:
        value: object = json.loads(text, strict=False)  # control characters are left as they are
    except json.JSONDecodeError as error:
        problem = f"line {line or error.lineno:,}, column {error.colno:,}: {error.msg}"
    except RecursionError:
        problem = f"{it} is nested too deeply"
    except ValueError:
        problem = f"{it} holds a number of thousands of digits"
    else:
        return value
    kind, remedy = "JSON", "mend it, or name it .jsonl if every line is an object of its own"
    if line is not None:
        kind, remedy = "JSON Lines", "mend that line or take it out"
    raise CorpusError(f"{name} cannot be read as {kind} ({problem}): {remedy}.")


def _songs(value: object) -> Iterator[Passage]:
    waiting = [value]
    while waiting:  # a stack, not recursion: JSON may be nested nearly to Python's limit
        found = waiting.pop()
        if isinstance(found, dict):
            if words := _words(found):
                yield Passage(words, _title(found), _facts(found))
                continue
            found = list(found.values())
        if isinstance(found, list):
            waiting += [each for each in reversed(found) if isinstance(each, dict | list)]


def _words(song: dict[str, object]) -> str:
    for key in _WORDS:
        value = song.get(key)
        if isinstance(value, list):
            if any(isinstance(each, dict) for each in value):
                return ""  # a book, and these are its poems
            value = "\n".join(each for each in value if isinstance(each, str))
        if isinstance(value, str) and value.strip():
            return _whole_characters(value)
    return ""


def _title(song: dict[str, object]) -> str:
    titles = (_short(song.get(key), _LONGEST_TITLE) for key in _TITLES)
    return next((title for title in titles if title), "")


def _facts(song: dict[str, object]) -> dict[str, str]:
    facts: dict[str, str] = {}
    for key, value in song.items():
        fact = _short(value, _LONGEST_FACT)
        if fact and key not in _NO_FACTS and len(key) <= _LONGEST_KEY and len(facts) < _MOST_FACTS:
            facts[_whole_characters(key)] = fact
    return facts


def _short(value: object, longest: int) -> str:
    """A text with its white space made single, empty where it is none or longer than that."""
    if not isinstance(value, str) or len(value) > longest:
        return ""
    return _whole_characters(" ".join(value.split()))


def _whole_characters(text: str) -> str:
    """The text with U+FFFD for halves of surrogate pairs, which JSON can escape."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _no_words(name: str) -> CorpusError:
    return CorpusError(
        f"{name} has no object with words under {', '.join(_WORDS[:-1])} or {_WORDS[-1]}: name "
        "what holds them so, or save the songs as plain text."
    )
