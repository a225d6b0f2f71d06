"""The rules of lines, held against every text there is over a small alphabet."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator

import pytest

from engine.corpus.vocabulary import Vocabulary
from engine.errors import FormError
from engine.writing.rules import Alphabet, CharacterRule, FreeRule, Rule
from engine.writing.word_rule import Lexicon, SyllableRule

WORDS = {"a": 1, "ab": 1, "aba": 2, "bb": 2, "b'a": 3}


def alphabet(characters: str) -> Alphabet:
    return Alphabet(Vocabulary.build(characters + "\n"))


def written(rule: Rule, letters: Alphabet, *, longest: int = 12) -> Iterator[str]:
    """Every line that a rule lets through, found by following what it allows."""
    texts = [("", rule.start)]
    while texts:
        text, state = texts.pop()
        allowed = rule.allowed(state).nonzero()[0].tolist()
        assert allowed, f"nothing may follow {text!r}"
        assert len(text) <= longest
        for one in allowed:
            if one == letters.line_end:
                yield text
            else:
                texts.append((text + letters.characters[one], rule.after(state, one)))


def texts_of(characters: str, longest: int) -> Iterator[str]:
    for size in range(longest + 1):
        yield from map("".join, itertools.product(characters, repeat=size))


def agree(rule: Rule, letters: Alphabet, allowed: Callable[[str], bool], longest: int) -> None:
    characters = "".join(c for c in letters.characters[1:] if c != "\n")
    expected = {text for text in texts_of(characters, longest) if allowed(text)}
    found = list(written(rule, letters))
    assert len(found) == len(set(found))
    assert set(found) == expected


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize(
    ("clauses", "places", "word", "end", "pattern"),
    [
        ((3,), {}, "", "", "[春风月]{3}[，。]?"),
        ((1,), {}, "", "。", "[春风月]。"),
        ((2, 1), {}, "", "", "[春风月]{2}[ ，。][春风月][，。]?"),
        ((3,), {0: "春", -1: "月风"}, "", "", "春[春风月][月风][，。]?"),
        ((1,), {0: "春", -1: "春风"}, "", "", "春[，。]?"),
        ((4,), {}, "春春风", "", "(春春风[春风月]|[春风月]春春风)[，。]?"),
        ((2, 2), {}, "春风", "", "(春风[ ，。][春风月]{2}|[春风月]{2}[ ，。]春风)[，。]?"),
        ((3,), {1: "月"}, "春", "，。", "(春月[春风月]|[春风月]月春)，。"),
    ],
)
def test_lines_of_characters(
    clauses: tuple[int, ...],
    places: dict[int, str],
    word: str,
    end: str,
    pattern: str,
    backward: bool,
) -> None:
    letters = alphabet("春风月，。 ")
    masks = {place: letters.mask(some) for place, some in places.items()}
    rule = CharacterRule(letters, clauses, masks, word, end, backward=backward)
    agree(
        rule,
        letters,
        lambda text: re.fullmatch(pattern, text[::-1] if backward else text) is not None,
        sum(clauses) + len(clauses) + len(end),
    )


def words_of(text: str) -> list[str] | None:
    """The words of a line as it is read, None where it is not words with a space, or a pause and a
    space, between them, and at most one mark at its end."""
    found = re.fullmatch(r"([ab']+)((?:,? [ab']+)*)[.,]?", text)
    return None if found is None else re.findall("[ab']+", text)


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("syllables", [1, 2, 3])
@pytest.mark.parametrize("first", [None, {"ab", "b'a"}, {"aba", "a"}])
@pytest.mark.parametrize("last", [None, {"bb", "a"}, {"ab"}])
@pytest.mark.parametrize("word", ["", "a"])
def test_lines_of_syllables(
    syllables: int, first: set[str] | None, last: set[str] | None, word: str, backward: bool
) -> None:
    letters = alphabet("ab' ,.")

    def allowed(text: str) -> bool:
        words = words_of(text[::-1] if backward else text)
        return (
            words is not None
            and all(one in WORDS for one in words)
            and sum(WORDS[one] for one in words) == syllables
            and (first is None or words[0] in first)
            and (last is None or words[-1] in last)
            and (not word or word in words)
        )

    longest = {1: 4, 2: 7, 3: 7}[syllables]
    expected = {text for text in texts_of("ab' ,.", longest) if allowed(text)}
    try:
        rule = SyllableRule(
            letters,
            Lexicon(WORDS, backward=backward),
            syllables,
            None if first is None else frozenset(first),
            None if last is None else frozenset(last),
            word,
        )
    except FormError:
        assert not expected
        return
    found = list(written(rule, letters))
    assert len(found) == len(set(found))
    assert {text for text in found if len(text) <= longest} == expected
    assert all(allowed(text) for text in found)


def test_capitals_are_the_same_words() -> None:
    letters = alphabet("aAbB ")
    lines = set(written(SyllableRule(letters, Lexicon({"ab": 2}), 2), letters))
    assert lines == {"ab", "Ab", "aB", "AB"}


@pytest.mark.parametrize("backward", [False, True])
def test_the_end_of_a_line_of_syllables_is_the_one_asked_for(backward: bool) -> None:
    letters = alphabet("a.!, ")
    rule = SyllableRule(letters, Lexicon({"a": 1}, backward=backward), 2, end="!.")
    lines = {line[::-1] if backward else line for line in written(rule, letters)}
    assert lines == {"a a!.", "a, a!."}


def test_a_free_line_is_never_blank_and_ends() -> None:
    letters = alphabet("a ")
    rule = FreeRule(letters)
    state = rule.start
    written = ""
    space, sung = letters.spaces.argmax(), letters.sung.argmax()
    assert not rule.allowed(state)[letters.line_end]
    state = rule.after(state, int(space))
    assert not rule.allowed(state)[letters.line_end]
    for _ in range(1000):
        state = rule.after(state, int(sung))
        written += "a"
        if rule.allowed(state).sum() == 1:
            break
    assert rule.allowed(state)[letters.line_end]
    assert len(written) < 1000


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda a: CharacterRule(a, (3,), {5: a.sung}), "no place"),
        (lambda a: CharacterRule(a, (1,), {0: a.mask("春"), -1: a.mask("风")}), "cannot|can begin"),
        (lambda a: CharacterRule(a, (2,), word="春风月"), "No line of 2"),
        (lambda a: CharacterRule(a, (2,), word="雪"), "never saw '雪'"),
        (lambda a: CharacterRule(a, (2,), end="！"), "never saw '！'"),
        (lambda a: CharacterRule(a, (4,), word="春，风"), "one word"),
        (lambda a: SyllableRule(a, Lexicon({}), 3), "No line of 3 syllables"),
        (lambda a: SyllableRule(a, Lexicon({"春": 1}), 3, word="风"), "no word of these songs"),
    ],
)
def test_what_cannot_be_met_is_said_at_once(make: Callable[[Alphabet], Rule], problem: str) -> None:
    with pytest.raises(FormError, match=problem):
        make(alphabet("春风月，。 "))


def test_a_vocabulary_without_line_ends_is_refused() -> None:
    with pytest.raises(FormError, match="never saw a line end"):
        Alphabet(Vocabulary.build("abc "))
