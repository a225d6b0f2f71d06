"""The app is killed while a song is typed and the network writes: the song is there again."""

from __future__ import annotations

import random
import shutil
import signal
import time
from typing import Any

import pytest

from engine.writing.draft import Edited, Person
from engine.writing.journal import Drafts

LETTERS = "abcdefghijklmnopqrstuvwxyz"
OLD = 1.0  # seconds after which nothing may be lost


def typed_until_killed(terminal: Any, rng: random.Random) -> str:
    """Types, and has the network write, until a kill at a moment of its own; returns what had been
    typed a second before."""
    sent: list[tuple[float, str]] = []
    end = time.monotonic() + rng.uniform(0.05, 3.0)
    while time.monotonic() < end:
        if rng.random() < 0.05:
            terminal.press("\x07")  # ctrl+g: the network writes on
        else:
            letter = LETTERS[len(sent) % len(LETTERS)]
            sent.append((time.monotonic(), letter))
            terminal.press(letter if rng.random() < 0.9 else f"{letter}\r")
        terminal.read(rng.uniform(0, 0.04))
    terminal.process.send_signal(signal.SIGKILL)
    killed = time.monotonic()
    terminal.ended()
    return "".join(letter for at, letter in sent if at < killed - OLD)


def campaign(desk: Any, seed: int, kills: int) -> None:
    rng = random.Random(seed)
    drafts = Drafts(desk.home / "drafts")
    for number in range(kills):
        terminal = desk.opened()
        terminal.press("s")
        terminal.until("type your first line")
        old = typed_until_killed(terminal, rng)
        terminal.close()
        for summary in drafts.listed():
            with drafts.open(summary.name) as song:
                by_hand = "".join(
                    span.text
                    for line in song.draft.lines
                    for span in line.spans
                    if isinstance(span.author, Person | Edited)
                )
                assert song.warnings == (), number
                assert by_hand.startswith(old), f"kill {number}: {old!r}, found {by_hand!r}"
                old = ""
        assert not old, f"kill {number}: no draft has {old!r}"
        shutil.rmtree(drafts.folder, ignore_errors=True)


def test_an_app_that_is_killed_loses_nothing_older_than_a_second(desk: Any, seed: int) -> None:
    campaign(desk, seed, kills=2)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_an_app_killed_two_hundred_times_loses_nothing(desk: Any, seed: int) -> None:
    campaign(desk, seed, kills=200)
