"""The engine's worker thread: trains in small pieces and writes texts between them.

Everything that touches torch happens here. Jobs come in through a queue and run between two
pieces of training; nothing here ever waits for whoever listens.
"""

from __future__ import annotations

import hashlib
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Protocol

import torch

from engine.config import CorpusConfig, Device, GenerationConfig, TrainingConfig
from engine.corpus import library, recent
from engine.corpus.corpus import Corpus
from engine.corpus.vocabulary import Vocabulary
from engine.errors import LyricError, PromptError, RunError
from engine.events import (
    Character,
    CorpusView,
    Event,
    Failed,
    LineCandidate,
    LineMeasure,
    Noted,
    RunState,
    RunSummary,
    RunView,
    Sampled,
    StateChanged,
    TrainingSnapshot,
    Warned,
    Weights,
)
from engine.model import device as devices
from engine.model import trace
from engine.model.network import CharRNN
from engine.model.stepper import Stepper
from engine.training import prepare
from engine.training.loop import SampleDue, TrainingLoop
from engine.training.metrics import bits_per_character, perplexity
from engine.training.run import Run, all_runs, new_path, summary_of
from engine.writing.composer import Composition
from engine.writing.form import Form
from engine.writing.generator import Writing
from engine.writing.originality import Copy
from engine.writing.rhyme import Rhyming
from engine.writing.room import Room

SLICE_WHILE_TRAINING = 0.008  # seconds of writing between two pieces of training
SLICE_ALONE = 0.02  # and between two looks at the queue when nothing trains
UNREAD_LIMIT = 4096  # characters a reader may lag behind before the writer waits for it
SAMPLE = GenerationConfig(length=160, temperature=0.8)

Tell = Callable[[Event], None]
Job = Callable[["Worker"], None]


class Stream(Protocol):
    """Where a text goes while it is written; called from the worker's thread, never blocking."""

    cancelled: bool

    @property
    def unread(self) -> int: ...

    def started(self, seed: int, skipped: list[str]) -> None: ...
    def wrote(self, characters: list[Character]) -> None: ...
    def measured(self, lines: tuple[LineMeasure, ...]) -> None: ...
    def ended(self, error: LyricError | None) -> None: ...


