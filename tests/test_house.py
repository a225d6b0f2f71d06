"""The house's contract at run time: what each face loads, and what it does not."""

import subprocess
import sys

import pytest

FIRST_FRAME = """
import asyncio, sys
from tui.app import LyricApp

class Silent:
    snapshot = None
    async def runs(self):
        await asyncio.Event().wait()

async def show():
    app = LyricApp(Silent())
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        assert "space" in app.export_screenshot()

asyncio.run(show())
"""

SURVEY = """
import asyncio
from engine import Engine
from engine.corpus import library

async def survey():
    async with Engine() as engine:
        assert (await engine.survey(library.shipped()[0].path)).songs

asyncio.run(survey())
"""


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        ("import engine, engine.session, engine.config, engine.events", "textual"),
        ("from engine import Engine, Trainer, CharRNN, Run, Corpus, preset", "textual"),
        ("from engine import Engine, TrainingConfig; Engine()", "torch"),
        (SURVEY, "torch"),
        ("import tui.main, tui.commands", "torch"),
        (FIRST_FRAME, "torch"),
    ],
    ids=["engine", "all of engine", "an Engine", "a survey", "the command line", "the first frame"],
)
def test_a_face_loads_only_what_it_shows(code: str, absent: str) -> None:
    check = f"\nimport sys; sys.exit({absent!r} in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code + check], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr or f"{absent} was loaded"


def test_every_public_name_is_there() -> None:
    import engine

    assert all(getattr(engine, name) for name in engine.__all__)
    with pytest.raises(AttributeError, match="nothing_of_that_name"):
        engine.nothing_of_that_name  # noqa: B018
