"""The Studio, driven by key as a person would, on a real engine and tiny networks."""

from __future__ import annotations

import asyncio
import shutil
import time
import unicodedata
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from textual.app import SystemCommand
from textual.events import Paste
from textual.filter import Monochrome
from textual.pilot import Pilot
from textual.widgets import Input, OptionList, Static

from engine.corpus import library
from engine.events import RunState, TrainingSnapshot
from engine.session import Engine
from tui import keys
from tui.app import LyricApp
from tui.panes.generator import Generator
from tui.panes.inspector import Inspector
from tui.panes.key_bar import KeyBar
from tui.panes.live_line import LiveLine
from tui.panes.lyric_stream import StreamEntry
from tui.panes.training_chart import TrainingChart
from tui.screens.choose import Choose
from tui.screens.form import Form
from tui.screens.help import Help
from tui.screens.library import Library
from tui.screens.studio import MOST_NAMED, Studio

PATIENCE = 15.0  # seconds for what must happen; only a broken test waits so long
SONGS = "\n\n".join(
    f"春江花月{word}\n{word}上海潮平\n明月共{word}生\nla la la {word}"
    for word in "夜水山云风雨雪花鸟鱼"
)


class Hands:
    """A person at the app: presses, waits and looks."""

    def __init__(self, pilot: Pilot[None], app: LyricApp, engine: Engine) -> None:
        self.pilot, self.app, self.engine = pilot, app, engine
        self.studio = next(screen for screen in app.screen_stack if isinstance(screen, Studio))

    # -- doing --------------------------------------------------------------------------------

    async def press(self, *pressed: str) -> None:
        """Presses keys one by one, each as a person does: when the one before has shown."""
        for key in pressed:
            await self.pilot.press(key)
            await self.pilot.pause(0)

    async def write(self, text: str) -> None:
        """Types into the field that has the focus, in place of what stands there."""
        field = self.app.focused
        assert isinstance(field, Input)
        await self.press("end", *["backspace"] * len(field.value), *text)
        await self.until(lambda: field.value == text)

    async def paste(self, text: str) -> None:
        self.app.post_message(Paste(text))
        await self.pilot.pause(0)

    async def until(self, what: Callable[[], Any], why: str = "") -> None:
        """Waits until something is true."""
        deadline = time.monotonic() + PATIENCE
        while not what():
            if time.monotonic() > deadline:
                pytest.fail(f"{why or 'it'} never came; told: {self.told}\n{self.seen}")
            await self.pilot.pause(0.01)

    async def ready(self) -> None:
        await self.until(lambda: not self.studio._doing, "ready")

    async def until_trained(self, steps: int = 1) -> None:
        """Waits until so many more steps are done."""
        start = self.step
        await self.until(lambda: self.step >= start + steps, f"step {start + steps}")

    async def dialog(self, kind: type[Any] | tuple[type[Any], ...]) -> None:
        await self.until(lambda: isinstance(self.app.screen, kind), str(kind))
        await self.pilot.pause(0)
        await self.until(lambda: kind is Help or self.app.focused is not None, "focus")

    async def sees(self, *words: str) -> None:
        for word in words:
            await self.until(lambda word=word: word in self.seen, word)

    async def closed(self) -> None:
        await self.until(lambda: self.app.screen is self.studio, "the end of the dialog")

    async def choose_typed(self, text: str) -> None:
        """In a list to choose from: types a path instead."""
        await self.dialog((Choose, Library))
        while not isinstance(self.app.focused, Input):
            await self.press("tab")
        await self.paste(text)
        await self.press("enter")
        await self.closed()

    # -- looking ------------------------------------------------------------------------------

    @property
    def lines(self) -> list[str]:
        """What the terminal shows, line by line."""
        strips = self.app.screen._compositor.render_strips()
        return ["".join(segment.text for segment in strip) for strip in strips]

    @property
    def seen(self) -> str:
        return "\n".join(self.lines)

    @property
    def snapshot(self) -> TrainingSnapshot:
        assert self.engine.snapshot is not None
        return self.engine.snapshot

    @property
    def step(self) -> int:
        return self.snapshot.step if self.engine.snapshot else 0

    @property
    def figures(self) -> str:
        return self.studio.query_one("#figures", LiveLine).text

    @property
    def where(self) -> str:
        return self.studio.query_one("#where", LiveLine).text

    @property
    def bar(self) -> str:
        strips = [self.studio.query_one(KeyBar).render_line(y).text for y in range(2)]
        return " ".join(strips)

    @property
    def told(self) -> list[str]:
        """The notifications that are shown."""
        return [notification.message for notification in self.app._notifications]

    @property
    def texts(self) -> tuple[StreamEntry, ...]:
        return self.studio.query_one(Generator).stream.entries

    @property
    def inspector(self) -> Inspector:
        return self.studio.query_one(Inspector)

    @property
    def chart(self) -> TrainingChart:
        return self.studio.query_one(TrainingChart)

    @property
    def subtitle(self) -> str:
        return str(self.studio.query_one(Generator).border_subtitle)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A place of one's own, in a language of songs, where waiting is the test's own business."""
    monkeypatch.setenv("LYRICRNN_HOME", str(tmp_path))
    monkeypatch.setenv("LC_ALL", "en_GB.UTF-8")
    monkeypatch.delenv("NO_COLOR", raising=False)

    async def at_once(*_: float) -> None:
        await asyncio.sleep(0)

    # Pilot waits until the process is idle, which it never is while a network trains.
    monkeypatch.setattr("textual.app.wait_for_idle", at_once)
    monkeypatch.setattr("textual.pilot.wait_for_idle", at_once)
    monkeypatch.setattr("engine.training.prepare.MEASURED_SECONDS", 0.2)
    return tmp_path


@pytest.fixture
def songs(home: Path) -> str:
    path = home / "songs.txt"
    path.write_text(SONGS, encoding="utf-8")
    return str(path)


@pytest.fixture(scope="session")
def made_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that has begun and would take days, once for all tests."""
    from engine.config import CorpusConfig, ModelConfig, TrainingConfig
    from engine.corpus.corpus import Corpus
    from engine.training import prepare

    path = tmp_path_factory.mktemp("made") / "run"
    config = TrainingConfig(
        model=ModelConfig(hidden=8, embedding=4, dropout=0.1),
        corpus=CorpusConfig(held_out=0.3),
        batch=2,
        time_steps=8,
        steps=400_000,
        evaluate_every=40,
        checkpoint_every=400_000,
        sample_every=400_000,
        patience=0,
        threads=1,
        precision="fp32",
        device="cpu",
    )
    corpus = Corpus.from_text(SONGS, config=config.corpus)
    run, _ = prepare.new_run(path, corpus, config, str(path.parent / "songs.txt"))
    _advance(run, 60)
    return path


