"""`lyricrnn train`: a new run, or a run that goes on, watched from the terminal."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.errors import ConfigError, LyricError, RunError
from engine.events import (
    Checkpointed,
    Evaluated,
    Event,
    Failed,
    Finished,
    Noted,
    RunState,
    Sampled,
    Warned,
)
from tui import display
from tui.commands import options, output
from tui.commands.options import choice, flag, value
from tui.commands.signals import Signals
from tui.commands.watching import Watcher, watcher

if TYPE_CHECKING:
    from engine.config import Settings, TrainingConfig
    from engine.session import Engine, RunHandle

_TICK = 0.2  # seconds between two looks at the figures of now
_LAST_WORDS = 1.0  # seconds to wait at most for what was told before the engine ended
_PROGRESS_EVERY = 1.0  # seconds between two lines of progress in JSON
_WITH_RESUME = {"corpus", "run", "resume", "device", "json_lines"}

_NETWORK, _TEXT, _LEARNING = "The network", "The text", "Learning"
_BUDGET, _MACHINE = "How long (one of them)", "The machine"


def command(
    context: typer.Context,
    corpus: Annotated[
        str | None,
        typer.Argument(
            help="A text file, a folder of them, or a shipped collection.", metavar="CORPUS"
        ),
    ] = None,
    run: Annotated[str | None, value("The run's folder; left out, a fresh one.", "DIR")] = None,
    resume: Annotated[bool, flag("--resume", "Goes on with the run that --run names.")] = False,
    preset: Annotated[
        str | None, choice("Where the settings start from (auto).", "auto|tiny|cpu|gpu")
    ] = None,
    json_lines: Annotated[bool, flag("--json", "Writes JSON lines to standard output.")] = False,
    minutes: Annotated[float | None, value("So many minutes.", "M", _BUDGET)] = None,
    epochs: Annotated[float | None, value("So often through the text.", "E", _BUDGET)] = None,
    steps: Annotated[int | None, value("So many batches.", "N", _BUDGET)] = None,
    patience: Annotated[
        int | None,
        value("Stops after N evaluations without a new best; 0: never.", "N", _BUDGET),
    ] = None,
    cell: Annotated[str | None, choice("The recurrent cell.", "rnn|gru|lstm", _NETWORK)] = None,
    implementation: Annotated[
        str | None, choice("torch's cells, or those from scratch.", "fused|scratch", _NETWORK)
    ] = None,
    input_kind: Annotated[
        str | None,
        choice("What a character becomes first.", "embedding|one-hot", _NETWORK, "--input"),
    ] = None,
    output_kind: Annotated[
        str | None,
        choice(
            "Own weights for every character, or its embedding's.",
            "full|tied",
            _NETWORK,
            "--output",
        ),
    ] = None,
    hidden: Annotated[int | None, value("Features of the hidden state.", "N", _NETWORK)] = None,
    embedding: Annotated[int | None, value("Features of a character.", "N", _NETWORK)] = None,
    layers: Annotated[int | None, value("Recurrent layers.", "N", _NETWORK)] = None,
    dropout: Annotated[float | None, value("Share of values dropped.", "P", _NETWORK)] = None,
    bidirectional: Annotated[
        bool,
        flag("--bidirectional", "Reads backwards too; such a network cannot write.", _NETWORK),
    ] = False,
    split: Annotated[
        str | None, choice("Holds out whole songs, or the end.", "song|tail", _TEXT)
    ] = None,
    held_out: Annotated[float | None, value("Share of the text held out.", "P", _TEXT)] = None,
    newline: Annotated[
        str | None, choice("Keeps line ends, or makes them spaces.", "keep|space", _TEXT)
    ] = None,
    limit: Annotated[int | None, value("Only the first N characters; 0: all.", "N", _TEXT)] = None,
    min_count: Annotated[
        int | None, value("Characters seen fewer times become `<unk>`.", "N", _TEXT)
    ] = None,
    encoding: options.Encoding = None,
    clean: options.Clean = False,
    labels: options.Labels = None,
    credits: options.Credits = None,
    trailing_space: options.TrailingSpace = None,
    blank_lines: options.BlankLines = None,
    duplicates: options.Duplicates = None,
    script: options.Script = None,
    lines_reversed: Annotated[
        bool,
        flag("--lines-reversed", "Reads lines from their ends: it writes rhymes first.", _TEXT),
    ] = False,
    batch: Annotated[int | None, value("Sequences side by side.", "N", _LEARNING)] = None,
    time_steps: Annotated[int | None, value("Characters in each sequence.", "N", _LEARNING)] = None,
    sampling: Annotated[
        str | None,
        choice(
            "Each batch goes on where the last one ended, or not.", "adjacent|random", _LEARNING
        ),
    ] = None,
    optimizer: Annotated[
        str | None, choice("The rule of updates.", "sgd|adam|adamw|muon", _LEARNING)
    ] = None,
    learning_rate: Annotated[float | None, value("Its rate at the peak.", "R", _LEARNING)] = None,
    weight_decay: Annotated[
        float | None, value("How weights shrink, by the rate.", "W", _LEARNING)
    ] = None,
    clip_norm: Annotated[
        float | None, value("The longest gradient; 0: no clipping.", "X", _LEARNING)
    ] = None,
    schedule: Annotated[
        str | None, choice("How the rate goes.", "cosine|constant", _LEARNING)
    ] = None,
    sample_every: Annotated[
        int | None, value("Steps between two samples; 0: ten a run.", "N", _LEARNING)
    ] = None,
    seed: Annotated[int | None, value("The same seed gives the same run.", "N", _LEARNING)] = None,
    device: Annotated[str | None, choice("Where it computes.", "auto|cpu|cuda", _MACHINE)] = None,
    precision: Annotated[str | None, choice("How exactly.", "auto|fp32|bf16", _MACHINE)] = None,
    threads: Annotated[int | None, value("Threads; 0: one for each core.", "N", _MACHINE)] = None,
) -> Callable[[], int]:
    """Trains a network on songs: `lyricrnn train songs/ --minutes 10`.

    Ctrl+C saves and leaves, and so does a lost connection; `lyricrnn train --resume --run DIR`
    goes on as if nothing had happened. What is left out keeps the preset's value.
    """
    # Flags and settings have the same names; None and False are flags that were not given.
    given = {
        name: value or None if value is False else value for name, value in context.params.items()
    }
    given["input"], given["output"] = given.pop("input_kind"), given.pop("output_kind")
    return lambda: _train(given)


def _train(given: Mapping[str, Any]) -> int:
    from engine.corpus.library import resolve

    with Signals() as signals:
        if given["resume"]:
            return _Session(signals, given, resume=_run_to_resume(given)).run()
        if given["corpus"] is None:
            raise ConfigError(
                "Training needs a corpus: name a text file, a folder or a shipped collection "
                "(`lyricrnn corpus list`), or go on with `--resume --run RUN`."
            )
        return _Session(signals, given, resolve(given["corpus"]), configuration(given)).run()


def configuration(given: Mapping[str, Any]) -> TrainingConfig:
    """The preset with everything replaced that was given, by the names of the settings."""
    from engine.training.plan import SHAPE, preset

    base = preset("auto" if given["preset"] is None else given["preset"])
    if any(given.get(name) is not None for name in SHAPE):
        base = base.changed(shape="given")

    def of(settings: Settings, *besides: str) -> dict[str, Any]:
        return {
            name: given.get(name) for name in type(settings).model_fields if name not in besides
        }

    budgets = ("steps", "epochs", "minutes")
    changed = base.changed(
        **of(base, "model", "corpus", *budgets),
        model=base.model.changed(**of(base.model)),
        corpus=options.corpus_settings(base.corpus, given),
    )
    return changed.with_budget(**{name: given[name] for name in budgets})


def _run_to_resume(given: Mapping[str, Any]) -> Path:
    """The run that goes on, where nothing that was given is at odds with it."""
    from engine.config import TrainingConfig
    from engine.corpus.corpus import Corpus
    from engine.corpus.library import resolve
    from engine.training.run import Run
    from tui.commands.places import find_run

    changing = [
        f"--{name.replace('_', '-')}"
        for name, value in given.items()
        if value is not None and name not in _WITH_RESUME
    ]
    if changing:
        raise ConfigError(
            f"A run goes on as it was begun, so {' and '.join(changing)} cannot be given with "
            "--resume: leave out what is not --device, or begin a new run."
        )
    TrainingConfig(device=given["device"] or "auto")  # refuses one that is not known
    if given["run"] is None:
        raise ConfigError("Say which run goes on: --resume --run DIR, or --resume --run latest.")
    path = find_run(given["run"])
    run = Run.open(path)
    if given["corpus"] is None:
        return path
    settings, facts = run.facts.config.corpus, run.facts.corpus
    corpus = Corpus.load(resolve(given["corpus"]), settings)
    if corpus.sha256 != facts.sha256:
        raise RunError(
            f"{given['corpus']} is not the text that {path} learns from: its SHA-256 is "
            f"{corpus.sha256}, the run's is {facts.sha256}: leave the corpus out to go on, or "
            "begin a new run."
        )
    digest = corpus.vocabulary(settings.min_count).digest
    if digest != run.vocabulary.digest:
        raise RunError(
            f"{path} has another vocabulary than {given['corpus']}: the digest of the text's is "
            f"{digest}, the run's is {run.vocabulary.digest}: begin a new run."
        )
    return path


class _Session:
    """One sitting of training, from the first word to the exit status."""

    def __init__(
        self,
        signals: Signals,
        given: Mapping[str, Any],
        corpus: Path | None = None,
        config: TrainingConfig | None = None,
        *,
        resume: Path | None = None,
    ) -> None:
        self._corpus, self._config, self._resume = corpus, config, resume
        self._given = given
        self._json: bool = given["json_lines"] is not None
        self._signals = signals
        self._watcher: Watcher
        self._timer: asyncio.TimerHandle | None = None
        self._handle: RunHandle | None = None
        self._finished: Finished | None = None
        self._problem: Exception | None = None
        self._state = RunState.PREPARING
        self._last_progress = 0.0

    def run(self) -> int:
        with watcher(beside_json=self._json) as self._watcher:
            if not self._signals.received:
                asyncio.run(self._train())
        if self._signals.received:
            # A terminal that is gone cannot be told, and that changes nothing.
            with contextlib.suppress(output.OutputClosed, LyricError):
                self._say_end()
            return self._signals.status
        if self._problem is not None:
            raise self._problem
        self._say_end()
        return 1 if self._state is RunState.DIVERGED else 0

    async def _train(self) -> None:
        from engine.session import Engine

        self._signals.watch()
        begun: asyncio.Task[RunHandle] | None = None
        try:
            async with Engine() as engine:
                self._tick(engine, asyncio.current_task())
                begun = asyncio.create_task(self._begin(engine))
                self._started(await asyncio.shield(begun))
                await self._follow()
        except asyncio.CancelledError:
            # A signal, or nobody reads any more. Leaving the engine has saved the run; what it
            # told meanwhile is still to be heard, in the order in which it was told.
            if begun is not None and self._finished is None and self._problem is None:
                with contextlib.suppress(TimeoutError, LyricError, output.OutputClosed):
                    async with asyncio.timeout(_LAST_WORDS):
                        if self._handle is None:
                            self._started(await begun)
                        await self._follow()
        finally:
            if self._timer is not None:
                self._timer.cancel()

    async def _begin(self, engine: Engine) -> RunHandle:
        if self._resume is not None:
            return await engine.train(run=self._resume, resume=True, device=self._given["device"])
        return await engine.train(self._corpus, self._config, run=self._given["run"])

    def _started(self, handle: RunHandle) -> None:
        self._handle = handle
        self._watcher.line(f"The run is {handle.path}.", dim=True)
        if self._json:
            output.write_json({"event": "started", "run": handle.path})

    async def _follow(self) -> None:
        assert self._handle is not None
        async for event in self._handle.events():
            self._receive(event)

    def _tick(self, engine: Engine, task: asyncio.Task[Any] | None) -> None:
        """Shows the figures of now, again and again."""
        loop = asyncio.get_running_loop()
        try:
            snapshot = engine.snapshot if self._handle else None
            self._watcher.update(snapshot)
            if self._json and snapshot and loop.time() - self._last_progress >= _PROGRESS_EVERY:
                self._last_progress = loop.time()
                output.write_json({"event": "progress", **asdict(snapshot)})
        except Exception as error:
            self._problem = error
            assert task is not None
            task.cancel()
        else:
            self._timer = loop.call_later(_TICK, self._tick, engine, task)

    def _receive(self, event: Event) -> None:
        match event:
            case Evaluated():
                measured = _measures(event.loss)
                best = ", the best so far" if event.best else ""
                self._watcher.line(
                    f"step {display.count(event.step)}: held-out loss {display.loss(event.loss)}, "
                    f"perplexity {display.loss(measured['perplexity'])}{best}"
                )
                self._put("evaluation", {**asdict(event), **measured})
            case Sampled():
                self._watcher.sample(event.step, event.text)
                self._put("sample", asdict(event))
            case Checkpointed():
                self._put("checkpoint", asdict(event))
            case Noted():
                self._watcher.line(event.message)
                self._put("note", asdict(event))
            case Warned():
                self._watcher.line(event.message, warning=True)
                self._put("warning", asdict(event))
            case Failed():
                self._put("failed", {"message": event.message})
                raise (
                    event.error
                    if isinstance(event.error, LyricError)
                    else LyricError(event.message)
                ) from event.error
            case Finished():
                self._finished = event
            case _:
                self._state = event.state

    def _put(self, name: str, values: Mapping[str, Any]) -> None:
        if self._json:
            output.write_json({"event": name, **values})

    # -- the end ----------------------------------------------------------------------------

    def _say_end(self) -> None:
        end, received = self._finished, self._signals.received
        interrupted = f"interrupted by {received.name}" if received else None
        if self._json:
            if end is not None:
                figures = asdict(end)
            else:  # interrupted before it began
                nothing = dict.fromkeys(field.name for field in fields(Finished))
                figures = {**nothing, "run": self._resume, "step": 0}
            reason = interrupted or figures["reason"]
            output.write_json({"event": "finished", **figures, "reason": reason})
        elif end is None:
            output.tell(f"Training was {interrupted} before it began: nothing was changed.")
        else:
            lines = _told(end, interrupted or end.reason, more=self._state is RunState.STOPPED)
            output.write("".join(f"{line}\n" for line in lines))


def _measures(loss: float) -> dict[str, float]:
    from engine.training.metrics import bits_per_character, perplexity

    return {"perplexity": perplexity(loss), "bits_per_character": bits_per_character(loss)}


def _told(end: Finished, reason: str, *, more: bool) -> list[str]:
    """The end of a sitting in lines for a person: what came out, where it is, what to do now,
    and if there is `more` to do, how."""
    from tui.commands.places import short_name

    name = display.visible(short_name(end.run))
    lines = [f"Training ended at step {display.count(end.step)}: {reason}."]
    if end.held_out_loss is not None:
        lines.append(
            f"  held-out loss    {display.loss(end.held_out_loss)} nats a character: perplexity "
            f"{display.loss(end.perplexity)}, {display.loss(end.bits_per_character)} bits"
        )
    if end.loss is not None:
        lines.append(f"  training loss    {display.loss(end.loss)}")
    speed = display.rate(end.characters_per_second)
    lines += [
        f"  time             {display.duration(end.seconds)}, at {speed} characters a second",
        f"  run              {display.visible(str(end.run))}",
        f"  write with it    lyricrnn generate {name}",
    ]
    return [*lines, f"  go on training   lyricrnn train --resume --run {name}"] if more else lines
