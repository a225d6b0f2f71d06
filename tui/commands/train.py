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
    RunState,
    Sampled,
    Warned,
)
from tui import display
from tui.commands import output
from tui.commands.signals import Signals
from tui.commands.watching import Watcher, watcher

if TYPE_CHECKING:
    from engine.config import Settings, TrainingConfig
    from engine.session import Engine, RunHandle

_TICK = 0.2  # seconds between two looks at the figures of now
_PROGRESS_EVERY = 1.0  # seconds between two lines of progress in JSON
_WITH_RESUME = {"corpus", "run", "resume", "device", "json_lines"}

_NETWORK, _TEXT, _LEARNING = "The network", "The text", "Learning"
_BUDGET, _MACHINE = "How long (one of them)", "The machine"


def _choice(panel: str, text: str, *values: str) -> Any:
    """An option with a few values. The engine checks them, so that flags, files and the API are
    refused with the same words."""
    return typer.Option(
        help=text,
        metavar="|".join(values),
        autocompletion=lambda: list(values),
        rich_help_panel=panel,
    )


def _number(panel: str, text: str, metavar: str = "N") -> Any:
    return typer.Option(help=text, metavar=metavar, rich_help_panel=panel)


def command(
    context: typer.Context,
    corpus: Annotated[
        str | None, typer.Argument(help="A text file, a folder of them, or a shipped collection.")
    ] = None,
    run: Annotated[
        str | None,
        typer.Option(help="The run's folder: a fresh one if left out.", metavar="DIR"),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Goes on with the run that --run names.")
    ] = False,
    preset: Annotated[
        str | None,
        _choice("", "Where every setting starts from (cpu if left out).", "tiny", "cpu", "gpu"),
    ] = None,
    json_lines: Annotated[
        bool, typer.Option("--json", help="Writes JSON lines to standard output.")
    ] = False,
    minutes: Annotated[float | None, _number(_BUDGET, "So many minutes.", "M")] = None,
    epochs: Annotated[float | None, _number(_BUDGET, "So often through the text.", "E")] = None,
    steps: Annotated[int | None, _number(_BUDGET, "So many batches.")] = None,
    patience: Annotated[
        int | None,
        _number(_BUDGET, "Stops early after so many evaluations without a new best; 0: never."),
    ] = None,
    cell: Annotated[
        str | None, _choice(_NETWORK, "The recurrent cell.", "rnn", "gru", "lstm")
    ] = None,
    implementation: Annotated[
        str | None, _choice(_NETWORK, "torch's cells, or those from scratch.", "fused", "scratch")
    ] = None,
    input_kind: Annotated[
        str | None,
        typer.Option(
            "--input",
            help="What a character becomes first.",
            metavar="embedding|one-hot",
            autocompletion=lambda: ["embedding", "one-hot"],
            rich_help_panel=_NETWORK,
        ),
    ] = None,
    hidden: Annotated[int | None, _number(_NETWORK, "Features of the hidden state.")] = None,
    embedding: Annotated[int | None, _number(_NETWORK, "Features of a character.")] = None,
    layers: Annotated[int | None, _number(_NETWORK, "Recurrent layers.")] = None,
    dropout: Annotated[float | None, _number(_NETWORK, "Share of values dropped.", "P")] = None,
    bidirectional: Annotated[
        bool,
        typer.Option(
            "--bidirectional",
            help="Also reads backwards; such a network cannot write.",
            rich_help_panel=_NETWORK,
        ),
    ] = False,
    split: Annotated[
        str | None, _choice(_TEXT, "Holds out whole songs, or the end.", "song", "tail")
    ] = None,
    held_out: Annotated[
        float | None, _number(_TEXT, "Share of the text that is held out.", "P")
    ] = None,
    newline: Annotated[
        str | None, _choice(_TEXT, "Keeps line ends, or makes them spaces.", "keep", "space")
    ] = None,
    limit: Annotated[
        int | None, _number(_TEXT, "Only the first so many characters; 0: all.")
    ] = None,
    min_count: Annotated[int | None, _number(_TEXT, "Rarer characters become <unk>.")] = None,
    batch: Annotated[int | None, _number(_LEARNING, "Sequences side by side.")] = None,
    time_steps: Annotated[int | None, _number(_LEARNING, "Characters in each sequence.")] = None,
    sampling: Annotated[
        str | None,
        _choice(
            _LEARNING, "Batches that go on from one to the next, or not.", "adjacent", "random"
        ),
    ] = None,
    optimizer: Annotated[
        str | None, _choice(_LEARNING, "The rule of updates.", "sgd", "adam", "adamw")
    ] = None,
    learning_rate: Annotated[float | None, _number(_LEARNING, "Its rate at the peak.", "R")] = None,
    clip_norm: Annotated[
        float | None, _number(_LEARNING, "Longest gradient; 0: no clipping.", "X")
    ] = None,
    schedule: Annotated[
        str | None, _choice(_LEARNING, "How the rate goes.", "cosine", "constant")
    ] = None,
    sample_every: Annotated[
        int | None, _number(_LEARNING, "Steps between two samples; 0: ten a run.")
    ] = None,
    seed: Annotated[int | None, _number(_LEARNING, "The same seed gives the same run.")] = None,
    device: Annotated[
        str | None, _choice(_MACHINE, "Where it computes.", "auto", "cpu", "cuda")
    ] = None,
    precision: Annotated[
        str | None, _choice(_MACHINE, "How exactly.", "auto", "fp32", "bf16")
    ] = None,
    threads: Annotated[int | None, _number(_MACHINE, "Threads; 0: one for each core.")] = None,
) -> Callable[[], int]:
    """Trains a network on songs.

    Ctrl+C saves and leaves, and so does a lost connection; `--resume --run DIR` goes on as if
    nothing had happened. A flag that is left out keeps the preset's value.
    """
    # Flags and settings have the same names; None and False are flags that were not given.
    given = {
        name: value or None if value is False else value for name, value in context.params.items()
    }
    given["input"] = given.pop("input_kind")
    return lambda: _train(given)


