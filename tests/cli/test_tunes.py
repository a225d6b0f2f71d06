"""`lyricrnn corpus show` tells the tunes of a text that has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

SOUNDS = ["山间天年", "风空中红", "长光香方"]


@pytest.fixture
def tunes(tmp_path: Path) -> Path:
    """Twelve tunes of ten to twenty-one songs."""
    blocks = []
    for tune in range(12):
        for turn in range(10 + tune):
            one, other = SOUNDS[turn % 3], SOUNDS[(turn + tune) % 3]
            ends = [one[turn % 4], other[turn % 4 - 1], one[turn % 4 - 2]]
            lines = (f"小舟远路{ends[0]}。", f"春雨夜{ends[1]}，旧梦{ends[2]}。")
            blocks.append("\n".join([f"小调{chr(ord('甲') + tune)}", *lines]))
    path = tmp_path / "tunes.txt"
    path.write_text("\n\n".join(blocks), encoding="utf-8")
    return path


def test_tunes_in_json(lyricrnn: Any, tunes: Path) -> None:
    told = lyricrnn("corpus", "show", tunes, "--json").json["tunes"]
    assert [tune["songs"] for tune in told] == list(range(21, 9, -1))
    assert {tune["share"] for tune in told} == {1.0}
    for tune in told:
        assert [line["clauses"] for line in tune["lines"]] == [[5], [4, 3]]
        first, last = tune["lines"]
        assert first["letters"] == last["letters"][1:] == ["A"]
        assert tune["stanzas"] == [2]


def test_people_are_told_the_most_frequent_tunes(lyricrnn: Any, tunes: Path, songs: Path) -> None:
    shown = lyricrnn("corpus", "show", tunes).out
    assert "5A / 4" in shown
    assert "100%" in shown
    assert shown.count("小调") == 10
    assert "and 2 more tunes" in shown
    without = lyricrnn("corpus", "show", songs)
    assert "tune" not in without.out
