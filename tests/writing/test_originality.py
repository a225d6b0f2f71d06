"""Every copied span is found, none that is not there, and each is laid to the song that has it."""

from __future__ import annotations

import random
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import ConfigError, CorpusError
from engine.writing import originality
from engine.writing.originality import Copy, Originality

Span = tuple[int, int, int, int | None]  # start, end, song, changed

# Few characters, so that much repeats; one of them is beyond the basic plane.
few = st.text(st.sampled_from("ab月🌙 \n"), max_size=60)
short = st.text(st.sampled_from("ab月🌙 \n"), max_size=14)


def index(text: str, shortest: int | None) -> Originality:
    """An index of songs that are told apart by the character "#"; their titles are numbers."""
    starts = [0, *(found.start() for found in re.finditer("#", text))]
    codes = np.array([ord(character) for character in text], np.uint32)
    return Originality(codes, np.array(starts), str, shortest)


def spans(copies: tuple[Copy, ...]) -> list[Span]:
    return [(copy.start, copy.end, copy.song, copy.changed) for copy in copies]


def searched(text: str, line: str, shortest: int) -> list[Span]:
    """What `copies` promises, by asking of every span for the first place that has it."""
    exact: dict[tuple[int, int], int] = {}
    near: dict[tuple[int, int], tuple[int, int]] = {}
    for start in range(len(line)):
        for end in range(start + shortest, len(line) + 1):
            span = line[start:end]
            if "\n" in span:
                continue
            if (place := text.find(span)) >= 0:
                exact[start, end] = place
            for at in range(1, len(span) - 1):
                before, is_, after = map(re.escape, (span[:at], span[at], span[at + 1 :]))
                if found := re.search(f"{before}[^{is_}\n]{after}", text):
                    changed = (found.start(), start + at)
                    near[start, end] = min(changed, near.get((start, end), changed))

    def within(inner: tuple[int, int], outer: tuple[int, int]) -> bool:
        return outer[0] <= inner[0] and inner[1] <= outer[1]

    def maximal(one: tuple[int, int], others: list[tuple[int, int]]) -> bool:
        return not any(within(one, other) for other in others if other != one)

    found_spans: list[tuple[int, int, int, int | None]] = [
        (*span, text.count("#", 0, place + 1), None)
        for span, place in exact.items()
        if maximal(span, list(exact))
    ]
    found_spans += [
        (*span, text.count("#", 0, place + 1), at)
        for span, (place, at) in near.items()
        if maximal(span, list(near)) and not any(within(span, other) for other in exact)
    ]
    return sorted(found_spans, key=lambda span: span[:2])


# --- Copies -------------------------------------------------------------------------------------


@settings(max_examples=400)
@given(st.lists(few, max_size=4).map("#".join), short, st.integers(3, 7))
def test_copies_are_what_a_search_of_everything_finds(text: str, line: str, shortest: int) -> None:
    assert spans(index(text, shortest).copies(line)) == searched(text, line, shortest)