def _advance(run: Any, steps: int) -> None:
    """Trains a run to that step, and saves it."""
    import torch

    from engine.training import prepare
    from engine.training.loop import TrainingLoop

    loop = TrainingLoop(run, prepare.trainer_for(run, torch.device("cpu")))
    loop.restore()
    while loop.trainer.step_count < steps:
        loop.advance()
    loop.save()
    loop.close()


@pytest.fixture
def long_run(home: Path, made_run: Path) -> Path:
    """That run among one's own, and its songs where it found them."""
    (made_run.parent / "songs.txt").write_text(SONGS, encoding="utf-8")
    return Path(shutil.copytree(made_run, home / "runs" / "songs-1"))


@asynccontextmanager
async def opened(
    corpus: str | None = None, size: tuple[int, int] = (120, 40), *, wait: bool = True
) -> AsyncIterator[Hands]:
    async with Engine() as engine:
        app = LyricApp(engine, corpus)
        async with app.run_test(size=size) as pilot:
            hands = Hands(pilot, app, engine)
            if wait:
                await hands.ready()
            yield hands


def saved_step(run: Path) -> int:
    """The step of the newest checkpoint that is whole."""
    from engine.training.run import Run

    found = Run.open(run).newest_checkpoint([])
    return 0 if found is None else found.manifest.progress.step


# Training


async def test_a_new_run_from_the_form_to_its_end(home: Path, songs: str) -> None:
    async with opened(songs) as hands:
        assert "ready" in hands.figures
        assert "songs.txt" in hands.where
        assert "space train" in hands.bar
        assert "月" in hands.seen  # the vocabulary is there before any network
        await hands.press("n")
        await hands.dialog(Form)
        await hands.write("tiny")
        await hands.press("tab")
        await hands.write("0.03")
        await hands.press("tab", "tab")
        await hands.write("8")
        await hands.press("enter")
        await hands.until(lambda: "preparing" in hands.figures, "preparing")
        await hands.until(lambda: "finished" in hands.figures, "finished")
        await hands.until(lambda: any("Finished at step" in told for told in hands.told))
        assert "GRU 8" in hands.where
        assert hands.texts
        assert hands.chart._training.points
        assert hands.chart._held_out.points
        assert "space train" in hands.bar
        await hands.press("i")
        await hands.sees("embedding.weight")
        (run,) = (home / "runs").iterdir()
        assert saved_step(run) == hands.step