class Worker:
    """Owns the network, the run being trained and the texts being written."""

    def __init__(
        self,
        jobs: queue.SimpleQueue[Job | None],
        interrupt: threading.Event,
        publish: Callable[[TrainingSnapshot], None],
    ) -> None:
        self._jobs, self._interrupt, self._publish = jobs, interrupt, publish
        self._loop: TrainingLoop | None = None
        self._tell: Tell = lambda event: None
        self._paused = False
        self._run: Run | None = None
        self._network: CharRNN | None = None
        self._step = 0
        self._warnings: list[str] = []
        self._texts: list[_Text] = []
        self._room: tuple[Run, Room] | None = None
        self._digest: tuple[CharRNN, int, str] | None = None

    def work(self) -> None:
        """Runs until the queue says None; the thread's whole life."""
        while True:
            busy = self._training or any(text.wants_time for text in self._texts)
            # With only slow readers left there is nothing to do but to look again soon.
            timeout = None if not self._texts else SLICE_ALONE
            if not self._take_jobs(wait=not busy, timeout=timeout):
                break
            if self._training:
                self._advance()
            self._write(SLICE_WHILE_TRAINING if self._training else SLICE_ALONE)

    @property
    def _training(self) -> bool:
        return self._loop is not None and not self._paused

    def _take_jobs(self, *, wait: bool, timeout: float | None) -> bool:
        """Carries out what is in the queue; False once the engine closes."""
        try:
            job = self._jobs.get(block=wait, timeout=timeout)
            while job is not None:
                job(self)
                job = self._jobs.get_nowait()
        except queue.Empty:
            return True
        self._close()
        return False

    # -- jobs: training ---------------------------------------------------------------------

    def train(
        self, corpus: str | Corpus | None, config: TrainingConfig, path: Path | None, tell: Tell
    ) -> Path:
        """Prepares a new run and begins to train it. Returns its folder."""
        self._refuse_second()
        devices.choose(config.device)
        if corpus is None:
            raise RunError("Training needs a corpus: give a file, a folder or a shipped name.")
        name = ""
        if not isinstance(corpus, Corpus):
            place = library.resolve(corpus)
            name = str(place.resolve())
            corpus = Corpus.load(place, config.corpus)
            recent.remember(place)
        path = path or new_path(corpus.name)
        run, warnings = prepare.new_run(path, corpus, config, name, self._interrupt.is_set)
        if run.facts.picked:
            tell(Noted(run.facts.picked))
        self._begin(run, config.device, tell, warnings)
        return path

    def resume_run(self, path: Path, device: Device | None, tell: Tell) -> Path:
        """Goes on with a run from its newest valid checkpoint."""
        self._refuse_second()
        run = Run.open(path)
        self._begin(run, device or run.facts.config.device, tell, [])
        return path

    def _refuse_second(self) -> None:
        if self._loop is not None:
            raise RunError(
                f"{self._loop.run.path} is being trained by this engine: stop it first, or use a "
                "second Engine."
            )

    def _begin(self, run: Run, device: Device, tell: Tell, warnings: list[str]) -> None:
        run.lock()
        try:
            trainer = prepare.trainer_for(run, devices.choose(device))
            loop = TrainingLoop(run, trainer)
            warnings = warnings + loop.restore()
        except BaseException:
            run.unlock()
            raise
        self._loop, self._tell, self._paused = loop, tell, False
        self._run, self._network, self._step = run, trainer.network, trainer.step_count
        self._warnings = []
        for warning in warnings:
            tell(Warned(warning))
        self._say_state(RunState.TRAINING)

    def pause(self) -> None:
        """Stops after the current piece; nothing is saved or lost."""
        if self._training:
            self._paused = True
            self._say_state(RunState.PAUSED)

    def resume(self) -> None:
        if self._loop is not None and self._paused:
            self._paused = False
            self._say_state(self._loop.state)

    def save(self) -> None:
        if self._loop is not None:
            self._tell_all(self._loop.save())

    def stop(self) -> None:
        """Saves and ends the run; it can be resumed."""
        if self._loop is None:
            return
        loop = self._loop
        self._publish(loop.snapshot(RunState.SAVING))
        self._tell_all(loop.save())
        self._tell(StateChanged(RunState.STOPPED))
        self._tell(loop.finished("stopped"))
        self._end_loop(RunState.STOPPED)

    def set_learning_rate(self, rate: float) -> None:
        if self._loop is not None:
            self._loop.set_learning_rate(rate)
            self._publish(self._snapshot(self._loop))

    def sample(self) -> None:
        """Writes a sample now, beside those that the plan asks for."""
        if self._loop is not None:
            self._begin_sample(self._loop.progress.step)

    def _close(self) -> None:
        """Ends every text and saves what trains."""
        for text in self._texts:
            text.stream.cancelled = True
        self._write(0.0)
        self.stop()

    # -- jobs: looking and writing ----------------------------------------------------------

    def open(self, path: Path) -> RunView:
        """Opens a run that nothing trains, with its best weights."""
        self._refuse_second()
        run = Run.open(path)
        self._warnings = []
        network, found = prepare.best_network(run, self._warnings)
        self._run, self._network = run, network
        self._step = found.manifest.progress.step
        progress, plan = run.newest_progress() or found.manifest.progress, run.facts.plan
        self._publish(
            TrainingSnapshot(
                state=RunState.FINISHED if progress.step >= plan.steps else RunState.STOPPED,
                step=progress.step,
                total_steps=plan.steps,
                epoch=progress.step / plan.batches_per_epoch,
                loss=progress.loss,
                perplexity=None if progress.loss is None else perplexity(progress.loss),
                bits_per_character=(
                    None if progress.loss is None else bits_per_character(progress.loss)
                ),
                held_out_loss=progress.held_out_loss,
                best_held_out_loss=progress.best_loss,
                gradient_norm=None,
                learning_rate=run.facts.config.learning_rate,
                characters_per_second=None,
                seconds=progress.seconds,
                seconds_left=None,
            )
        )
        return self.view()

    def view(self) -> RunView:
        """The open run, for looking into."""
        run, network = self._opened()
        facts = run.facts
        batch, time_steps = facts.plan.batch, facts.plan.time_steps
        return RunView(
            path=run.path,
            corpus_name=facts.corpus.name,
            corpus_path=facts.corpus.path,
            config=facts.config,
            step=self._step if self._loop is None else self._loop.progress.step,
            total_steps=facts.plan.steps,
            vocabulary=_entries(run.vocabulary),
            tensors=tuple(trace.tensors(network)),
            flow=tuple(trace.flow(network, batch, time_steps)),
            letters=tuple(
                (letter, trace.LETTERS[letter], size)
                for letter, size in trace.sizes(network, batch, time_steps).items()
            ),
            metrics=tuple(run.metrics()),
            samples=tuple(run.samples()),
            warnings=tuple(self._warnings),
        )

    def look(self, corpus: str, config: CorpusConfig) -> CorpusView:
        """A text's name, place and vocabulary, for training on it; it is remembered as used."""
        place = library.resolve(corpus)
        found = Corpus.load(place, config)
        recent.remember(place)
        vocabulary = found.vocabulary(config.min_count)
        return CorpusView(
            path=str(place.resolve()),
            name=found.name,
            songs=len(found.songs),
            characters=found.characters,
            vocabulary=_entries(vocabulary),
        )

    def runs(self) -> list[RunSummary]:
        """The runs on this machine, newest first; folders that are no whole run are left out."""
        summaries = []
        for path in all_runs():
            try:
                summaries.append(summary_of(Run.open(path)))
            except LyricError:
                continue
        return summaries

    def generate(
        self,
        prompt: str,
        config: GenerationConfig,
        form: Form | None,
        stream: Stream,
        *,
        record: bool,
    ) -> None:
        """Begins a text, on a copy of the weights as they are now."""
        run, network = self._opened()
        step = self._step if self._loop is None else self._loop.progress.step
        writing = self._writing_room().writing(Stepper(network), prompt, config, form)
        stream.started(writing.seed, writing.skipped)
        self._texts.append(_Text(writing, stream, run if record else None, step, self._tell))

    def candidates(
        self, form: Form | None, index: int, config: GenerationConfig, **place: Any
    ) -> tuple[LineCandidate, ...]:
        """Ways to write one line; see `Room.candidates`."""
        _, network = self._opened()
        room = self._writing_room()
        found = room.candidates(Stepper(network), form, index, config, **place)
        weights = self._weights()
        return tuple(replace(one, weights=weights) for one in found)

    def explained(self, before: str, line: str) -> tuple[Character, ...]:
        """What the network thinks of each character of a line; see `Room.explained`."""
        _, network = self._opened()
        return self._writing_room().explained(Stepper(network), before, line)

    def tune(self, name: str) -> Form:
        """The form of a tune of the songs that the open network was taught."""
        return self._writing_room().tune(name)

    def rhyming(self, wanted: str, most: int) -> list[Rhyming]:
        """What rhymes in the songs that the open network was taught."""
        return self._writing_room().rhyming(wanted, most)

    def _weights(self) -> Weights:
        """Which weights write now."""
        run, network = self._opened()
        step = self._step if self._loop is None else self._loop.progress.step
        if self._digest is None or self._digest[:2] != (network, step):
            digest = hashlib.sha256()
            for name, tensor in sorted(network.state_dict().items()):
                digest.update(name.encode())
                digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().data)
            self._digest = (network, step, digest.hexdigest())
        return Weights(str(run.path), step, self._digest[2])

    def copies(self, lines: Sequence[str]) -> tuple[tuple[Copy, ...], ...]:
        """What each line takes from the songs that the open network was taught."""
        return self._writing_room().copies(lines)

    def _writing_room(self) -> Room:
        run, _ = self._opened()
        if self._room is None or self._room[0] is not run:
            vocabulary = run.vocabulary
            backward = run.facts.config.corpus.lines_reversed
            self._room = (
                run,
                Room(
                    lambda: vocabulary.decode(run.ids("training")),
                    vocabulary,
                    backward=backward,
                    songs=run.songs,
                ),
            )
        return self._room[1]

    def _opened(self) -> tuple[Run, CharRNN]:
        if self._run is None or self._network is None:
            raise PromptError("There is no network yet: train one, or open a run.")
        return self._run, self._network

    # -- a piece of training ----------------------------------------------------------------

    def _advance(self) -> None:
        loop = self._loop
        assert loop is not None
        try:
            happened = loop.advance()
        except Exception as error:
            self._tell(Failed(sentence(error), error))
            self._end_loop(RunState.FAILED)
            return
        self._step = loop.progress.step
        self._publish(self._snapshot(loop))
        self._tell_all(happened)
        if loop.state.ended:
            self._end_loop(loop.state)

    def _tell_all(self, happened: list[Any]) -> None:
        for event in happened:
            if isinstance(event, SampleDue):
                self._begin_sample(event.step)
            else:
                self._tell(event)

    def _begin_sample(self, step: int) -> None:
        """A sample whose seed follows from the step, so that a resumed run writes the same."""
        run, network = self._opened()
        if run.facts.config.model.bidirectional:
            return
        config = SAMPLE.changed(seed=(run.facts.config.seed * 1_000_003 + step) % 2**31)
        writing = self._writing_room().writing(Stepper(network), "", config)
        self._texts.append(_Text(writing, _Nowhere(), run, step, self._tell))

    def _snapshot(self, loop: TrainingLoop) -> TrainingSnapshot:
        return loop.snapshot(RunState.PAUSED if self._paused else None)

    def _say_state(self, state: RunState) -> None:
        assert self._loop is not None
        self._publish(self._loop.snapshot(state))
        self._tell(StateChanged(state))

    def _end_loop(self, state: RunState) -> None:
        loop = self._loop
        assert loop is not None
        # A sample that the plan asked for belongs to the run: it is finished before the lock goes.
        for text in [text for text in self._texts if isinstance(text.stream, _Nowhere)]:
            while not text.write(SLICE_ALONE):
                pass
            self._texts.remove(text)
        self._publish(loop.snapshot(state))
        loop.close()
        loop.run.unlock()
        self._loop, self._paused = None, False

    # -- a slice of writing -----------------------------------------------------------------

    def _write(self, seconds: float) -> None:
        for text in list(self._texts):
            if text.write(seconds / len(self._texts)):
                self._texts.remove(text)


