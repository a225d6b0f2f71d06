"""The engine surveys texts beside its worker: training goes on, and no survey outlives its use."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.config import CorpusConfig
from engine.corpus import summary as summary_module
from engine.corpus.interruption import Stopped
from engine.corpus.summary import CorpusSummary, survey
from engine.errors import CorpusError, Interrupted, LyricError
from engine.session import Engine

PATIENCE = 60.0  # seconds for what must happen


def wait_for(what: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.001)


@pytest.fixture
def songs(tmp_path: Path) -> Path:
    path = tmp_path / "songs.txt"
    path.write_text("\n\n".join(f"la {song % 40}\nlu {song % 40}" for song in range(60)))
    return path


class Endless:
    """A survey that goes on until it is no longer wanted."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(summary_module, "survey", self._survey)
        self.began, self.ended = threading.Event(), threading.Event()

    def _survey(self, name: str, config: CorpusConfig, stopped: Stopped) -> CorpusSummary:
        if name != "endless":
            return survey(name, config, stopped)
        self.began.set()
        wait_for(stopped)
        self.ended.set()
        raise Interrupted("It was given up.")

    async def in_the_engine(self, engine: Engine) -> asyncio.Task[CorpusSummary]:
        """Such a survey, under way."""
        task = asyncio.create_task(engine.survey("endless"))
        await asyncio.to_thread(self.began.wait, PATIENCE)
        return task


async def test_training_goes_on_while_a_text_is_surveyed(
    workshop: Any, songs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Engine() as engine:

        def slow(name: str, config: CorpusConfig, stopped: Stopped) -> CorpusSummary:
            before = engine.snapshot
            assert before is not None
            wait_for(lambda: engine.snapshot.step > before.step + 2)  # type: ignore[union-attr]
            return survey(name, config, stopped)

        monkeypatch.setattr(summary_module, "survey", slow)
        config = workshop.config(steps=100_000)
        run = await engine.train(songs, config, run=workshop.folder / "run")
        assert (await engine.survey(songs)).songs == 60
        await run.stop()


async def test_a_new_survey_supersedes_the_one_before(
    songs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    endless = Endless(monkeypatch)
    async with Engine() as engine:
        older = await endless.in_the_engine(engine)
        assert (await engine.survey(songs)).songs == 60
        with pytest.raises(Interrupted):
            await older


async def test_a_survey_that_nobody_waits_for_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    endless = Endless(monkeypatch)
    async with Engine() as engine:
        task = await endless.in_the_engine(engine)
        task.cancel()
        assert await asyncio.to_thread(endless.ended.wait, PATIENCE)


async def test_leaving_does_not_wait_for_a_survey(monkeypatch: pytest.MonkeyPatch) -> None:
    endless = Endless(monkeypatch)
    async with Engine() as engine:
        task = await endless.in_the_engine(engine)
    assert endless.ended.is_set()
    assert "lyricrnn-surveyor" not in {thread.name for thread in threading.enumerate()}
    with pytest.raises(LyricError):
        await task
    with pytest.raises(LyricError, match="closed"):
        await engine.survey("endless")


async def test_what_a_survey_finds_wrong_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Engine() as engine:
        with pytest.raises(CorpusError, match="nothing-there"):
            await engine.survey(tmp_path / "nothing-there")
        for error in (MemoryError(), ZeroDivisionError("odd")):

            def broken(*_: object, error: Exception = error) -> CorpusSummary:
                raise error

            monkeypatch.setattr(summary_module, "survey", broken)
            with pytest.raises(LyricError, match=r"^[A-Z].*\.$"):
                await engine.survey(tmp_path)


def test_a_survey_may_be_given_up_wherever_it_is(songs: Path) -> None:
    config = CorpusConfig().cleaned()
    for asked in range(1000):
        answers = itertools.chain([False] * asked, itertools.repeat(True))
        try:
            found = survey(str(songs), config, answers.__next__)
        except Interrupted:
            continue
        break
    assert asked > 3 * 40  # each song was asked at too: twice for copies, once to drop them
    assert found == survey(str(songs), config, lambda: False)
