"""A vocabulary is decided by the text alone, round-trips it, and refuses what is not one."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.corpus.vocabulary import UNKNOWN, Vocabulary
from engine.errors import CorpusError

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
few = st.text(st.sampled_from("aab春春春🎵\n\0\ufffd"), min_size=1)


def refused(data: str | bytes) -> str:
    with pytest.raises(CorpusError) as caught:
        Vocabulary.from_json(data, "run/vocabulary.json")
    sentence = str(caught.value)
    assert sentence.startswith("run/vocabulary.json is no vocabulary of lyricrnn, because ")
    assert "\n" not in sentence
    return sentence


def changed(**fields: Any) -> str:
    """The JSON of a good vocabulary with some fields replaced."""
    return json.dumps({**json.loads(Vocabulary.build("hello").to_json()), **fields})


def test_the_order_is_count_then_code_point() -> None:
    vocabulary = Vocabulary.build("banana c春b")
    assert vocabulary.characters == (UNKNOWN, "a", "b", "n", " ", "c", "春")
    assert vocabulary.counts == (0, 3, 2, 2, 1, 1, 1)
    assert vocabulary.size == len(vocabulary) == 7
    assert vocabulary.digest == hashlib.sha256("<unk>abn c春".encode()).hexdigest()


@given(st.one_of(texts, few), st.integers(1, 3))
def test_building_agrees_with_counting(text: str, min_count: int) -> None:
    counter = Counter(text)
    kept = sorted(
        (character for character in counter if counter[character] >= min_count),
        key=lambda character: (-counter[character], character),
    )
    if not kept:
        with pytest.raises(CorpusError, match="lower min_count"):
            Vocabulary.build(text, min_count)
        return
    vocabulary = Vocabulary.build(text, min_count)
    assert vocabulary.characters == (UNKNOWN, *kept)
    assert vocabulary.counts[1:] == tuple(counter[character] for character in kept)
    assert sum(vocabulary.counts) == len(text)
    folded = "".join(character if character in kept else "\ufffd" for character in text)
    assert vocabulary.decode(vocabulary.encode(text)) == folded
    assert vocabulary.unknown(text) == [one for one in dict.fromkeys(text) if one not in kept]


@given(texts)
def test_known_text_round_trips(text: str) -> None:
    vocabulary = Vocabulary.build(text)
    ids = vocabulary.encode(text)
    assert ids.dtype == np.uint16
    assert ids.shape == (len(text),)
    assert ids.min() > 0
    assert vocabulary.decode(ids) == text
    assert vocabulary.decode(ids.tolist()) == text
    assert vocabulary.unknown(text) == []
    assert [vocabulary.id_of(character) for character in text] == ids.tolist()


def test_text_longer_than_a_chunk_round_trips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.corpus.text.CHUNK", 3)
    vocabulary = Vocabulary.build("床前明月光疑是地上霜")
    assert sum(vocabulary.counts) == 10
    assert vocabulary.decode(vocabulary.encode("明月光床前")) == "明月光床前"
    assert vocabulary.unknown("zy明zx月y") == ["z", "y", "x"]


def test_a_million_characters_are_encoded() -> None:
    text = "".join(map(chr, range(0x4E00, 0x4E00 + 2000))) * 500
    vocabulary = Vocabulary.build(text)
    assert vocabulary.size == 2001
    assert vocabulary.decode(vocabulary.encode(text)) == text


def test_ids_past_sixteen_bits_are_wider() -> None:
    every = [chr(code) for code in range(0x40000) if not 0xD800 <= code < 0xE000]
    edge = "".join(every[: 2**16 - 1])
    assert Vocabulary.build(edge).encode("a").dtype == np.uint16
    over = Vocabulary.build("".join(every[: 2**16]))
    ids = over.encode("".join(every[: 2**16]))
    assert ids.dtype == np.uint32
    assert ids.max() == 2**16
    assert over.decode(ids) == "".join(every[: 2**16])


def test_unknown_characters_are_reported_in_order_and_never_fatal() -> None:
    vocabulary = Vocabulary.build("hello")
    prompt = "hé🎵\ud800o\udc00é"
    assert vocabulary.unknown(prompt) == ["é", "🎵", "\ud800", "\udc00"]
    ids = vocabulary.encode(prompt)
    assert (ids[1:4] == 0).all()
    assert vocabulary.decode(ids) == "h\ufffd\ufffd\ufffdo\ufffd\ufffd"
    assert vocabulary.unknown("") == []
    assert vocabulary.encode("").shape == (0,)


def test_a_half_surrogate_pair_is_never_learnt() -> None:
    vocabulary = Vocabulary.build("a\ud800b")
    assert vocabulary.characters == (UNKNOWN, "a", "b")
    assert vocabulary.counts == (1, 1, 1)


def test_ids_are_looked_up_by_character() -> None:
    vocabulary = Vocabulary.build("aab")
    assert vocabulary.id_of("a") == 1
    assert vocabulary.id_of("b") == 2
    assert vocabulary.id_of(UNKNOWN) == 0
    for absent in ("c", "", "ab", "\ud800", "\U0010ffff"):
        assert vocabulary.id_of(absent) is None


@pytest.mark.parametrize("ids", [[3], [-1], np.array([0, 99], dtype=np.uint32), [2**70], [0.5]])
def test_what_is_no_id_is_told(ids: Any) -> None:
    with pytest.raises(CorpusError):
        Vocabulary.build("ab").decode(ids)


def test_no_ids_are_no_text() -> None:
    assert Vocabulary.build("ab").decode([]) == ""


@given(st.one_of(texts, few))
def test_json_round_trips(text: str) -> None:
    vocabulary = Vocabulary.build(text)
    again = Vocabulary.from_json(vocabulary.to_json())
    assert again == vocabulary
    assert again.digest == vocabulary.digest
    assert Vocabulary.from_json(vocabulary.to_json().encode()) == vocabulary


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        (b"\xff\xff\xff", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "not a JSON object"),
        ("null", "not a JSON object"),
        ("{}", "its schema is not 1"),
        (changed(schema=2), "its schema is not 1"),
        (changed(digest=None), "its digest is missing"),
        (changed(characters="abc"), "its characters is missing or is no list"),
        (changed(counts={}), "its counts is missing or is no list"),
        (changed(characters=[]), "first entry is not <unk>"),
        (changed(characters=["h", "e"]), "first entry is not <unk>"),
        (changed(characters=[UNKNOWN, "h", "h"], counts=[0, 1, 1]), "is in it twice"),
        (changed(characters=[UNKNOWN, "he"], counts=[0, 1]), "entry 1 is not one character"),
        (changed(characters=[UNKNOWN, ["h"]], counts=[0, 1]), "entry 1 is not one character"),
        (changed(characters=[UNKNOWN, "\ud800"], counts=[0, 1]), "half a surrogate pair"),
        (changed(counts=[0, 1]), "5 characters but 2 counts"),
        (changed(counts=[0, 1, 1, 1, -1]), "not a whole number"),
        (changed(counts=[0, 1, 1, 1, True]), "not a whole number"),
        (changed(counts=[0, 1, 1, 1, 0.5]), "not a whole number"),
        (changed(counts=[0, 1, 1, 1, 2**64]), "not a whole number"),
        (changed(digest="00"), "but it names '00'"),
        (changed(characters=[UNKNOWN, "l", "e", "o", "h"]), "have the digest"),
    ],
)
def test_what_is_no_vocabulary_is_told(data: str | bytes, words: str) -> None:
    assert words in refused(data)


@given(st.recursive(st.one_of(st.none(), st.integers(), st.text()), st.lists))
def test_any_json_in_any_field_is_told(value: Any) -> None:
    for field in ("schema", "digest", "characters", "counts"):
        data = changed(**{field: value})
        if json.loads(data)[field] != json.loads(changed())[field]:
            refused(data)


def test_entries_that_are_no_vocabulary_cannot_be_made() -> None:
    with pytest.raises(CorpusError, match="its first entry is not <unk>"):
        Vocabulary(("a", "b"), (1, 1))