class _Text:
    """A text being written, and where it goes."""

    def __init__(
        self, writing: Writing | Composition, stream: Stream, run: Run | None, step: int, tell: Tell
    ) -> None:
        self.writing, self.stream = writing, stream
        self._run, self._step, self._tell = run, step, tell

    @property
    def wants_time(self) -> bool:
        return self.stream.cancelled or self.stream.unread < UNREAD_LIMIT

    def write(self, seconds: float) -> bool:
        """Writes for so long; returns whether the text has ended."""
        characters: list[Character] = []
        until = time.perf_counter() + seconds
        while self.wants_time and not self.writing.done and not self.stream.cancelled:
            try:
                character = self.writing.advance()
            except LyricError as error:
                self.stream.wrote(characters)
                self.stream.ended(error)
                return True
            if character is not None:
                characters.append(character)
            if time.perf_counter() >= until or len(characters) >= UNREAD_LIMIT:
                break
        if characters:
            self.stream.wrote(characters)
        if not (self.writing.done or self.stream.cancelled):
            return False
        self._keep()
        if isinstance(self.writing, Composition):
            self.stream.measured(self.writing.measured())
        self.stream.ended(None)
        return True

    def _keep(self) -> None:
        """Adds the text to the run's samples, once: a resumed run may write one again."""
        if self._run is None or not self.writing.text:
            return
        config = self.writing.config
        sampled = Sampled(
            step=self._step,
            prompt=self.writing.prompt,
            text=self.writing.text,
            seed=self.writing.seed,
            temperature=config.temperature,
            top_k=config.top_k,
            top_p=config.top_p,
        )
        try:
            if asdict(sampled) not in self._run.samples():
                self._run.add_sample(asdict(sampled))
        except OSError as error:
            self._tell(Warned(f"The sample could not be kept: {error.strerror or error}."))
        self._tell(sampled)


class _Nowhere:
    """The stream of a text that nobody watches: it is told of when it is whole."""

    cancelled = False
    unread = 0

    def started(self, seed: int, skipped: list[str]) -> None: ...
    def wrote(self, characters: list[Character]) -> None: ...
    def measured(self, lines: tuple[LineMeasure, ...]) -> None: ...
    def ended(self, error: LyricError | None) -> None: ...


def _entries(vocabulary: Vocabulary) -> tuple[tuple[int, str, int], ...]:
    pairs = zip(vocabulary.characters, vocabulary.counts, strict=True)
    return tuple((index, character, count) for index, (character, count) in enumerate(pairs))


def sentence(error: Exception) -> str:
    """An error as a sentence for a person."""
    if isinstance(error, LyricError):
        return str(error)
    text = str(error).strip().split("\n")[0]
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or "allocate memory" in text:
        return (
            "There is not enough memory for this network: make hidden, batch or time_steps smaller."
        )
    return f"Training ended by an error inside: {type(error).__name__}: {text}."