async def test_pause_go_on_save_stop_and_go_on(long_run: Path) -> None:
    async with opened() as hands:
        assert "stopped" in hands.figures
        assert "space go on" in hands.bar
        await hands.press("space")
        await hands.until(lambda: hands.snapshot.state is RunState.TRAINING)
        await hands.until_trained(3)
        await hands.press("space")
        await hands.until(lambda: "paused" in hands.figures, "paused")
        await hands.until(lambda: "space go on" in hands.bar)
        paused_at = hands.step
        for _ in range(20):
            await hands.pilot.pause(0.01)
        assert hands.step == paused_at > 60

        await hands.press("w")
        await hands.until(lambda: hands.told)
        assert hands.told == [f"Saved at step {paused_at}."]
        assert saved_step(long_run) == paused_at
        assert hands.snapshot.state is RunState.PAUSED

        await hands.press("space")
        await hands.until_trained(3)
        await hands.until(lambda: "space pause" in hands.bar)
        await hands.press("x")
        await hands.until(lambda: "stopped" in hands.figures, "stopped")
        stopped_at = hands.step
        assert saved_step(long_run) == stopped_at > paused_at
        await hands.until(lambda: "space go on" in hands.bar)

        await hands.press("space")
        await hands.until(lambda: hands.snapshot.state is RunState.TRAINING)
        await hands.until_trained(3)
        assert hands.step > stopped_at
        assert "songs-1" in hands.where
    assert [run.name for run in long_run.parent.iterdir()] == ["songs-1"]


async def test_quitting_saves_and_starting_again_offers_to_go_on(long_run: Path) -> None:
    async with opened() as hands:
        await hands.press("space")
        await hands.until_trained(20)
        await hands.press("q")
        await hands.until(lambda: hands.app._exit, "the end")
        assert hands.app.return_code == 0
        left_at = hands.step
    assert saved_step(long_run) == left_at  # not a step was lost
    async with opened() as hands:
        assert hands.step == left_at
        assert "space go on" in hands.bar
        await hands.press("space")
        await hands.until_trained(1)
        assert "songs-1" in hands.where


@pytest.mark.parametrize("state", ["opening", "dialog", "preparing", "paused", "writing"])
async def test_one_can_leave_at_any_time(long_run: Path, state: str) -> None:
    async with opened(wait=state != "opening") as hands:
        if state == "dialog":
            await hands.press("n")
            await hands.dialog(Form)
        elif state == "preparing":
            await hands.press("n")
            await hands.dialog(Form)
            await hands.press("enter")
            await hands.until(lambda: "preparing" in hands.figures)
        elif state == "paused":
            await hands.press("space")
            await hands.until_trained(1)
            await hands.press("space")
            await hands.until(lambda: "paused" in hands.figures)
        elif state == "writing":
            await hands.press("p", "enter")
            await hands.until(lambda: len(hands.texts) == 1)
        await hands.press("ctrl+q")
        await hands.until(lambda: hands.app._exit, "the end")
    assert hands.engine._thread is not None
    assert not hands.engine._thread.is_alive()
    assert saved_step(long_run) >= 60
    assert [run.name for run in long_run.parent.iterdir()] == ["songs-1"]


