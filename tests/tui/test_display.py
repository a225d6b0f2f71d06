"""Whatever the data holds, what reaches the screen is harmless, exact in width and readable."""

from __future__ import annotations

import itertools
import subprocess
import sys
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import cell_len, get_character_cell_size

from tui import display
from tui.display import character_name, content, fit, printable_stdout, visible

BIDIRECTIONAL = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
INVISIBLE = "\xad\u034f\u115f\u1160\u180e\u200b\u200c\u200d\u2060\u3164\ufe0f\ufeff\uffa0\U000e0100"
HARMFUL_CATEGORIES = {"Cc", "Cf", "Cs", "Zl", "Zp"}

# Text as it comes, with more of what hurts than chance would give; surrogates included.
any_text = st.text(
    st.one_of(
        st.characters(exclude_categories=()),
        st.sampled_from(
            "\x1b[2J]/\\\t\r\n\x9b\x7f中，a \u0301\u0e31👍🏽\ud800" + BIDIRECTIONAL + INVISIBLE
        ),
    )
)


def harmful(text: str) -> set[str]:
    return {c for c in text if unicodedata.category(c) in HARMFUL_CATEGORIES or c in INVISIBLE}


@given(any_text)
@example("\x1b[2J\x1b]0;title\x07")
@example("\u0301" * 30)
def test_visible_is_harmless_and_can_be_written(text: str) -> None:
    shown = visible(text)
    assert not harmful(shown)
    shown.encode("utf-8")
    in_lines = visible(text, newlines=True)
    assert harmful(in_lines) <= {"\n"}
    assert in_lines.count("\n") == text.count("\n")


@given(any_text, st.booleans())
def test_visible_changes_nothing_the_second_time(text: str, newlines: bool) -> None:
    shown = visible(text, newlines=newlines)
    assert visible(shown, newlines=newlines) == shown


@given(any_text, any_text)
def test_what_is_appended_never_changes_how_the_text_before_it_is_shown(
    before: str, after: str
) -> None:
    assert visible(before + after, newlines=True).startswith(visible(before, newlines=True))


@given(any_text)
def test_every_mark_stands_on_something_and_no_cell_holds_many(text: str) -> None:
    for line in visible(text, newlines=True).split("\n"):
        for has_width, run in itertools.groupby(line, key=lambda c: get_character_cell_size(c) > 0):
            assert has_width or len(list(run)) <= 8
        assert not line or get_character_cell_size(line[0]) > 0


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"])))
def test_text_that_only_shows_is_left_alone(text: str) -> None:
    plain = "".join(c for c in text if get_character_cell_size(c) > 0 and c not in INVISIBLE)
    assert visible(plain) == plain


def test_plain_text_comes_back_as_the_same_object() -> None:
    for text in ("[Chorus] x [/ \\[b]", "想要一条河流，流过你的小城" * 10_000, "Ünïted — “états”"):
        assert visible(text) is text