def _train(given: Mapping[str, Any]) -> int:
    from engine.corpus.library import resolve

    if given["resume"]:
        return _Session(given, resume=_run_to_resume(given)).run()
    if given["corpus"] is None:
        raise ConfigError(
            "Training needs a corpus: name a text file, a folder or a shipped collection "
            "(`lyricrnn corpus list`), or go on with `--resume --run RUN`."
        )
    return _Session(given, resolve(given["corpus"]), configuration(given)).run()


def configuration(given: Mapping[str, Any]) -> TrainingConfig:
    """The preset with everything replaced that was given, by the names of the settings."""
    from engine.training.plan import preset

    base = preset("cpu" if given["preset"] is None else given["preset"])

    def of(settings: Settings, *besides: str) -> dict[str, Any]:
        return {
            name: given.get(name) for name in type(settings).model_fields if name not in besides
        }

    budgets = ("steps", "epochs", "minutes")
    changed = base.changed(
        **of(base, "model", "corpus", *budgets),
        model=base.model.changed(**of(base.model)),
        corpus=base.corpus.changed(**of(base.corpus)),
    )
    return changed.with_budget(**{name: given[name] for name in budgets})


def _run_to_resume(given: Mapping[str, Any]) -> Path:
    """The run that goes on, where nothing that was given is at odds with it."""
    from engine.corpus.corpus import Corpus
    from engine.corpus.library import resolve
    from engine.corpus.vocabulary import Vocabulary
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
            "--resume: leave that out, or begin a new run."
        )
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
    digest = Vocabulary.build(corpus.text, settings.min_count).digest
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
        given: Mapping[str, Any],
        corpus: Path | None = None,
        config: TrainingConfig | None = None,
        *,
        resume: Path | None = None,
    ) -> None:
        self._corpus, self._config, self._resume = corpus, config, resume
        self._given = given
        self._json: bool = given["json_lines"] is not None
        self._signals = Signals()
        self._watcher: Watcher
        self._handle: RunHandle | None = None
        self._finished: Finished | None = None
        self._problem: Exception | None = None
        self._diverged = False
        self._last_progress = 0.0

    def run(self) -> int:
        with self._signals:
            with watcher(beside_json=self._json) as self._watcher:
                asyncio.run(self._train())
            if self._signals.received:
                # A terminal that is gone cannot be told, and that changes nothing.
                with contextlib.suppress(output.OutputClosed, LyricError):
                    self._say_end()
                return self._signals.status
            if self._problem is not None:
                raise self._problem
            self._say_end()
        return 1 if self._diverged else 0

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
                with contextlib.suppress(TimeoutError, LyricError):
                    async with asyncio.timeout(1):
                        if self._handle is None:
                            self._started(await begun)
                        await self._follow()
        finally:
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
                self._diverged = event.state is RunState.DIVERGED

    def _put(self, name: str, values: Mapping[str, Any]) -> None:
        if self._json:
            output.write_json({"event": name, **values})

    # -- the end ----------------------------------------------------------------------------

    def _say_end(self) -> None:
        end, received = self._finished, self._signals.received
        interrupted = f"interrupted by {received.name}" if received else None
        if self._json:
            figures = dict.fromkeys(field.name for field in fields(Finished)) | {"step": 0}
            if end is not None:
                figures |= asdict(end)
            if interrupted:
                figures["reason"] = interrupted
            output.write_json({"event": "finished", **figures})
        elif end is None:
            output.tell(f"Training was {interrupted} before it began: there is no new run.")
        else:
            output.write("".join(f"{line}\n" for line in _told(end, interrupted or end.reason)))


def _measures(loss: float) -> dict[str, float]:
    from engine.training.metrics import bits_per_character, perplexity

    return {"perplexity": perplexity(loss), "bits_per_character": bits_per_character(loss)}


def _told(end: Finished, reason: str) -> list[str]:
    """The end of a sitting in lines for a person: what came out, where it is, what to do now."""
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
    return [
        *lines,
        f"  time             {display.duration(end.seconds)}, at {speed} characters a second",
        f"  run              {display.visible(str(end.run))}",
        f"  write with it    lyricrnn generate {name}",
        f"  go on training   lyricrnn train --resume --run {name}",
    ]
