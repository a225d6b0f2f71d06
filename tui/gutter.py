"""What stands beside a draft's lines: how long each is, and which rhyme."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from engine.errors import LyricError
from engine.writing.form import Form
from engine.writing.rhyme import Language, letters_of, line_syllables
from engine.writing.rules import is_sung


@dataclass(frozen=True, slots=True)
class Beside:
    """Of one line: "7" or "6/7" where a form asks for another length, and its rhyme letter, with a
    "?" where the form asks for that letter and the line does not rhyme."""

    length: str = ""
    off: bool = False
    letter: str = ""


def beside(texts: Sequence[str], indexes: Sequence[int], form: Form | None) -> list[Beside]:
    """For each line what stands beside it; `indexes` say which line of the form each is. Blank
    lines have nothing."""
    language = _language_of(texts, form)
    asked = [
        form.lines[index] if form is not None and index < len(form.lines) else None
        for index in indexes
    ]
    count = counter(texts, form)
    letters = _letters(tuple(texts), language, form)
    wanted = [demand.rhyme if demand is not None else "" for demand in asked]
    found = []
    for place, (text, demand) in enumerate(zip(texts, asked, strict=True)):
        if not text.strip():
            found.append(Beside())
            continue
        length = count(text)
        goal = sum(demand.length) if demand is not None else 0
        off = bool(goal) and length is not None and length != goal
        said = "" if length is None else f"{length}/{goal}" if off else str(length)
        found.append(Beside(said, off, _letter(place, letters, wanted)))
    return found


def counter(texts: Sequence[str], form: Form | None) -> Callable[[str], int | None]:
    """What gives the length of a line among such lines: its sung characters, or its syllables, None
    where the dictionary is missing."""
    unit = "auto" if form is None else form.unit
    if unit == "syllables" or (unit == "auto" and _language_of(texts, form) == "english"):
        own = () if form is None else form.syllables
        return lambda text: _syllables(text, own)
    return lambda text: sum(map(is_sung, text))


def _language_of(texts: Sequence[str], form: Form | None) -> Language:
    """What the lines rhyme by: English where most of their letters are Latin."""
    letters = [text for text in texts if text.strip()]
    latin = sum(map(_latin, letters))
    if 2 * latin > len(letters):
        return "english"
    return "十三辙" if form is None else form.rhymes


@lru_cache(4096)
def _latin(text: str) -> bool:
    found = [unicodedata.name(character, "").split()[:1] for character in text]
    return found.count(["LATIN"]) > found.count(["CJK"])


@lru_cache(4096)
def _syllables(text: str, own: tuple[tuple[str, int], ...]) -> int | None:
    try:
        return line_syllables(text, dict(own)).count
    except LyricError:  # the extra is not installed
        return None


@lru_cache(64)
def _letters(texts: tuple[str, ...], language: Language, form: Form | None) -> list[str]:
    tones, slant = (False, False) if form is None else (form.tones, form.slant)
    try:
        return [letter or "" for letter in letters_of(texts, language, tones=tones, slant=slant)]
    except LyricError:
        return [""] * len(texts)


def _letter(place: int, letters: Sequence[str], wanted: Sequence[str]) -> str:
    """The letter of a line's rhyme, or the one that is asked for and not met."""
    if not wanted[place]:
        return letters[place]
    others = [other for other, letter in enumerate(wanted) if letter == wanted[place]]
    partners = [letters[other] for other in others if other != place and other < len(letters)]
    if not partners or (letters[place] and letters[place] in partners):
        return wanted[place]
    return wanted[place] + "?"