def test_every_character_of_unicode() -> None:
    """The quick pattern and the written ranges miss nothing that this Python or rich knows of."""
    for code in range(sys.maxunicode + 1):
        character = chr(code)
        if unicodedata.category(character) in HARMFUL_CATEGORIES or code & 0xFFFE == 0xFFFE:
            assert not set(visible("a" + character)) & {character}, hex(code)
        if get_character_cell_size(character) == 0:
            assert visible(character) != character, hex(code)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J", "␛[2J"),
        ("a\tb\r\n", "a␉b␍␊"),
        ("\x7f\x9b", "␡‹9B›"),
        ("\u202eabc\u2066", "‹U+202E›abc‹U+2066›"),
        ("zero\u200bwidth\ufeff", "zero‹U+200B›width‹U+FEFF›"),
        ("\u2028\u2029", "‹U+2028›‹U+2029›"),
        ("\ud83d", "‹U+D83D›"),
        ("\ufffe\U0010ffff", "‹U+FFFE›‹U+10FFFF›"),
        ("soft\xadhyphen", "soft‹U+00AD›hyphen"),
        ("\u3164\u115f", "‹U+3164›‹U+115F›"),
        ("\u0301a\u0301", "◌\u0301a\u0301"),
        ("[Chorus] [/] [/b \\[", "[Chorus] [/] [/b \\["),
        ("👍🏽 ❤", "👍🏽 ❤"),
    ],
)
def test_pictures(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_newlines_are_kept_on_request_and_start_afresh_for_marks() -> None:
    assert visible("a\n\u0301b", newlines=True) == "a\n◌\u0301b"
    assert printable_stdout("一\n二\x1b") == "一\n二␛"


def test_content_is_plain() -> None:
    shown = content("[bold]x[/] \x1b[2J")
    assert shown.plain == "[bold]x[/] ␛[2J"
    assert not shown.spans
    assert content("a\nb", newlines=True).plain == "a\nb"


@pytest.mark.parametrize(
    ("character", "name"),
    [
        ("a", "a"),
        ("中", "中"),
        (" ", "␠"),
        ("\n", "⏎"),
        ("\t", "␉"),
        ("\x1b", "␛"),
        ("\u3000", "‹U+3000›"),
        ("\xa0", "‹U+00A0›"),
        ("\u0301", "◌\u0301"),
        ("\u200d", "‹U+200D›"),
        ("<unk>", "<unk>"),
    ],
)
def test_character_names(character: str, name: str) -> None:
    assert character_name(character) == name


@given(st.characters(exclude_categories=()))
def test_a_character_name_is_never_blank(character: str) -> None:
    name = character_name(character)
    assert not name.isspace()
    assert cell_len(name) > 0


@given(any_text, st.integers(0, 40), st.sampled_from(["left", "center", "right"]))
def test_fit_is_exact(text: str, cells: int, align: str) -> None:
    fitted = fit(text, cells, align=align)  # type: ignore[arg-type]
    assert cell_len(fitted) == cells
    assert not harmful(fitted)
    if cell_len(visible(text)) <= cells:
        assert visible(text) in fitted


def test_fit() -> None:
    assert [fit("中文字", cells) for cells in range(8)] == [
        *("", "…", "… ", "中…", "中… ", "中文…", "中文字", "中文字 "),
    ]
    assert fit("abc", 6, align="right") == "   abc"
    assert fit("abc", 6, align="center") == " abc  "
    assert fit("e\u0301e\u0301e\u0301", 2) == "e\u0301…"
    assert fit("abc", -1) == ""


def test_numbers() -> None:
    assert display.count(12345) == "12,345"
    assert [display.rate(x) for x in (3.21, 812.4, 999.6, 31234.5, 999_999.0)] == [
        *("3.2", "812", "1.0k", "31.2k", "1.0M"),
    ]
    assert display.rate(None) == display.rate(float("nan")) == "–"
    assert [display.duration(x) for x in (0, 59.9, 252, 3723, 360_000)] == [
        *("0:00", "0:59", "4:12", "1:02:03", "100:00:00"),
    ]
    assert display.duration(None) == display.duration(float("inf")) == "–"
    assert display.duration(-3) == "0:00"
    assert display.loss(2.31417) == "2.314"
    assert display.loss(1e30) == "1.00e+30"
    assert display.loss(None) == "–"
    assert display.loss(float("nan")) == "not a number"
    assert display.loss(float("inf")) == "infinite"
    assert display.loss(float("-inf")) == "minus infinite"
    assert [display.bytes_(n) for n in (0, 999, 1000, 1_500_000, 3 * 10**12)] == [
        *("0 B", "999 B", "1.0 kB", "1.5 MB", "3.0 TB"),
    ]


def test_importing_the_door_brings_no_textual() -> None:
    code = "import sys, tui.display; sys.exit('textual' in sys.modules or 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
