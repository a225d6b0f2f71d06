"""A text as numbers is the text, in memory or in a file, however it came."""

from __future__ import annotations

import hashlib
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.corpus import text as module
from engine.corpus.text import Text, TextWriter

pieces = st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=6)


def written(*parts: str) -> Text:
    writer = TextWriter()
    for part in parts:
        writer.append(part)
    return writer.close()


@pytest.mark.parametrize("in_memory", [0, 2**25])
@given(parts=pieces)
def test_it_is_the_sum_of_its_pieces(parts: list[str], in_memory: int) -> None:
    before, module.IN_MEMORY = module.IN_MEMORY, in_memory
    try:
        text = written(*parts)
    finally:
        module.IN_MEMORY = before
    whole = "".join(parts)
    assert (text.whole, len(text)) == (whole, len(whole))
    assert text.sha256 == hashlib.sha256(whole.encode()).hexdigest()
    counted = zip(map(chr, text.alphabet.tolist()), text.counts.tolist(), strict=True)
    assert dict(counted) == Counter(whole)
    for start in range(0, len(whole), 7):
        assert text[start : start + 5] == whole[start : start + 5]


def test_more_characters_than_two_bytes_can_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """And than one byte can."""
    monkeypatch.setattr(module, "IN_MEMORY", 100)
    few, many = "la" * 100, "".join(map(chr, range(0x10000, 0x10000 + 2**16 + 5)))
    assert written(few, many, few).whole == few + many + few


@given(st.lists(st.integers(0, 255), max_size=50), st.integers(1, 70_000))
def test_the_faster_ways_for_bytes_give_the_same(values: list[int], largest: int) -> None:
    numbers = np.array(values, np.uint8)
    table = np.arange(256, dtype=np.uint32)[::-1] * largest // 255
    assert module.looked_up(table, numbers).tolist() == table[numbers].tolist()
    counts = module.counted(numbers)
    assert counts.tolist() == np.bincount(numbers, minlength=256).tolist()
