"""Lyrics in form, from the command line."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Any

import pytest

FORM = ["--line-length", "5,7", "--rhyme", "AABB", "--lines", "4"]


def sung(line: str) -> int:
    return sum(unicodedata.category(character)[0] in "LN" for character in line)


def test_json_tells_what_was_asked_of_each_line_and_what_it_got(
    lyricrnn: Any, trained: Path
) -> None:
    found = lyricrnn("generate", trained, *FORM, "--seed", "1", "--json").json
    assert [line["asked"] for line in found["lines"]] == [5, 7, 5, 7]
    assert [line["length"] for line in found["lines"]] == [5, 7, 5, 7]
    assert [line["text"] for line in found["lines"]] == found["text"].split("\n")
    sounds = [line["sound"] for line in found["lines"]]
    assert sounds[0] == sounds[1]
    assert sounds[2] == sounds[3]


def test_the_same_seed_streams_the_same_lines(lyricrnn: Any, trained: Path) -> None:
    whole = lyricrnn("generate", trained, *FORM, "--seed", "4", "--json").json
    streamed = lyricrnn("generate", trained, *FORM, "--seed", "4")
    assert streamed.out == whole["text"] + "\n"


def test_an_acrostic_gives_as_many_lines(lyricrnn: Any, trained: Path) -> None:
    done = lyricrnn("generate", trained, "--acrostic", "春江月", "--line-length", "6")
    lines = done.out.splitlines()
    assert [line[0] for line in lines] == list("春江月")
    assert [sung(line) for line in lines] == [6, 6, 6]


def test_the_prompt_begins_the_first_line(lyricrnn: Any, trained: Path) -> None:
    done = lyricrnn("generate", trained, "--prompt", "明月", "--line-length", "6", "--lines", "1")
    assert done.out.startswith("明月")
    assert sung(done.out) == 6


def test_a_form_in_a_file(lyricrnn: Any, trained: Path, tmp_path: Path) -> None:
    path = tmp_path / "form.toml"
    path.write_text('[[lines]]\nlength = "2+3"\nlast = "生"\n', encoding="utf-8")
    line = lyricrnn("generate", trained, "--form", path).out.splitlines()[0]
    assert sung(line) == 5
    assert line.rstrip("， ").endswith("生")


def test_candidates_are_listed_and_differ(lyricrnn: Any, trained: Path) -> None:
    words = ["--candidates", "5", "--line-length", "6", "--seed", "2"]
    found = lyricrnn("generate", trained, *words, "--json").json["candidates"]
    assert len({one["text"] for one in found}) == 5
    shown = lyricrnn("generate", trained, *words).out
    assert all(one["text"] in shown for one in found)


def test_a_network_of_reversed_lines_writes_readable_ones(
    lyricrnn: Any, songs: Path, small: list[str], tmp_path: Path
) -> None:
    run = tmp_path / "reversed"
    done = lyricrnn("train", songs, *small, "--steps", "300", "--lines-reversed", "--run", run)
    assert done.status == 0, done.err
    text = lyricrnn("generate", run, "--length", "300", "--seed", "1", "--greedy").out
    known = songs.read_text(encoding="utf-8").split("\n")
    assert any(line in known for line in text.split("\n") if line), text
    found = lyricrnn("generate", run, *FORM, "--seed", "1", "--json").json["lines"]
    assert [line["length"] for line in found] == [5, 7, 5, 7]


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--line-length", "x"], "no length of a line"),
        (["--line-length", "5", "--acrostic", "雪莲"], "never saw"),
        (["--rhyme", "A1"], "no letter of a rhyme scheme"),
        (["--acrostic", "春江月", "--lines", "2"], "only 2 lines"),
        (["--slant"], "belongs to a form"),
        (["--form", "nowhere.toml"], "cannot be read"),
        (["--form", "nowhere.toml", "--rhyme", "AA"], "all about the form"),
        (["--tune", "浣溪沙"], "no pattern for a tune '浣溪沙' (they name no tunes)"),
        (["--tune", "浣溪沙", "--lines", "3", "--rhyme", "AA"], "all about the form"),
        (["--line-length", "5", "--unit", "words"], "not one of"),
        (["--line-length", "5", "--rhyme", "A" * 80], "80 lines that rhyme"),
    ],
)
def test_forms_of_no_use_are_refused_in_a_sentence(
    lyricrnn: Any, trained: Path, words: list[str], problem: str
) -> None:
    assert problem in lyricrnn("generate", trained, *words).refused()


def test_a_network_without_line_ends_refuses_forms(
    lyricrnn: Any, songs: Path, small: list[str], tmp_path: Path
) -> None:
    run = tmp_path / "spaces"
    done = lyricrnn("train", songs, *small, "--steps", "2", "--newline", "space", "--run", run)
    assert done.status == 0, done.err
    assert "never saw a line end" in lyricrnn("generate", run, *FORM).refused()
    both = ["train", songs, *small, "--steps", "2", "--newline", "space", "--lines-reversed"]
    assert "use one of them" in lyricrnn(*both).refused()
