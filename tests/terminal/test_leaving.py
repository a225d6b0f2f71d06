"""Whatever ends the app, what trained is saved and the terminal is as it was."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

SIGHUP_STATUS = 128 + signal.SIGHUP
BEGUN_AT = 30


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_a_signal_saves_and_leaves(desk: Any, name: str) -> None:
    terminal = desk.training()
    seen = desk.step_on(terminal)
    number = signal.Signals[name]
    terminal.process.send_signal(number)
    terminal.process.send_signal(number)  # a second one changes nothing
    assert terminal.ended() == 128 + number
    assert terminal.left_behind() == []
    assert desk.saved_step() >= seen > BEGUN_AT


def test_a_dropped_line_saves_and_leaves(desk: Any) -> None:
    """The kernel sends SIGHUP, and whatever is written from then on fails."""
    terminal = desk.training()
    seen = desk.step_on(terminal)
    terminal.hang_up()
    assert terminal.ended() == SIGHUP_STATUS
    assert desk.saved_step() >= seen > BEGUN_AT


def test_a_dropped_line_without_a_signal(desk: Any, holder: tuple[list[str], Path]) -> None:
    command, status = holder
    terminal = desk.training(command)
    seen = desk.step_on(terminal)
    terminal.hang_up()
    assert terminal.ended() == 0  # the holder ends when the app has ended
    assert int(status.read_text()) == SIGHUP_STATUS
    assert desk.saved_step() >= seen > BEGUN_AT


def test_a_dropped_line_while_nothing_happens(desk: Any, holder: tuple[list[str], Path]) -> None:
    """Nothing is written then that could fail, and still no process stays behind."""
    command, status = holder
    terminal = desk.open(command)
    terminal.until("space go on")
    terminal.settle()
    terminal.hang_up()
    assert terminal.ended() == 0
    assert int(status.read_text()) == SIGHUP_STATUS
    assert desk.saved_step() == BEGUN_AT


def test_leaving_while_it_prepares(desk: Any) -> None:
    terminal = desk.open()
    terminal.until("space go on")
    terminal.press("c")
    terminal.until("What to learn from")
    terminal.press("\r")
    terminal.until("space train")
    terminal.settle()
    terminal.press(" ")
    terminal.until("preparing")
    terminal.press("\x11")
    assert terminal.ended() == 0
    assert terminal.left_behind() == []
    assert [run.name for run in desk.run.parent.iterdir()] == [desk.run.name]


def test_halted_and_let_go_on(desk: Any) -> None:
    """As by a job manager, which asks nobody."""
    terminal = desk.training()
    for _ in range(2):
        terminal.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, terminal.process.pid, os.WSTOPPED)
        seen = len(terminal.said)
        terminal.process.send_signal(signal.SIGCONT)
        terminal.until(lambda seen=seen: b"chars/s" in terminal.said[seen:])  # all painted anew
    terminal.press("m")
    terminal.until("perplexity")
    terminal.press("\x11")
    assert terminal.ended() == 0
    assert terminal.left_behind() == []


def test_a_signal_before_the_first_frame(desk: Any) -> None:
    terminal = desk.open()
    terminal.until(lambda: b"\x1b[?1049h" in terminal.said)
    terminal.process.send_signal(signal.SIGTERM)
    assert terminal.ended() == 128 + signal.SIGTERM
    assert terminal.left_behind() == []
