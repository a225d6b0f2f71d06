"""Tune patterns are found in songs that were written to them."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.corpus.corpus import Corpus
from engine.writing.rhyme import mandarin_class
from engine.writing.tunes import LEAST_SONGS, Tune, form_of, of_corpus, of_text, tunes

SONGCI = Path(__file__).parents[3] / "shared" / "corpora" / "songci.txt"
ENDS = ["山间天年", "风空中红", "长光香方", "花家沙茶", "流秋愁楼", "开来台怀"]
FILL = "春雨夜灯小舟远路旧梦清水"

Lines = tuple[tuple[tuple[int, str], ...], ...]  # of each clause its characters and rhyme letter


def song(lines: Lines, random_: random.Random) -> str:
    """Invented words in a pattern; what does not rhyme ends in any sound."""
    sounds = dict(zip("ABCDEF", random_.sample(ENDS, len(ENDS)), strict=True))
    written = []
    for line in lines:
        clauses = []
        for length, letter in line:
            ends = sounds[letter] if letter else random_.choice(ENDS)
            inner = random_.choices(FILL, k=length - 1)
            clauses.append("".join([*inner, random_.choice(ends)]))
        written.append("，".join(clauses) + random_.choice("。！？"))
    return "\n".join(written)


def songs(name: str, lines: Lines, count: int, seed: int) -> list[tuple[str, str]]:
    random_ = random.Random(seed)
    return [(name, song(lines, random_)) for _ in range(count)]


def pattern(tune: Tune) -> list[list[tuple[int, str]]]:
    return [list(zip(line.clauses, line.letters, strict=True)) for line in tune.lines]


ONE_RHYME: Lines = (((7, "A"),), ((7, "A"),), ((7, ""), (5, "A")))
CHANGING: Lines = (((7, "A"),), ((7, "A"),), ((5, "B"),), ((5, "B"),))


@pytest.mark.parametrize("lines", [ONE_RHYME, CHANGING])
@pytest.mark.parametrize("seed", range(3))
def test_a_tune_has_the_lengths_and_rhymes_of_its_songs(lines: Lines, seed: int) -> None:
    found = tunes(songs("小调", lines, 40, seed))
    assert list(found) == ["小调"]
    tune = found["小调"]
    assert pattern(tune) == [list(line) for line in lines]
    assert [line.rhymes for line in tune.lines] == [
        tuple(bool(letter) for _, letter in line) for line in lines
    ]
    assert (tune.name, tune.songs, tune.share, tune.stanzas) == ("小调", 40, 1.0, (len(lines),))


def test_the_pattern_is_that_of_the_most_songs() -> None:
    given_ = songs("小调", ONE_RHYME, 30, 1) + songs("小调", CHANGING, 10, 2)
    found = tunes(given_)["小调"]
    assert pattern(found) == [list(line) for line in ONE_RHYME]
    assert (found.songs, found.share) == (40, 0.75)


def test_the_most_frequent_tune_comes_first_and_rare_ones_are_left_out() -> None:
    few = songs("少", ONE_RHYME, LEAST_SONGS - 1, 1)
    some, many = songs("有", ONE_RHYME, LEAST_SONGS, 2), songs("多", CHANGING, 50, 3)
    assert list(tunes(few + some + many)) == ["多", "有"]
    assert tunes([]) == tunes([("空", "")] * 20) == {}


def test_fragments_are_no_tune() -> None:
    random_ = random.Random(4)
    fragments = [("残", "，".join("雨" * random_.randint(1, 30) for _ in "123")) for _ in range(60)]
    assert tunes(fragments) == {}
    alike = songs("残", ONE_RHYME, 14, 1)
    assert list(tunes(alike)) == ["残"]
    assert tunes(alike + fragments) == {}


def test_stanzas_are_where_blank_lines_part_them() -> None:
    parted = [
        (name, words.replace("\n", "\n\n", 2).replace("\n\n", "\n", 1))
        for name, words in songs("小调", CHANGING, 20, 1)
    ]
    tune = tunes(parted)["小调"]
    assert tune.stanzas == (2, 2)
    assert pattern(tune) == [list(line) for line in CHANGING]


def test_a_repeated_word_is_no_rhyme() -> None:
    lines: Lines = (((5, ""),), ((5, ""),))
    refrain = [
        (name, f"{words}\n归去来兮。\n归去来兮。") for name, words in songs("归", lines, 30, 6)
    ]
    assert [line.rhymes for line in tunes(refrain)["归"].lines] == [(False,)] * 4


def test_lost_characters_are_counted_and_quotation_marks_are_not() -> None:
    given_ = [("残", words.replace("，", "》，")) for _, words in songs("残", ONE_RHYME, 20, 1)]
    given_ = [(name, "□" + words[1:]) for name, words in given_]
    assert pattern(tunes(given_)["残"]) == [list(line) for line in ONE_RHYME]


@given(st.integers(0, 1000))
def test_the_order_of_songs_does_not_matter(seed: int) -> None:
    both = songs("小调", ONE_RHYME, 12, seed) + songs("小调", CHANGING, 12, seed)
    shuffled = random.Random(seed).sample(both, len(both))
    assert tunes(both) == tunes(shuffled)


def test_tunes_of_a_corpus_are_named_by_the_first_lines_of_its_songs() -> None:
    both = songs("小调", ONE_RHYME, 20, 1) + songs("长歌", CHANGING, 15, 2)
    text = "\n\n".join(f"{name}\n{words}" for name, words in both)
    found = of_corpus(Corpus.from_text(text))
    assert {name: (tune.songs, tune.share) for name, tune in found.items()} == {
        "小调": (20, 1.0),
        "长歌": (15, 1.0),
    }
    assert pattern(found["长歌"]) == [list(line) for line in CHANGING]


def test_a_corpus_whose_songs_have_names_of_their_own_has_no_tunes() -> None:
    text = "\n\n".join(
        f"{index:04}歌\n{words}" for index, (_, words) in enumerate(songs("", ONE_RHYME, 40, 1))
    )
    assert of_corpus(Corpus.from_text(text)) == {}
    assert of_corpus(Corpus.from_text("\n\n".join(["chorus\nla la la"] * 40))) == {}


def scheme(tune: Tune) -> str:
    return " ".join(",".join(map("{}{}".format, line.clauses, line.letters)) for line in tune.lines)


@pytest.mark.skipif(not SONGCI.exists(), reason=f"{SONGCI} is not here")
def test_known_tunes_of_the_song_dynasty() -> None:
    found = of_corpus(Corpus.load(SONGCI))
    # As the handbooks of tunes give them (龙榆生, 唐宋词格律).
    assert scheme(found["浣溪沙"]) == "7A 7A 7A 7,7A 7A"
    assert scheme(found["菩萨蛮"]) == "7A 7A 5B 5B 5C 5C 5D 5D"
    assert scheme(found["如梦令"]) == "6A 6A 5,6A 2A 2A 6A"
    assert scheme(found["卜算子"]) == "5,5A 7,5A 5,5A 7,5A"
    assert scheme(found["清平乐"]) == "4A 5A 7A 6A 6B 6B 6,6B"
    assert scheme(found["减字木兰花"]) == "4A 7A 4B 7B 4C 7C 4D 7D"
    assert found["浣溪沙"].songs > 700
    assert found["浣溪沙"].share > 0.9
    assert "失调名" not in found  # "the tune's name is lost": fragments of many
    # In nearly every tune each line ends in rhyme, and hardly a clause within a line does.
    ends = [line.rhymes[-1] for tune in found.values() for line in tune.lines]
    within = [
        rhymes for tune in found.values() for line in tune.lines for rhymes in line.rhymes[:-1]
    ]
    assert sum(ends) > 0.98 * len(ends)
    assert sum(within) < 0.02 * len(within)


def test_the_invented_sounds_are_different_classes() -> None:
    classes = [{mandarin_class(character) for character in ends} for ends in ENDS]
    assert all(len(one) == 1 for one in classes)
    assert len(set.union(*classes)) == len(ENDS)


def test_a_form_asks_for_the_clauses_and_what_they_rhyme_on() -> None:
    lines: Lines = (((7, "A"),), ((4, "B"), (5, "A")), ((6, "B"), (3, "")))
    text = "\n\n".join(f"{name}\n{words}" for name, words in songs("小调", lines, 40, seed=1))
    form = form_of(of_text(text)["小调"])
    assert [line.length for line in form.lines] == [(7,), (4, 5), (6, 3)]
    first, second, third = (line.letters for line in form.lines)
    assert first[0] == second[1] != ""
    assert second[0] == third[0] not in ("", first[0])
    assert third[1] == ""
