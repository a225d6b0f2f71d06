"""The Studio: chart, generator and inspector of one run, and the keys that drive it."""

from __future__ import annotations

import asyncio
import math
import os
import re
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import Screen
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Static

from engine.config import CorpusConfig, GenerationConfig, TrainingConfig
from engine.corpus import library
from engine.corpus.decoding import EncodingError
from engine.errors import LyricError
from engine.events import (
    Checkpointed,
    Evaluated,
    Event,
    Failed,
    Finished,
    Noted,
    RunState,
    RunView,
    Sampled,
    StateChanged,
    TrainingSnapshot,
    Warned,
)
from engine.session import Engine, RunHandle, TextStream
from engine.training.plan import PRESETS, preset
from tui import display, keys
from tui.keys import Situation
from tui.panes.generator import Generator
from tui.panes.inspector import TABS, FlowRow, Inspector, TensorRow
from tui.panes.key_bar import KeyBar
from tui.panes.live_line import LiveLine, Part
from tui.panes.lyric_stream import StreamEntry
from tui.panes.training_chart import TrainingChart
from tui.screens.choose import Choice, Choose
from tui.screens.form import Field, Form
from tui.screens.help import Help
from tui.screens.library import Chosen, Library
from tui.slow_line import SlowLineCompositor

if TYPE_CHECKING:
    from tui.screens.writing import Writing

LOOKS_PER_SECOND = 5  # how often the figures of now are read while training
LOOKS_PER_LINE = 2  # the line of figures changes at every second look: eyes need no more
CHARACTERS_PER_SECOND = 80  # the pace at which a text appears: quick reading
MOST_NAMED = 12  # unknown characters that a notification names
SMALLEST = (40, 12)
WIDE = 100  # columns from which chart, generator and inspector stand side by side


