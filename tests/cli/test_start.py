"""The first words: help, version, and words that are not understood."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]

LOADED = """
import sys
from tui.commands import run_commands
status = run_commands(sys.argv[1:])
print(status, *(name for name in {heavy!r} if name in sys.modules), file=sys.stderr)
"""


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["--version"],
        ["train", "--help"],
        ["generate", "--help"],
        ["evaluate", "--help"],
        ["inspect", "--help"],
        ["corpus", "--help"],
        ["runs", "compare", "--help"],
    ],
    ids=" ".join,
)
def test_help_loads_nothing_heavy(words: list[str]) -> None:
    program = LOADED.format(heavy=("torch", "numpy", "textual", "engine.config"))
    done = subprocess.run(
        [sys.executable, "-c", program, *words], cwd=ROOT, capture_output=True, text=True
    )
    assert done.stderr.split() == ["0"]
    assert "lyricrnn" in done.stdout


def test_a_corpus_is_shown_without_torch(songs: Path) -> None:
    program = LOADED.format(heavy=("torch", "textual"))
    for words in (["corpus", "show", songs], ["inspect", songs], ["corpus", "list"]):
        done = subprocess.run(
            [sys.executable, "-c", program, *map(str, words)],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        assert done.stderr.split() == ["0"]


def test_help_names_every_command(alone: Any) -> None:
    done = alone("--help")
    for name in ("train", "generate", "evaluate", "inspect", "corpus", "runs"):
        assert name in done.out
    assert "\x1b" not in done.out


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["trian"], "trian"),
        (["runs", "lst"], "list"),
        (["train", "--hiden", "3"], "--hidden"),
        (["train", "x", "y"], "y"),
        (["train", "x", "--hidden", "many"], "--hidden"),
        (["train", "x", "--steps", "1.5"], "--steps"),
        (["generate"], "RUN"),
        (["generate", "x", "--prompt"], "--prompt"),
        (["generate", "x", "\u202ey"], "‹U+202E›"),
        (["generate", "\x1b[31m", "\x1b[2J"], "[2J"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_words_that_are_not_understood(alone: Any, words: list[str], named: str) -> None:
    assert named in alone(*words).refused()


def test_a_group_alone_shows_its_help(alone: Any) -> None:
    done = alone("runs")
    assert done.status == 2
    assert "compare" in done.out
    assert done.err == ""