async def test_what_could_not_be_saved_is_said_when_leaving(
    long_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from engine.errors import CheckpointError
    from engine.training import checkpoint

    def full(*_: Any, **__: Any) -> None:
        raise CheckpointError("The checkpoint could not be written: No space left on device.")

    async with opened() as hands:
        await hands.press("space")
        await hands.until_trained(1)
        monkeypatch.setattr(checkpoint, "write", full)
        await hands.press("w")
        await hands.until(lambda: any("No space left" in told for told in hands.told))
        assert not any("Saved" in told for told in hands.told)
        await hands.press("w")
        await hands.until_trained(1)
        assert len(hands.told) == 1  # the same again does not pile up
        await hands.press("q")
        await hands.until(lambda: hands.app._exit, "the end")
        said = [str(renderable) for renderable in hands.app._exit_renderables]
        assert hands.app.return_code == 1
    assert said == ["The checkpoint could not be written: No space left on device."]


async def test_a_second_run_does_not_end_the_first_for_nothing(long_run: Path) -> None:
    """What cannot be opened or trained leaves the run that trains as it is."""
    async with opened() as hands:
        await hands.press("space")
        await hands.until_trained(1)
        await hands.press("o")
        await hands.choose_typed("/no/such/run")
        await hands.until(lambda: any("/no/such/run" in told for told in hands.told))
        await hands.until(lambda: "space pause" in hands.bar)
        await hands.until_trained(3)
        Path(hands.studio._corpus or "").unlink()
        await hands.press("n")
        await hands.dialog(Form)
        await hands.press("enter")
        await hands.until(lambda: any("neither a file" in told for told in hands.told))
        await hands.until(lambda: "space pause" in hands.bar)
        await hands.until_trained(3)
        assert "songs-1" in hands.where


async def test_a_run_that_another_process_trains(long_run: Path) -> None:
    from engine.training.run import Run

    other = Run.open(long_run)
    other.lock()
    try:
        async with opened() as hands:
            await hands.press("space")
            await hands.until(lambda: any("another process" in told for told in hands.told))
            await hands.until(lambda: "stopped" in hands.figures)
            await hands.press("m")  # and the app goes on
            assert hands.chart.metric == "perplexity"
    finally:
        other.unlock()
    assert saved_step(long_run) == 60


async def test_a_run_whose_folder_goes_away(long_run: Path) -> None:
    async with opened() as hands:
        shutil.rmtree(long_run)
        await hands.press("space")
        await hands.until(lambda: any("There is no run at" in told for told in hands.told))
        await hands.press("g")
        await hands.until(lambda: hands.texts, "a text of what is in memory")


async def test_a_run_without_a_checkpoint_is_no_news(home: Path, long_run: Path) -> None:
    shutil.rmtree(long_run / "checkpoints")
    (long_run / "checkpoints").mkdir()
    async with opened() as hands:
        assert hands.told == []
        assert "english" in hands.where


# Writing


async def test_it_writes_while_it_trains(long_run: Path) -> None:
    async with opened() as hands:
        await hands.press("space")
        await hands.until_trained(1)
        await hands.press("p", *"春江")
        assert hands.studio.query_one("#prompt", Input).value == "春江"
        assert "春江" in hands.seen
        before = hands.step
        await hands.press("enter")
        await hands.until(lambda: hands.texts, "a text")
        assert hands.texts[-1].prompt == "春江"
        lengths: set[int] = set()
        while hands.studio.situation.writing and len(lengths) < 8:
            lengths.add(len(hands.texts[-1].text))
            await hands.pilot.pause(0.01)
        assert len(lengths) == 8  # it grows a few characters at a time
        assert hands.step > before
        assert max(lengths) < 400

        assert hands.app.focused is None  # the next key is a command
        await hands.until(lambda: "g end text" in hands.bar)
        await hands.press("g")
        await hands.until(lambda: "g write" in hands.bar)
        await hands.until(lambda: hands.texts[-1].note == "ended")
        assert len(hands.texts[-1].text) < 400
        assert hands.texts[-1].prompt == "春江"


async def test_the_same_seed_writes_the_same(long_run: Path) -> None:
    async with opened() as hands:
        await hands.press("t")
        await hands.dialog(Form)
        for value in ("0.5", "3", "1", "7", "20"):
            await hands.write(value)
            await hands.press("tab")
        await hands.press("enter")
        await hands.closed()
        await hands.until(lambda: hands.subtitle == "temperature 0.50 · top-k 3 · seed 7")
        for number in (1, 2):
            await hands.press("g")
            await hands.until(lambda number=number: len(hands.texts) == number)
            await hands.until(lambda: not hands.studio.situation.writing)
        first, second = hands.texts
        assert first == second
        assert len(first.text) == 20
        assert first.note == ""
        assert "seed 7" in first.header
        assert "temperature 0.50" in first.header
    async with opened() as hands:  # they are kept with the run
        assert first.text in {entry.text for entry in hands.texts}


async def test_unknown_characters_are_named(long_run: Path) -> None:
    async with opened() as hands:
        await hands.press("p", *"春ΩQ")
        await hands.press("enter")
        await hands.until(lambda: hands.told)
        assert hands.told == ["The songbook has no Ω Q: left out of the prompt."]
        await hands.until(lambda: hands.texts and hands.texts[0].text)
        await hands.press("p")
        await hands.write("".join(chr(ord("А") + n) for n in range(20)))
        await hands.press("enter")
        await hands.until(lambda: len(hands.told) == 2)
        assert f"and {20 - MOST_NAMED} more" in hands.told[-1]


async def test_a_text_that_is_begun_and_ended_at_once(long_run: Path) -> None:
    async with opened() as hands:
        for _ in range(6):
            hands.studio.action_generate()
        assert hands.studio.situation.writing
        await hands.until(lambda: not hands.studio.situation.writing)
        assert hands.texts == ()
        await hands.press("g")
        await hands.until(lambda: hands.texts, "a text")


async def test_going_on_leaves_a_text_in_peace(long_run: Path) -> None:
    async with opened() as hands:
        await hands.press("g")
        await hands.until(lambda: hands.texts and hands.texts[0].text)
        await hands.press("space")
        await hands.until_trained(1)
        length = len(hands.texts[0].text)
        await hands.until(lambda: len(hands.texts[0].text) > length)


async def test_there_must_be_a_network_to_write_with(songs: str) -> None:
    async with opened(songs) as hands:
        assert "g write" not in hands.bar
        await hands.press("g")
        assert hands.texts == ()
        await hands.press("p", "a", "enter")
        await hands.until(lambda: hands.told)
        assert hands.told == ["There is no network to write with yet: space trains one."]


async def test_a_value_out_of_range_is_told_and_the_form_stays(long_run: Path) -> None:
    async with opened() as hands:
        await hands.press("t")
        await hands.dialog(Form)
        await hands.press("tab", "tab")
        await hands.write("7")
        await hands.press("enter")
        complaint = hands.app.screen.query_one("#complaint", Static)
        await hands.until(lambda: str(complaint.render()))
        assert "top_p = '7' cannot be used" in str(complaint.render())
        assert "top_p = '7' cannot be used" in hands.seen
        await hands.write("0.9")
        await hands.press("enter")
        await hands.closed()
        await hands.until(lambda: hands.subtitle == "temperature 0.80 · top-p 0.9")
        await hands.press("t")
        await hands.dialog(Form)
        await hands.write("99")
        await hands.press("escape")
        await hands.closed()
        assert hands.subtitle == "temperature 0.80 · top-p 0.9"


async def test_warmer_and_cooler(long_run: Path) -> None:
    async with opened() as hands:
        await hands.press("plus")
        assert hands.subtitle == "temperature 0.85"
        await hands.press("equals_sign")
        assert hands.subtitle == "temperature 0.90"
        await hands.press(*["minus"] * 20)
        assert hands.subtitle == "temperature 0.00"
        await hands.press("plus")
        assert hands.subtitle == "temperature 0.05"


# Looking


async def test_metric_and_axis(long_run: Path) -> None:
    async with opened() as hands:
        titles = []
        for key in "mlmm":
            await hands.press(key)
            titles.append(str(hands.chart.border_title))
        assert titles == ["perplexity", "perplexity, log", "bits per character, log", "loss, log"]
        await hands.press("l")
        assert hands.chart.border_title == "loss"


async def test_the_pages_of_the_inspector(long_run: Path) -> None:
    async with opened() as hands:
        await hands.sees("entries, ")
        await hands.press("i")
        await hands.sees("embedding.weight", "(3H, E)", "(24, 4)", "one row of features")
        await hands.press("i")
        await hands.sees("ids", "logits", "(B, T, V)", "(2, 8, ")
        await hands.press("i")
        assert hands.inspector.tab == "vocabulary"
        await hands.press("/", "月")
        await hands.until(lambda: "1 of " in hands.seen)
        assert "月" in hands.seen
        await hands.press("escape")
        await hands.until(lambda: "1 of " not in hands.seen)


async def test_an_earlier_run_comes_back_whole(home: Path, long_run: Path) -> None:
    other = Path(shutil.copytree(long_run, home / "runs" / "other-2"))
    (other / "samples.jsonl").write_text("")
    async with opened() as hands:
        await hands.press("t")
        await hands.dialog(Form)
        await hands.press("tab", "tab", "tab", "tab")
        await hands.write("30")
        await hands.press("enter")
        await hands.closed()
        first = "songs-1" if "songs-1" in hands.where else "other-2"
        await hands.press("space")
        await hands.until_trained(60)
        await hands.press("g")
        await hands.until(lambda: len(hands.texts) == 1)
        await hands.until(lambda: not hands.studio.situation.writing)
        await hands.press("x")
        await hands.until(lambda: "stopped" in hands.figures)
        step, texts, held_out = hands.step, hands.texts, hands.chart._held_out.points[:]

        second = {"songs-1", "other-2"} - {first}
        await hands.press("o")
        await hands.dialog(Choose)
        assert all(name in hands.seen for name in ("songs-1", "other-2", "GRU 8"))
        names = [choice.value for choice in hands.app.screen._choices]  # type: ignore[attr-defined]
        await hands.press(*["down"] * [Path(name).name in second for name in names].index(True))
        await hands.press("enter")
        await hands.closed()
        await hands.until(lambda: next(iter(second)) in hands.where)
        assert hands.texts == ()
        assert hands.step == 60

        await hands.press("o")
        await hands.choose_typed(str(home / "runs" / first))
        await hands.until(lambda: first in hands.where)
        assert hands.step == step
        assert [entry.text for entry in hands.texts] == [entry.text for entry in texts]
        assert hands.chart._held_out.points == held_out
        assert len(hands.chart._training.points) > 0
        await hands.press("i")
        await hands.sees("embedding.weight")


async def test_another_corpus(home: Path, long_run: Path) -> None:
    async with opened() as hands:
        await hands.press("c")
        await hands.dialog(Library)
        shipped = library.shipped()
        assert all(entry.title in hands.seen for entry in shipped)
        assert "␊" not in hands.seen
        await hands.press("enter")
        await hands.closed()
        await hands.until(lambda: shipped[0].path.name in hands.where)
        assert "space train" in hands.bar
        assert "g write" not in hands.bar
        assert hands.texts == ()

        (home / "mine.txt").write_text("甲乙丙丁\n" * 40, encoding="utf-8")
        await hands.press("c")
        await hands.choose_typed(str(home / "mine.txt"))
        await hands.until(lambda: "mine.txt" in hands.where)
        assert "甲" in hands.seen
        await hands.press("c")
        await hands.sees("used: mine.txt")


async def test_corpora_that_cannot_be_used(home: Path, long_run: Path) -> None:
    """Each is told in a sentence where it was named, and what trains goes on."""
    (home / "folder").mkdir()
    contents = {"empty": b"", "binary": bytes(range(256)) * 8, "one-character": b"x"}
    for name, data in contents.items():
        (home / name).write_bytes(data)
    async with opened() as hands:
        await hands.press("space")
        await hands.until_trained(1)
        for name in ["missing", "folder", *contents]:
            await hands.press("c")
            await hands.dialog(Library)
            while not isinstance(hands.app.focused, Input):
                await hands.press("tab")
            await hands.paste(str(home / name))
            await hands.press("enter")
            report = hands.app.screen.query_one("#report", Static)
            await hands.until(lambda report=report: report.has_class("bad"), name)
            assert name in str(report.content)
            assert str(report.content).endswith(".")
            await hands.press("escape")
            await hands.closed()
            await hands.until_trained(1)
            assert "space pause" in hands.bar
            assert "songs-1" in hands.where


# The keys


async def test_every_action_has_its_key(long_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pressed: list[str] = []
    for action in keys.STUDIO:
        monkeypatch.setattr(
            Studio, f"action_{action.name}", lambda self, name=action.name: pressed.append(name)
        )
    monkeypatch.setattr(Studio, "situation", keys.Situation(training=True, network=True))
    async with opened() as hands:
        for action in keys.STUDIO:
            for key in action.key.removesuffix(",ctrl+q").split(","):  # that one is the app's
                pressed.clear()
                await hands.press(key)
                assert pressed == [action.name], key


async def test_every_action_is_in_the_help_and_in_the_palette(long_run: Path) -> None:
    async with opened() as hands:
        await hands.press("space")
        await hands.until_trained(1)
        await hands.press("f1")
        await hands.dialog(Help)
        statics = hands.app.screen.query(Static)
        help_text = "\n".join(str(static.render()) for static in statics)
        commands: list[SystemCommand] = list(hands.app.get_system_commands(hands.studio))
        for action in keys.STUDIO:
            assert action.help in help_text
            assert any(c.title.endswith(f"({action.shown}): {action.help}") for c in commands)
        await hands.press("escape")
        await hands.closed()

        await hands.press("ctrl+p")
        await hands.until(lambda: hands.app.screen is not hands.studio)
        await hands.press(*"perplexity")
        await hands.until(
            lambda: [
                option for option in hands.app.screen.query(OptionList) if option.option_count == 1
            ],
            "the one command with that word",
        )
        await hands.press("enter")
        await hands.until(lambda: hands.chart.metric == "perplexity")


async def test_keys_that_mean_nothing_now_do_nothing(songs: str) -> None:
    async with opened(songs) as hands:
        await hands.press(*"xwg")
        await hands.press("escape", "enter", "f5", "ctrl+c", "ctrl+z", "delete")
        assert "ready" in hands.figures
        assert hands.app.screen is hands.studio


async def test_keys_typed_ahead_are_not_lost(home: Path, long_run: Path) -> None:
    """Over a slow line they arrive at once, while the Studio still prepares the first."""
    async with opened() as hands:
        hands.app.simulate_key("space")
        hands.app.simulate_key("space")
        await hands.until(lambda: "paused" in hands.figures)
        hands.app.simulate_key("x")
        hands.app.simulate_key("space")
        await hands.until_trained(1)
    async with opened() as hands:
        hands.app.simulate_key("space")
        hands.app.simulate_key("n")
        await hands.dialog(Form)
        await hands.write("tiny")
        await hands.press("enter")
        await hands.until(lambda: len(list((home / "runs").iterdir())) == 2, "a second run")
        await hands.until_trained(1)
        assert "songs-1" not in hands.where


@pytest.mark.parametrize("key", ["escape", "enter"])
async def test_a_key_pressed_twice_closes_one_dialog(long_run: Path, key: str) -> None:
    """A slow line brings both at once; the second must not take the Studio away."""
    for opens in ("o", "t", "ctrl+p"):
        async with opened() as hands:
            await hands.press(opens)
            await hands.until(lambda: hands.app.screen is not hands.studio)
            await hands.until(lambda: hands.app.focused is not None)
            for _ in range(3):
                hands.app.simulate_key(key)
            if key == "escape" or opens != "ctrl+p":
                await hands.closed()
            for _ in range(5):
                await hands.pilot.pause(0)
            assert hands.studio in hands.app.screen_stack
            await hands.ready()
            await hands.press("escape", "m")
            await hands.until(lambda: hands.chart.metric == "perplexity")


async def test_any_keys_at_all(long_run: Path, seed: int) -> None:
    """Whatever is pressed, the app stands, and leaving saves."""
    import random

    random.seed(seed)
    pool = [key for a in keys.STUDIO if a.name != "leave" for key in a.key.split(",")]
    pool += ["tab", "shift+tab", "escape", "enter", "up", "down", "left", "right", "春", "7", "["]
    pool += ["pageup", "pagedown", "home", "end", "backspace", "ctrl+p", "escape", "escape"]
    async with opened(size=(100, 30)) as hands:
        for _ in range(100):
            key = random.choice(pool)
            if key == "enter" and isinstance(hands.app.screen, Form):
                key = "escape"  # a preset of minutes would be measured for seconds
            if key == "space" and "space train" in hands.bar:
                continue
            await hands.press(key)
        while hands.app.screen is not hands.studio:
            await hands.press("escape")
        await hands.ready()
        await hands.press("ctrl+q")
        await hands.until(lambda: hands.app._exit, "the end")
        assert hands.app.return_code == 0


# Hostile text

HOSTILE = (
    "\x1b[2J\x1b[31m[Chorus]\n[/ [bold]x[/bold] \\[x]\n\u202eabc\u202c \u2066z\u2069\u200b\n"
    "e\u0301\u0301\u0301 \u0300n\x9b31m\x07\x08\x7f\ttab\r\n[/]\u2028\ufeff👩\u200d🚀春\n\n"
)


def harmless(hands: Hands) -> None:
    """Nothing on the screen is a control character, or steers or hides what stands beside it."""
    for line in hands.lines:
        bad = [c for c in line if unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"}]
        assert bad == [], repr(line)


async def test_hostile_text_is_shown_and_never_obeyed(home: Path) -> None:
    path = home / "so[ngs [bold]\x1b[2J\u202e.txt"
    path.write_text(HOSTILE * 60, encoding="utf-8")
    async with opened(str(path)) as hands:
        harmless(hands)
        assert "so[ngs [bold]" in hands.where
        assert "␛" in hands.seen
        await hands.press("n")
        await hands.dialog(Form)
        await hands.write("tiny")
        await hands.press("tab")
        await hands.write("0.01")
        await hands.press("tab", "tab")
        await hands.write("8")
        await hands.press("enter")
        await hands.until(lambda: hands.engine.snapshot and hands.snapshot.state.ended)
        await hands.until(lambda: any("Finished at step" in told for told in hands.told))
        harmless(hands)

        await hands.press("p")
        await hands.paste("[Chorus]\x1b[2J\u202e [/\x9b31m")
        await hands.until(lambda: "[Chorus]␛[2J‹U+202E› [/‹9B›31m" in hands.seen)
        await hands.press("enter")
        await hands.until(lambda: len(hands.told) == 2, "the unknown characters")
        harmless(hands)
        await hands.until(lambda: hands.texts and len(hands.texts[-1].text) > 60)
        await hands.press("escape", "g")
        await hands.until(lambda: not hands.studio.situation.writing)
        harmless(hands)
        written = "".join(entry.text for entry in hands.texts)
        assert "\x1b" in written or "\u202e" in written or "[" in written
        for _ in range(3):
            await hands.press("i")
            harmless(hands)
        for key, kind in (("c", Library), ("o", Choose), ("t", Form), ("f1", Help)):
            await hands.press(key)
            await hands.dialog(kind)
            harmless(hands)
            if kind is Choose:
                while not isinstance(hands.app.focused, Input):
                    await hands.press("tab")
                await hands.paste("/no\x1b[2J[/\u202e")
                harmless(hands)
                await hands.press("enter")
                await hands.closed()
                await hands.ready()
                await hands.pilot.pause(0)
                harmless(hands)
            else:
                await hands.press("escape")
                await hands.closed()
        await hands.press("/")
        await hands.paste("\x1b")
        await hands.pilot.pause(0)
        harmless(hands)


async def test_a_long_paste_is_cut(long_run: Path) -> None:
    async with opened() as hands:
        await hands.press("p")
        await hands.paste("春江花月夜" * 2000 + "\nand a second line")
        prompt = hands.studio.query_one("#prompt", Input)
        await hands.until(lambda: prompt.value)
        assert prompt.value == "春江花月夜" * 400
        await hands.press("enter")
        await hands.until(lambda: hands.texts and hands.texts[0].text, "a text")


# Screens


def shown(hands: Hands) -> set[str]:
    """The panes that have room on the screen."""
    panes = {name: hands.studio.query_one(f"#{name}") for name in ("chart", "generator")}
    panes["inspector"] = hands.inspector
    return {name for name, pane in panes.items() if pane.region.area and pane.is_on_screen}


async def test_three_panes_side_by_side(long_run: Path) -> None:
    async with opened(size=(120, 40)) as hands:
        assert shown(hands) == {"chart", "generator", "inspector"}
        regions = [hands.studio.query_one(f"#{n}").region for n in ("chart", "generator")]
        regions.append(hands.inspector.region)
        assert all(
            not one.overlaps(other) for one in regions for other in regions if one is not other
        )
        for word in ("nats", "prompt", "vocabulary", "step 60/400,000", "F1 help"):
            assert word in hands.seen


async def test_eighty_by_twenty_four(long_run: Path) -> None:
    async with opened(size=(80, 24)) as hands:
        assert shown(hands) == {"chart", "generator"}
        for action in keys.STUDIO:
            if action.in_bar and action.when(hands.studio.situation):
                assert f"{action.shown} {action.label_in(hands.studio.situation)}" in hands.bar
        for page in ("vocabulary", "tensors", "shapes"):
            await hands.press("i")
            assert shown(hands) == {"inspector"}
            assert hands.inspector.tab == page
        await hands.press("i")
        assert shown(hands) == {"chart", "generator"}
        await hands.press("/", "月")
        assert shown(hands) == {"inspector"}
        await hands.until(lambda: "1 of " in hands.seen)
        await hands.press("escape")
        await hands.press("p")  # the prompt must be seen to be typed
        await hands.until(lambda: shown(hands) == {"chart", "generator"})
        await hands.press("春")
        assert hands.studio.query_one("#prompt", Input).value == "春"


async def test_every_pane_can_have_the_screen(long_run: Path) -> None:
    async with opened() as hands:
        seen = set()
        for _ in range(5):
            await hands.press("tab")
            if isinstance(hands.app.focused, Input):
                continue  # z is a letter there
            await hands.press("z")
            (alone,) = shown(hands)
            seen.add(alone)
            await hands.press("z")
            assert len(shown(hands)) == 3
        assert seen == {"chart", "generator", "inspector"}


async def test_a_hidden_pane_comes_when_it_is_asked_for(long_run: Path) -> None:
    async with opened() as hands:
        await hands.press("tab", "z")
        assert shown(hands) == {"chart"}
        await hands.press("/")
        await hands.until(lambda: "inspector" in shown(hands))
        await hands.press("月")
        await hands.until(lambda: "1 of " in hands.seen)
        await hands.press("escape", "escape", "z")
        assert shown(hands) == {"inspector"}
        await hands.press("p")
        await hands.until(lambda: "generator" in shown(hands))
        await hands.press("月")
        assert hands.studio.query_one("#prompt", Input).value == "月"


async def test_a_terminal_too_small_says_so_and_recovers(long_run: Path) -> None:
    async with opened(size=(38, 10)) as hands:
        await hands.sees("This terminal is 38 × 10", "press q")
        assert shown(hands) == set()
        await hands.pilot.resize_terminal(120, 40)
        await hands.until(lambda: len(shown(hands)) == 3)
        assert "This terminal" not in hands.seen
        await hands.press("space")
        await hands.until_trained(1)
        await hands.press("n")
        await hands.dialog(Form)
        await hands.pilot.resize_terminal(39, 11)  # with a dialog open, while it trains
        await hands.until_trained(1)
        await hands.press("escape")
        await hands.closed()
        await hands.until(lambda: "This terminal is 39 × 11" in hands.seen)
        await hands.pilot.resize_terminal(40, 12)
        await hands.until(lambda: shown(hands) == {"chart", "generator"})
        before = hands.step
        await hands.until(lambda: hands.step > before)


@pytest.mark.parametrize("key", ["c", "o", "n", "t", "f1"])
async def test_dialogs_can_be_used_on_the_smallest_screen(home: Path, made_run: Path, key: str):
    for number in range(12):
        shutil.copytree(made_run, home / "runs" / f"songs-{number}")
    async with opened(size=(40, 12)) as hands:
        await hands.press(key)
        await hands.until(lambda: hands.app.screen is not hands.studio)
        await hands.pilot.pause(0)
        fields = list(hands.app.screen.query(Input))
        if fields:
            while hands.app.focused is not fields[-1]:
                await hands.press("tab")
            await hands.until(lambda: fields[-1].region.bottom <= 12 and fields[-1].region.area)
            await hands.press("x")
            assert any("x" in line for line in hands.lines)
        if key in "nt":
            await hands.press("enter")
            await hands.until(lambda: "cannot be used" in hands.seen, "the complaint")


async def test_without_colours(long_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with opened() as hands:
        assert any(isinstance(shade, Monochrome) for shade in hands.app._filters)
        await hands.press("space")
        await hands.until(lambda: " training " in hands.seen)
        await hands.press("space")
        await hands.until(lambda: " paused " in hands.seen)
        assert "smoothed" in hands.seen
        assert "◆⠒ held-out" in hands.seen
