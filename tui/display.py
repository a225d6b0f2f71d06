"""The only door from data to the screen: makes any text safe to show, and numbers easy to read."""

from __future__ import annotations

import math
import re
import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from rich.cells import cell_len, get_character_cell_size

if TYPE_CHECKING:
    from textual.content import Content

ELLIPSIS = "…"
NO_VALUE = "–"
DOTTED_CIRCLE = "◌"
"""What a combining mark is put on when it has no character to stand on."""

_MARKS_PER_CHARACTER = 8
"""More marks than this on one character go to a dotted circle of their own: a model that repeats
one mark forever would otherwise write without end into a single cell."""

# Characters that steer the terminal, reorder the line or take no room. They are the C0 and C1
# controls, Unicode's Cf, Cs, Zl and Zp, its Default_Ignorable_Code_Point property and the
# noncharacters. Written out, because scanning unicodedata costs 100 ms at every start, and because
# the table that comes with an older Python would let newer ones pass. The variation selectors
# belong here too: they are invisible, and terminals disagree about the width that they make.
_HIDDEN: tuple[tuple[int, int], ...] = (
    (0x00, 0x1F),
    (0x7F, 0x9F),
    (0xAD, 0xAD),
    (0x034F, 0x034F),
    (0x0600, 0x0605),
    (0x061C, 0x061C),
    (0x06DD, 0x06DD),
    (0x070F, 0x070F),
    (0x0890, 0x0891),
    (0x08E2, 0x08E2),
    (0x115F, 0x1160),
    (0x17B4, 0x17B5),
    (0x180B, 0x180F),
    (0x200B, 0x200F),
    (0x2028, 0x202E),
    (0x2060, 0x206F),
    (0x3164, 0x3164),
    (0xD800, 0xDFFF),
    (0xFDD0, 0xFDEF),
    (0xFE00, 0xFE0F),
    (0xFEFF, 0xFEFF),
    (0xFFA0, 0xFFA0),
    (0xFFF0, 0xFFFB),
    (0xFFFE, 0xFFFF),
    (0x110BD, 0x110BD),
    (0x110CD, 0x110CD),
    (0x13430, 0x1343F),
    (0x1BCA0, 0x1BCA3),
    (0x1D173, 0x1D17A),
    *((plane | 0xFFFE, plane | 0xFFFF) for plane in range(0x10000, 0x110000, 0x10000)),
    (0xE0000, 0xE0FFF),
)


@lru_cache(4096)
def _picture(character: str) -> str:
    """The character itself, or what stands for it if it must not reach the terminal."""
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "␡"
    if 0x80 <= code <= 0x9F:
        return f"‹{code:02X}›"
    if any(first <= code <= last for first, last in _HIDDEN):
        return f"‹U+{code:04X}›"
    return character


# Where hidden characters, marks and other characters of no width are found, roughly: what matches
# is looked at one by one. All beyond the basic plane is in it, because a character class that lists
# ranges up there is 15 times slower for everybody.
_DOUBTFUL = (
    r"\x7f-\x9f\xad\u0300-\u036f\u0483-\u0489\u0591-\u1fff\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    r"\u20d0-\u20ff\u2cef-\u2cf1\u2d7f\u2de0-\u2dff\u302a-\u302f\u3099\u309a\u3164\ua66f-\uabff"
    r"\ud7b0-\udfff\ufb1e\ufdd0-\ufdef\ufe00-\ufe0f\ufe20-\ufe2f\ufeff\uffa0\ufff0-\uffff"
    r"\U00010000-\U0010ffff"
)


def _runs_of(characters: str) -> re.Pattern[str]:
    # Written twice instead of "+": only a leading class lets the engine skip quickly.
    return re.compile(f"[{characters}][{characters}]*")


_DOUBTFUL_RUN = _runs_of(r"\x00-\x1f" + _DOUBTFUL)
_DOUBTFUL_RUN_IN_LINES = _runs_of(r"\x00-\x09\x0b-\x1f" + _DOUBTFUL)