class Studio(Screen[None]):
    """One screen, one run. It asks the engine and shows what the engine says."""

    CSS_PATH = "../styles/studio.tcss"
    BINDINGS: ClassVar[list[BindingType]] = list(keys.bindings(keys.STUDIO))
    AUTO_FOCUS = ""

    def __init__(self, engine: Engine, corpus: str | None = None) -> None:
        super().__init__()
        self._compositor = SlowLineCompositor()
        self._engine = engine
        self._asked_corpus = corpus
        self._corpus: str | None = None
        self._corpus_name = ""
        self._corpus_config = CorpusConfig()
        self._view: RunView | None = None
        self._run: RunHandle | None = None
        self._text: TextStream | None = None
        self._cut: TextStream | None = None  # the text that was ended before its end
        self._writing_own: set[tuple[int, str]] = set()
        self._generation = GenerationConfig(length=400)
        self._doing: list[str] = []  # in a word each: what is being done, and what waits for it
        self._turn = asyncio.Lock()
        self._saved_step: int | None = None
        self._opened_step: int | None = None  # of the weights, where they are not those of now
        self._warned = ""
        self._last_words: list[str] = []  # what went wrong while leaving
        self._looks = 0
        self._charted_step = -1
        self._timer: Timer | None = None
        self._writing: Writing | None = None

    def compose(self) -> ComposeResult:
        yield LiveLine(id="where")
        yield LiveLine(id="figures")
        with Horizontal(id="panes"):
            with Vertical(id="left"):
                yield TrainingChart("space trains; the loss appears here", id="chart")
                yield Generator(id="generator")
            yield Inspector(id="inspector")
        yield KeyBar(id="keys")
        yield Static("", id="too-small", markup=False)

    def on_mount(self) -> None:
        self._chart.border_title = "loss"
        self._chart.can_focus = True  # so that it can be zoomed
        self._generator.border_title = "writing"
        self.query_one(Inspector).border_title = "network"
        self._show_settings()
        self._show_now()
        self._timer = self.set_interval(1 / LOOKS_PER_SECOND, self._look, pause=True)
        self._start_alone("opening", self._begin())

    # -- parts ------------------------------------------------------------------------------

    @property
    def _chart(self) -> TrainingChart:
        return self.query_one(TrainingChart)

    @property
    def _generator(self) -> Generator:
        return self.query_one(Generator)

    @property
    def _inspector(self) -> Inspector:
        return self.query_one(Inspector)

    @property
    def actions(self) -> tuple[keys.Action, ...]:
        """The rows of the table that are for this screen."""
        return keys.STUDIO

    @property
    def situation(self) -> Situation:
        """What can be done now."""
        snapshot = self._engine.snapshot
        return Situation(
            training=self._run is not None,
            paused=snapshot is not None and snapshot.state is RunState.PAUSED,
            resumable=self._run is None and self._steps_left,
            network=self._view is not None and not self._view.config.model.bidirectional,
            writing=self._text is not None,
        )

    @property
    def _steps_left(self) -> bool:
        snapshot = self._engine.snapshot
        return (
            self._view is not None
            and snapshot is not None
            and snapshot.state in {RunState.STOPPED, RunState.FAILED}
            and snapshot.step < snapshot.total_steps
        )

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        for row in keys.STUDIO:
            if row.name == action:
                return row.when(self.situation)
        return True

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        """Runs something beside the screen, which never waits for the engine; what a person may
        meet becomes a notification."""

        async def guarded() -> None:
            try:
                await work
            except LyricError as error:
                self._complain(str(error))
            self._show_now()

        self.run_worker(guarded(), exit_on_error=True)

    def _start_alone(self, doing: str, work: Coroutine[Any, Any, None]) -> None:
        """Starts what changes which run lies open, said in a word. Such things take turns: the
        keys of a person who types ahead of the engine act one after the other."""
        self._doing.append(doing)
        self._show_now()
        self._start(self._in_turn(work))

    async def _in_turn(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            async with self._turn:
                await work
        finally:
            self._doing.pop(0)

    def _complain(self, sentence: str) -> None:
        self.notify(display.visible(sentence), severity="error", timeout=12, markup=False)

    def _warn(self, sentence: str) -> None:
        kind = re.sub(r"\d+", "", sentence)
        if kind == self._warned:  # the same of a later step would cover the screen bit by bit
            self.app.clear_notifications()
        self._warned = kind
        self.notify(display.visible(sentence), severity="warning", timeout=10, markup=False)

    # -- opening ----------------------------------------------------------------------------

    async def _begin(self) -> None:
        """Opens the corpus that was asked for, else the newest run, else a shipped corpus."""
        drawn = asyncio.Event()  # the first frame, before the engine is asked for anything
        self.call_after_refresh(drawn.set)
        await drawn.wait()
        if self._asked_corpus is not None:
            try:
                await self._open_corpus(self._asked_corpus)
            except EncodingError:
                self._choose_corpus(self._asked_corpus)
            return
        for run in await self._engine.runs():
            try:
                await self._open_run(str(run.path))
            except LyricError as error:
                if run.step:  # one that never came to a checkpoint is no news
                    self._complain(str(error))
                continue
            return
        await self._open_corpus(str(library.default(_locale()).path))

    async def _open_corpus(self, path: str, config: CorpusConfig | None = None) -> None:
        found = await self._engine.look(path, config)
        if self._run is not None:
            await self._run.stop()
        self._end_text()
        self._corpus, self._corpus_name, self._view = found.path, found.name, None
        self._corpus_config = config or CorpusConfig()
        self._chart.clear()
        self._generator.stream.clear()
        self._inspector.clear("a network is here once training begins: space")
        self._inspector.show_vocabulary(found.vocabulary, found.characters)

    async def _open_run(self, path: str) -> None:
        view = await self._engine.open(path)
        self._show_run(view)
        self._opened_step = view.step
        for warning in view.warnings:
            self._warn(warning)

    def _show_run(self, view: RunView) -> None:
        if self._view is None or view.path != self._view.path:  # else its texts stand there
            self._end_text()
            self._generator.stream.load([_entry(sample) for sample in view.samples])
        self._view, self._corpus = view, view.corpus_path or None
        self._corpus_name, self._corpus_config = view.corpus_name, view.config.corpus
        self._load_chart(view)
        self._inspector.show_vocabulary(
            view.vocabulary, sum(count for _, _, count in view.vocabulary)
        )
        self._inspector.show_tensors(
            [
                TensorRow(
                    fact.name,
                    fact.meaning,
                    fact.symbolic_shape,
                    _shape(fact.shape),
                    fact.parameters,
                    fact.bytes,
                )
                for fact in view.tensors
            ]
        )
        self._inspector.show_flow(
            [
                FlowRow(
                    fact.name,
                    fact.operation,
                    fact.symbolic_shape,
                    _shape(fact.shape),
                    fact.branch,
                )
                for fact in view.flow
            ],
            view.letters,
        )

    def _load_chart(self, view: RunView) -> None:
        training = [(p["step"], _number(p["loss"])) for p in view.metrics if "loss" in p]
        held_out = [
            (p["step"], _number(p["held_out_loss"])) for p in view.metrics if "held_out_loss" in p
        ]
        self._chart.load(training, held_out, view.total_steps)
        self._charted_step = view.step

    # -- training ---------------------------------------------------------------------------

    def action_train(self) -> None:
        self._start_alone("" if self._run else "preparing", self._train_or_pause())

    async def _train_or_pause(self) -> None:
        now = self.situation
        if self._run is not None:
            await (self._run.resume() if now.paused else self._run.pause())
        elif now.resumable:
            await self._go_on()
        else:
            await self._train(preset("auto"))

    async def _go_on(self) -> None:
        assert self._view is not None
        snapshot = self._engine.snapshot
        self._saved_step = None if snapshot is None else snapshot.step
        await self._follow(await self._engine.train(run=self._view.path, resume=True))

    async def _train(self, config: TrainingConfig) -> None:
        if self._corpus is None:
            raise LyricError("There is no corpus yet: press c and choose one.")
        config = config.changed(corpus=self._corpus_config)
        await self._follow(await self._engine.train(self._corpus, config))

    async def _follow(self, handle: RunHandle) -> None:
        self._run, self._opened_step = handle, None
        self._show_run(await self._engine.view())
        if self._timer is not None:
            self._timer.resume()
        self.run_worker(self._hear(handle))

    async def _hear(self, handle: RunHandle) -> None:
        async for event in handle.events():
            self._on_event(event)
        if self._run is handle:
            self._run = None
        if self._timer is not None:
            self._timer.pause()
        self._show_now()

    def _on_event(self, event: Event) -> None:
        match event:
            case Evaluated():
                self._chart.add_held_out(event.step, event.loss)
            case Sampled() if (event.seed, event.prompt) not in self._writing_own:
                entry = _entry(
                    {
                        "step": event.step,
                        "prompt": event.prompt,
                        "text": event.text,
                        "seed": event.seed,
                        "temperature": event.temperature,
                    }
                )
                stream = self._generator.stream
                number = stream.begin(entry.header, entry.prompt)
                stream.write(number, entry.text)
                stream.end(number)
            case Noted():
                self.notify(display.visible(event.message), timeout=12, markup=False)
            case Warned():
                self._last_words.append(event.message)
                self._warn(event.message)
            case Failed():
                self._complain(event.message)
            case Finished() if event.reason != "stopped":
                self.notify(display.visible(_ending(event)), timeout=12, markup=False)
            case Checkpointed():
                self._saved_step = event.step
            case StateChanged():
                self._show_now()
            case _:
                pass

    def _look(self) -> None:
        """Reads the figures of now."""
        snapshot = self._engine.snapshot
        if snapshot is None:
            return
        if snapshot.step < self._charted_step:  # training went back to an earlier checkpoint
            self._charted_step = snapshot.step
            self._start(self._reload_chart())
        elif snapshot.step > self._charted_step and snapshot.loss is not None:
            self._charted_step = snapshot.step
            self._chart.add_training(snapshot.step, snapshot.loss)
        self._looks += 1
        if self._looks % LOOKS_PER_LINE == 0:
            self._show_now()

    async def _reload_chart(self) -> None:
        self._load_chart(await self._engine.view())

    def action_stop(self) -> None:
        if self._run is not None:
            self._start_alone("saving", self._run.stop())

    def action_save(self) -> None:
        if self._run is not None:
            self._start(self._save(self._run))

    async def _save(self, handle: RunHandle) -> None:
        before = self._saved_step
        await handle.checkpoint()
        snapshot, saved = self._engine.snapshot, self._saved_step
        stands_there = snapshot is not None and snapshot.step == saved
        if saved is not None and (saved != before or stands_there):  # else a warning says why
            self.notify(f"Saved at step {saved:,}.", timeout=3, markup=False)

    async def leave(self) -> str:
        """Saves what trains; called before the app ends. Returns what a person must know that the
        screen will no longer tell: that it could not be saved, and why."""
        self._end_text()
        self._last_words.clear()
        if self._writing is not None:
            self._writing.leave()
        if self._run is not None:
            self._doing.insert(0, "saving")
            self._show_now()
            try:
                await self._run.stop()
            except LyricError as error:
                self._last_words.append(str(error))
        return "\n".join(self._last_words)

    async def action_leave(self) -> None:
        await self.app.action_quit()

    # -- writing ----------------------------------------------------------------------------

    def action_generate(self) -> None:
        if self._text is not None:
            self._end_text()
        elif self._view is not None:
            self._begin_text()

    def on_generator_asked(self) -> None:
        if not self.situation.network:
            self._complain("There is no network to write with yet: space trains one.")
            return
        self._end_text()
        self._begin_text()

    def _begin_text(self) -> None:
        self._text = self._engine.generate(self._generator.prompt, self._generation, record=True)
        self._show_keys()
        self._start(self._write(self._text))

    def _end_text(self) -> None:
        if self._text is not None:
            self._cut = self._text
            self._text.cancel()

    async def _write(self, text: TextStream) -> None:
        """Streams one text at a reader's pace."""
        try:
            await text.start()
            if text is self._cut:
                return
            assert text.seed is not None
            self._writing_own.add((text.seed, text.prompt))
            if text.skipped:
                named = " ".join(map(display.character_name, text.skipped[:MOST_NAMED]))
                if len(text.skipped) > MOST_NAMED:
                    named += f" and {len(text.skipped) - MOST_NAMED} more"
                self.notify(
                    f"The songbook has no {named}: left out of the prompt.",
                    severity="warning",
                    markup=False,
                )
            snapshot, step = self._engine.snapshot, self._opened_step
            if step is None:
                step = 0 if snapshot is None else snapshot.step
            header = _header(step, text.config.temperature, text.seed)
            stream = self._generator.stream
            entry = stream.begin(header, text.prompt)
            async for character in text:
                stream.write(entry, character.text)
                await asyncio.sleep(1 / CHARACTERS_PER_SECOND)
                if text.cancelled:
                    break
            stream.end(entry, "ended" if text is self._cut else "")
        finally:
            if self._text is text:
                self._text = None

    def action_prompt(self) -> None:
        self._bring("generator")
        self._generator.focus_prompt()

    def action_settings(self) -> None:
        now = self._generation
        fields = [
            Field("temperature", "temperature", f"{now.temperature:g}", "0: always the likeliest"),
            Field("top_k", "top-k", str(now.top_k), "only the k likeliest; 0: off"),
            Field("top_p", "top-p", f"{now.top_p:g}", "the likeliest up to p; 1: off"),
            Field("seed", "seed", "" if now.seed is None else str(now.seed), "empty: a fresh one"),
            Field("length", "length", str(now.length), "characters"),
            Field("lines", "lines", str(now.lines), "0: until the length is reached"),
        ]

        def check(values: dict[str, str]) -> GenerationConfig:
            typed: dict[str, Any] = {name: value or None for name, value in values.items()}
            return GenerationConfig(**typed)

        def accept(config: GenerationConfig | None) -> None:
            if config is not None:
                self._generation = config
                self._show_settings()

        self.app.push_screen(Form("How it writes", fields, check), accept)

    def action_warmer(self) -> None:
        self._change_temperature(0.05)

    def action_cooler(self) -> None:
        self._change_temperature(-0.05)

    def _change_temperature(self, by: float) -> None:
        temperature = min(max(round(self._generation.temperature + by, 2), 0.0), 5.0)
        self._generation = self._generation.changed(temperature=temperature)
        self._show_settings()

    def _show_settings(self) -> None:
        now = self._generation
        parts = [f"temperature {now.temperature:.2f}"]
        if now.top_k:
            parts.append(f"top-k {now.top_k}")
        if now.top_p < 1:
            parts.append(f"top-p {now.top_p:g}")
        if now.seed is not None:
            parts.append(f"seed {now.seed}")
        self._generator.border_subtitle = " · ".join(parts)

    def action_song(self) -> None:
        if self._writing is None:
            # Not before it is wanted: what checks a draft's file takes a moment to load.
            from tui.screens.writing import Writing

            self._writing = Writing(self._engine)
            self.app.install_screen(self._writing, "writing")  # it stays as it is meanwhile
        self.app.push_screen(self._writing)

    # -- choosing ---------------------------------------------------------------------------

    def action_new_run(self) -> None:
        fields = [
            Field("preset", "preset", "auto", " | ".join(PRESETS)),
            Field("minutes", "minutes", "", "empty: the preset's budget"),
            Field("cell", "cell", "", "rnn | gru | lstm; empty: the preset's"),
            Field("hidden", "hidden", "", "units; empty: the preset's, or what is best"),
            Field("layers", "layers", "", "empty: the preset's"),
            Field("seed", "seed", "0", ""),
        ]

        def accept(config: TrainingConfig | None) -> None:
            if config is not None:
                self._start_alone("preparing", self._replace_run(config))

        self.app.push_screen(Form("A new run", fields, _training_config), accept)

    async def _replace_run(self, config: TrainingConfig) -> None:
        await self._instead(self._train(config))

    async def _instead(self, work: Coroutine[Any, Any, None]) -> None:
        """Does something in place of training. If it fails, what trained goes on."""
        trained = self._run is not None
        if self._run is not None:
            await self._run.stop()
        try:
            await work
        except LyricError:
            if trained:
                await self._go_on()
            raise

    def action_corpus(self) -> None:
        self._choose_corpus()

    def _choose_corpus(self, asked: str = "") -> None:
        def accept(chosen: Chosen | None) -> None:
            if chosen is not None:
                opening = self._open_corpus(chosen.path, chosen.config)
                self._start_alone("opening", opening)

        self.app.push_screen(Library(self._engine, self._corpus_config, asked), accept)

    def action_runs(self) -> None:
        self._start(self._choose_run())

    async def _choose_run(self) -> None:
        choices = [
            Choice(
                str(run.path),
                run.path.name,
                f"{run.cell.upper()} {run.hidden} · step {run.step:,} of {run.total_steps:,} · "
                f"held-out {display.loss(run.best_held_out_loss)} · {run.created[:16]}",
            )
            for run in await self._engine.runs()
        ]
        if self.app.screen is not self:
            return  # another dialog was quicker

        def accept(path: str | None) -> None:
            if path is not None:
                self._start_alone("opening", self._switch_run(path))

        self.app.push_screen(
            Choose(
                "Runs",
                choices,
                typed="or type the path of a run",
                empty="There are no runs yet: space trains one.",
            ),
            accept,
        )

    async def _switch_run(self, path: str) -> None:
        if self._run is None or str(self._run.path) != path:
            await self._instead(self._open_run(path))

    # -- looking ----------------------------------------------------------------------------

    def action_metric(self) -> None:
        self._chart.next_metric()
        self._name_chart()

    def action_log_axis(self) -> None:
        self._chart.toggle_log()
        self._name_chart()

    def _name_chart(self) -> None:
        names = {"loss": "loss", "perplexity": "perplexity", "bits": "bits per character"}
        title = names[self._chart.metric] + (", log" if self._chart.log_scale else "")
        self._chart.border_title = title

    def action_inspect(self) -> None:
        """On a narrow screen the inspector takes the chart's place, page by page, and leaves."""
        self.remove_class("zoom-chart", "zoom-generator")
        if not self.has_class("narrow"):
            self._inspector.next_tab()
        elif not self.has_class("inspecting"):
            self.add_class("inspecting")
        elif self._inspector.tab == TABS[-1]:
            self.remove_class("inspecting")
            self._inspector.next_tab()
        else:
            self._inspector.next_tab()

    def action_search(self) -> None:
        self._bring("inspector")
        self._inspector.search()

    def _bring(self, pane: str) -> None:
        """Shows a pane that a zoom or a narrow screen hides."""
        for other in {"chart", "generator", "inspector"} - {pane}:
            self.remove_class(f"zoom-{other}")
        self.set_class(pane == "inspector" and self.has_class("narrow"), "inspecting")

    def action_zoom(self) -> None:
        zoomed = [
            name for name in ("chart", "generator", "inspector") if self.has_class(f"zoom-{name}")
        ]
        if zoomed:
            self.remove_class(*(f"zoom-{name}" for name in zoomed))
            return
        widget: Widget | None = self.focused
        while widget is not None and widget.id not in {"chart", "generator", "inspector"}:
            widget = widget.parent if isinstance(widget.parent, Widget) else None
        self.add_class(f"zoom-{widget.id if widget is not None else 'generator'}")

    def action_help(self) -> None:
        self.app.push_screen(Help())

    # -- showing ----------------------------------------------------------------------------

    def on_resize(self, event: events.Resize) -> None:
        width, height = event.size
        self.set_class(width < WIDE, "narrow")
        too_small = width < SMALLEST[0] or height < SMALLEST[1]
        self.set_class(too_small, "too-small")
        if too_small:
            self.query_one("#too-small", Static).update(
                f"This terminal is {width} × {height}; lyricrnn needs {SMALLEST[0]} × "
                f"{SMALLEST[1]}. Make it larger, or press q."
            )
        self._show_now()

    def _show_now(self) -> None:
        self.query_one("#where", LiveLine).show(self._where())
        self.query_one("#figures", LiveLine).show(
            figures(
                self._engine.snapshot if self._view else None,
                self._doing[0] if self._doing else "",
                self.size.width,
            )
        )
        self._show_keys()

    def _show_keys(self) -> None:
        self.query_one(KeyBar).show(keys.bar(keys.STUDIO, self.situation))

    def _where(self) -> list[Part]:
        parts = [Part(" lyricrnn ", "bold"), Part(f" {self._corpus_name or 'no corpus yet'} ")]
        if self._view is not None:
            model = self._view.config.model
            layers = f" × {model.layers}" if model.layers > 1 else ""
            parts.append(Part(f"· {model.cell.upper()} {model.hidden}{layers} ", "dim"))
            parts.append(Part(f"· {self._view.path.name}", "dim"))
        return parts


def figures(snapshot: TrainingSnapshot | None, doing: str, width: int) -> list[Part]:
    """The line of now. Narrow screens get the short names."""
    if snapshot is None:
        return [Part(f" {doing or 'ready'}", "good" if not doing else "bold")]
    state = doing or str(snapshot.state)
    bad = snapshot.state in {RunState.DIVERGED, RunState.FAILED}
    wide = width >= WIDE
    total = display.count(snapshot.total_steps)
    step = f"{display.count(snapshot.step)}/{total}"
    perplexity = snapshot.perplexity
    parts = [
        Part(f" {state}", "bad" if bad else "good", 12),
        Part("step ", "dim"),
        Part(step, width=2 * len(total) + 3),
    ]
    if wide:
        parts += [Part("epoch ", "dim"), Part(f"{snapshot.epoch:.1f}", width=7)]
    parts += [
        Part("loss ", "dim"),
        Part(display.loss(snapshot.loss), "bold", 7),
        Part("perplexity " if wide else "ppl ", "dim"),
        Part(display.loss(perplexity), "bold", 8),
    ]
    if snapshot.characters_per_second is not None and not snapshot.state.ended:
        parts += [
            Part(display.rate(snapshot.characters_per_second), width=6),
            Part("chars/s " if wide else "c/s ", "dim"),
            Part(f"{display.duration(snapshot.seconds_left)} "),
            Part("left", "dim"),
        ]
    elif snapshot.best_held_out_loss is not None:
        parts += [Part("held-out ", "dim"), Part(display.loss(snapshot.best_held_out_loss), "bold")]
    return parts


def _locale() -> str:
    """The language that this person's programs speak, as POSIX ranks the variables."""
    names = ("LC_ALL", "LC_MESSAGES", "LANG")
    return next((os.environ[name] for name in names if os.environ.get(name)), "")


def _training_config(values: dict[str, str]) -> TrainingConfig:
    """What the form of a new run says, as settings."""
    config = preset(values["preset"])
    shape = {name: values[name] or None for name in ("cell", "hidden", "layers")}
    minutes = values["minutes"] or None
    changed = config.changed(
        model=config.model.changed(**shape),
        shape="given" if any(shape.values()) else None,
        seed=values["seed"] or None,
    )
    return changed.with_budget(minutes=minutes)  # type: ignore[arg-type]


def _entry(sample: dict[str, Any]) -> StreamEntry:
    header = _header(sample.get("step", 0), sample.get("temperature", 0), sample.get("seed", 0))
    return StreamEntry(header, str(sample.get("prompt", "")), str(sample.get("text", "")))


def _header(step: int, temperature: float, seed: int) -> str:
    return f"step {step:,} · temperature {temperature:.2f} · seed {seed}"


def _ending(event: Finished) -> str:
    held_out = ""
    if event.held_out_loss is not None:
        held_out = f" Held-out loss {display.loss(event.held_out_loss)}."
    return f"Finished at step {event.step:,}: {event.reason}.{held_out}"


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else math.nan


def _shape(shape: tuple[int, ...]) -> str:
    return f"({', '.join(str(size) for size in shape)})"
