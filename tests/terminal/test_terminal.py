"""What goes over the line: nothing when nothing happens, and nothing that a terminal obeys."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import pytest

PROGRAM = [sys.executable, "-c", "import sys; from tui.main import main; sys.exit(main())"]


@pytest.mark.parametrize("missing", ["stdin", "stdout", "stderr"])
def test_the_app_needs_a_terminal(desk: Any, missing: str) -> None:
    """In a shell, so that the other two are one."""
    redirection = {"stdin": "</dev/null", "stdout": ">told", "stderr": "2>told"}[missing]
    script = f'cd "$LYRICRNN_HOME"; "$0" "$@" {redirection}; echo "status $?"'
    terminal = desk.open(["sh", "-c", script, *PROGRAM])
    terminal.until("status 2")
    told = desk.home / "told"
    shown = terminal.screen + (told.read_text() if told.exists() else "")
    assert shown.count("The app needs a terminal") == 1
    assert b"\x1b" not in terminal.said


def test_no_terminal_at_all(desk: Any) -> None:
    done = subprocess.run(
        PROGRAM, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=desk.environment()
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("lyricrnn: The app needs a terminal")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("named", ["a file", "a folder", "a shipped collection"])
def test_a_songbook_opens_the_app_on_it(desk: Any, named: str) -> None:
    folder = desk.home / "book"
    folder.mkdir()
    (folder / "songs.lrc").write_text("[ti:Test]\n[00:01.00]la la\n[00:02.00]lu lu\n")
    word = {"a file": folder / "songs.lrc", "a folder": folder}.get(named, "chinese-folk")
    terminal = desk.open([*PROGRAM, str(word)])
    terminal.until("space train")
    terminal.until({"a file": "songs.lrc", "a folder": "book"}.get(named, "folk.txt"))
    terminal.press("\x11")
    assert terminal.ended() == 0


def test_an_idle_screen_writes_nothing(desk: Any) -> None:
    terminal = desk.training()
    terminal.press(" ")
    terminal.until("paused")
    terminal.settle()
    terminal.press("p")  # a field with a cursor
    terminal.settle()
    assert terminal.count(2) == 0


def test_a_chinese_prompt_typed_and_an_escape_sequence_pasted(desk: Any) -> None:
    terminal = desk.opened()
    terminal.press("p")
    terminal.settle()
    terminal.press("春江")
    terminal.until("春江")
    start = len(terminal.said)
    terminal.press("\x1b[200~花\x1b[2J\x1b]0;title\x07月\x1b[201~")
    terminal.until(lambda: re.search("春江.*title", terminal.screen))
    terminal.press("\r")
    terminal.until("seed")
    terminal.press("\x1b")
    terminal.count(0.3)  # an escape with a letter right behind it would be alt and that letter
    terminal.press("g")
    terminal.until("g write")
    written = bytes(terminal.said[start:])
    assert b"\x1b[2J" not in written
    assert b"\x1b]0" not in written


def test_resizing_while_it_trains(desk: Any) -> None:
    terminal = desk.training()
    for size in ((60, 20), (38, 10), (200, 50), (40, 12), (80, 24)):
        terminal.resize(*size)
        word = "Make it larger" if size[0] < 40 else "training"
        terminal.until(word)
        before = desk.step_on(terminal)
        if size[0] >= 40:
            terminal.until(lambda before=before: desk.step_on(terminal) > before)
    terminal.press("q")
    assert terminal.ended() == 0
    assert terminal.left_behind() == []
    assert desk.saved_step() >= before


def test_sixteen_colours_are_enough(desk: Any) -> None:
    terminal = desk.open(TERM="xterm")
    terminal.until("F1 help")
    assert re.search(rb"\x1b\[[\d;]*3[0-7][;m]", terminal.said)
    assert not re.search(rb"[34]8;[25];", terminal.said)


def test_no_colours_at_all(desk: Any) -> None:
    terminal = desk.open(NO_COLOR="1")
    terminal.until("F1 help")
    shades = {tuple(map(int, rgb)) for rgb in re.findall(rb"8;2;(\d+);(\d+);(\d+)", terminal.said)}
    assert all(max(shade) == min(shade) for shade in shades)
