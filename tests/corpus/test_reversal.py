"""Lines from their end, whole and in pieces."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engine.corpus.reversal import ids_reversed, lines_reversed

texts = st.text("ab\n", max_size=40)


def test_each_line_is_reversed_in_its_place() -> None:
    assert lines_reversed("春风\n\nabc") == "风春\n\ncba"


@given(texts)
def test_twice_is_the_text(text: str) -> None:
    assert lines_reversed(lines_reversed(text)) == text


@given(texts, st.lists(st.integers(0, 40), max_size=5))
def test_pieces_give_what_the_whole_gives(text: str, cuts: list[int]) -> None:
    ids = np.array([ord(character) for character in text], np.uint8)
    pieces = np.split(ids, sorted(cut for cut in cuts if cut < len(ids)))
    found = np.concatenate([*ids_reversed(pieces, ord("\n")), np.empty(0, np.uint8)])
    assert "".join(map(chr, found)) == lines_reversed(text)