@pytest.mark.slow
def test_copies_of_ten_thousand_random_lines(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(500):
        letters = "ab月🌙 \n#"[: rng.randint(2, 7)]
        text = "".join(rng.choices(letters, k=rng.randint(0, 150)))
        shortest = rng.randint(3, 9)
        built = index(text, shortest)
        for _ in range(20):
            line = "".join(rng.choices(letters, k=rng.randint(0, 16)))
            assert spans(built.copies(line)) == searched(text, line, shortest), (text, line)


@settings(max_examples=200)
@given(few, st.data())
def test_a_planted_span_is_found(text: str, data: st.DataObject) -> None:
    kept = data.draw(st.text(st.sampled_from("ab月🌙 "), min_size=5, max_size=12))
    at = data.draw(st.integers(0, len(text)))
    built = index(text[:at] + kept + text[at:], 5)
    assert any(
        copy.changed is None and copy.start <= 3 and copy.end >= 3 + len(kept)
        for copy in built.copies(f"xyz{kept}xyz")
    )
    changed = data.draw(st.integers(1, len(kept) - 2))
    line = f"xyz{kept[:changed]}w{kept[changed + 1 :]}xyz"
    assert any(
        copy.changed == 3 + changed and copy.start <= 3 and copy.end >= 3 + len(kept)
        for copy in built.copies(line)
    )


def test_equal_hashes_decide_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(originality, "_MULTIPLIER", np.uint64(0))
    text, line = "abba月abab\nbaab#ab月ba\nabab\nabab", "aab月abbaab"
    built = index(text, 4)
    assert spans(built.copies(line)) == searched(text, line, 4) != []
    assert built.forbidden("xab", 2) == "#ab月"
    assert built.forbidden("月a", 2) == "b"


def test_a_search_in_parts_finds_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "\n".join(f"la la la {n} la la" for n in range(30))
    whole = index(text, 5).copies("la la la 7 la la la la")
    monkeypatch.setattr(originality, "_AT_ONCE", 3)
    assert index(text, 5).copies("la la la 7 la la la la") == whole != ()


def test_a_copy_names_the_first_song_that_has_it() -> None:
    songs = "one\nno moon at all", " two \nthe moon again", "the moon again"
    built = Originality.of_text("\n\n".join(songs), 8)
    assert built.copies("see the moon again!") == (Copy(4, 18, 1, "two"),)
    assert Originality.of_text("one\n\nthe moon", 8).copies("the moon") == (
        Copy(0, 8, 1, "the moon"),
    )


def test_a_song_that_never_ends_its_line_has_a_short_title() -> None:
    (copy,) = Originality.of_text("a" * 10_000, 8).copies("a" * 20)
    assert copy.title == "a" * 40 + "…"


def test_a_section_label_is_no_title() -> None:
    built = Originality.of_text("[Verse 1]\nsee the moon\nsee it rise", 8)
    assert [copy.title for copy in built.copies("now see it rise")] == ["see the moon"]


def test_no_copy_crosses_a_line_end() -> None:
    built = index("under the\nmoon", 6)
    assert built.copies("under themoon") == (Copy(0, 9, 0, "0"),)
    assert built.copies("under\nthe") == ()
    assert built.copies("under the moon\nunder the") == (Copy(0, 9, 0, "0"), Copy(15, 24, 0, "0"))


def test_a_line_end_is_no_changed_character() -> None:
    built = index("moon\nlight", 6)
    assert built.copies("moon light") == ()
    assert index("moon light", 6).copies("moon\nlight") == ()


def test_case_and_punctuation_count() -> None:
    built = index("春花秋月何时了，往事", 6)
    assert spans(built.copies("春花秋月何时了！往事")) == [(0, 7, 0, None), (0, 10, 0, 7)]
    assert index("UNDER THE MOON", 8).copies("under the moon") == ()


@pytest.mark.parametrize("line", ["", "\n\n", "abc", "🌙"])
def test_what_is_too_short_holds_no_copy(line: str) -> None:
    assert index("abcdef🌙", 6).copies(line) == ()


def test_a_line_longer_than_the_songs() -> None:
    assert spans(index("abcdef", 6).copies("xabcdef" * 3)) == [
        (1, 7, 0, None),
        (8, 14, 0, None),
        (15, 21, 0, None),
    ]


def test_no_songs_no_copies() -> None:
    built = Originality.of_text("")
    assert built.copies("anything at all, however long it may be") == ()
    assert built.forbidden("anything", 3) == ""


def test_half_a_surrogate_pair_is_a_character_like_others() -> None:
    assert spans(index("abc\ud83cdef", 6).copies("abc\ud83cdef")) == [(0, 7, 0, None)]


def test_the_script_decides_what_is_short() -> None:
    assert Originality.of_text("春江潮水, oh yeah").shortest == 20
    assert Originality.of_text("春江潮水连海平，海上明月共潮生, oh yeah").shortest == 6
    assert Originality.of_text("по небу полуночи").shortest == 20
    assert Originality.of_text("春江潮水连海平", 9).shortest == 9


def test_refusals() -> None:
    with pytest.raises(ConfigError, match="2 characters"):
        Originality.of_text("abc", 2)
    with pytest.raises(ConfigError, match="0 characters"):
        Originality.of_text("abc").forbidden("abc", 0)
    endless = np.broadcast_to(np.zeros(1, np.uint32), (2**32,))
    with pytest.raises(CorpusError, match="4,294,967,296"):
        Originality(endless, np.zeros(1, np.int64), str)


# --- What must not be written -------------------------------------------------------------------


@settings(max_examples=300)
@given(few, short, st.integers(1, 6))
def test_forbidden_is_what_would_make_a_copy_too_long(text: str, tail: str, longest: int) -> None:
    line = tail.rpartition("\n")[2]
    bad = "" if len(line) < longest else line[-longest:]
    expected = {c for c in set(text) - {"\n"} if bad and bad + c in text}
    built = index(text, 6)
    assert built.forbidden(tail, longest) == "".join(sorted(expected))
    assert built.forbidden(tail, longest) == "".join(sorted(expected))


def test_forbidden_knows_several_lengths() -> None:
    built = index("\n".join(["abcd"] * 50 + ["abce", "xbcf"]), 6)
    assert built.forbidden("abc", 3) == "de"
    assert built.forbidden("abc", 2) == "def"
    assert built.forbidden("abc", 3) == "de"


def test_what_is_not_forbidden_makes_no_long_copy(seed: int) -> None:
    rng = random.Random(seed)
    text = "".join(rng.choices("abc\n", k=2000))
    built, longest = index(text, 5), 4
    for _ in range(200):
        line = ""
        while len(line) < 30 and (free := sorted(set("abc") - set(built.forbidden(line, longest)))):
            line += rng.choice(free)
        assert all(
            line[start : start + longest + 1] not in text for start in range(len(line) - longest)
        )


def test_a_copy_is_told_by_the_title_of_its_song() -> None:
    text = "春江潮水连海平\n\n海上明月共潮生\n\n灯下老船修旧网风"
    stanzas = Originality.of_text(text)
    assert [copy.title for copy in stanzas.copies("海上明月共潮生")] == ["海上明月共潮生"]
    titled = Originality.of_text(text, songs=[(0, "春江"), (text.index("灯"), "老船")])
    lines = ["海上明月共潮生", "灯下老船修旧网", "春江潮水连海平"]
    assert [titled.copies(line)[0].title for line in lines] == ["春江", "老船", "春江"]