def _show(match: re.Match[str]) -> str:
    start = match.start()
    has_base = start > 0 and match.string[start - 1] != "\n"
    marks = 0 if has_base else _MARKS_PER_CHARACTER
    shown: list[str] = []
    for character in match[0]:
        picture = _picture(character)
        if picture == character and get_character_cell_size(character) == 0:
            if marks == _MARKS_PER_CHARACTER:
                shown.append(DOTTED_CIRCLE)
                marks = 0
            marks += 1
        else:
            marks = 0
        shown.append(picture)
    return "".join(shown)


def visible(text: str, *, newlines: bool = False) -> str:
    """The text with everything that a terminal would obey, hide or reorder as a visible picture.

    Control characters become ␀ to ␡ (a tab is ␉: one cell, wherever it stands) or ‹9B›; the
    invisible, the bidirectional and the undecodable become ‹U+202E›. With `newlines`, line feeds
    stay. A combining mark with nothing to stand on gets a dotted circle. All else is literal,
    ``[`` and ``\\`` included: what comes out is text, never markup.

    ``visible(visible(t)) == visible(t)``, and what is appended to a text never changes how the
    text before it is shown.
    """
    pattern = _DOUBTFUL_RUN_IN_LINES if newlines else _DOUBTFUL_RUN
    return pattern.sub(_show, text)


def content(text: str, *, newlines: bool = False) -> Content:
    """Textual content of the visible text, without any markup."""
    from textual.content import Content  # Lazy: the command line never needs Textual.

    return Content(visible(text, newlines=newlines))


def character_name(character: str) -> str:
    """How one entry of a vocabulary is shown in a table: never blank, never invisible."""
    if character == " ":
        return "␠"
    if character == "\n":
        return "⏎"
    if len(character) == 1 and unicodedata.category(character) == "Zs":
        return f"‹U+{ord(character):04X}›"
    return visible(character)


def fit(text: str, cells: int, *, align: Literal["left", "center", "right"] = "left") -> str:
    """Visible text in exactly so many cells: cut with "…", or padded with spaces."""
    if cells <= 0:
        return ""
    shown = visible(text)
    width = cell_len(shown)
    if width > cells:
        end = width = 0
        for character in shown:
            size = get_character_cell_size(character)
            if width + size > cells - 1:
                break
            width += size
            end += 1
        shown = shown[:end] + ELLIPSIS
        width += 1
    spare = cells - width
    before = {"left": 0, "center": spare // 2, "right": spare}[align]
    return " " * before + shown + " " * (spare - before)


def printable_stdout(text: str) -> str:
    """Text as the command line writes it to a terminal: its lines kept, all else made visible."""
    return visible(text, newlines=True)


def count(number: int) -> str:
    """12345 → "12,345"."""
    return f"{number:,}"


def rate(per_second: float | None) -> str:
    """31234.5 → "31.2k", 812.4 → "812"; "–" where there is none yet."""
    if per_second is None or not math.isfinite(per_second):
        return NO_VALUE
    scaled, power = _scale(per_second)
    decimals = 1 if power or abs(scaled) < 9.95 else 0
    return f"{scaled:.{decimals}f}{('', 'k', 'M', 'G', 'T')[power]}"


def duration(seconds: float | None) -> str:
    """252 → "4:12", 3723 → "1:02:03"; "–" where it is not known."""
    if seconds is None or not math.isfinite(seconds):
        return NO_VALUE
    minutes, whole = divmod(max(0, int(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{whole:02}" if hours else f"{minutes}:{whole:02}"


def loss(value: float | None) -> str:
    """2.31417 → "2.314"; a loss that is no number says so in words."""
    if value is None:
        return NO_VALUE
    if math.isnan(value):
        return "not a number"
    if math.isinf(value):
        return "infinite" if value > 0 else "minus infinite"
    return f"{value:.3f}" if abs(value) < 1e4 else f"{value:.2e}"


def bytes_(number: int) -> str:
    """1500000 → "1.5 MB", in powers of a thousand as disks are sold."""
    scaled, power = _scale(number)
    unit = ("B", "kB", "MB", "GB", "TB")[power]
    return f"{scaled:.1f} {unit}" if power else f"{number} {unit}"


def _scale(value: float) -> tuple[float, int]:
    """The value in thousands to the power that leaves at most three digits before the point."""
    power = 0
    while abs(value) >= 999.5 and power < 4:
        value /= 1000
        power += 1
    return value, power
