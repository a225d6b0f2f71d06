"""Engine: the asynchronous face of lyricrnn, and the owner of its threads.

    async with Engine() as engine:
        run = await engine.train("songs/", TrainingConfig(minutes=3))
        async for event in run.events():
            ...
        async for character in engine.generate("moon", GenerationConfig(temperature=0.8)):
            print(character.text, end="", flush=True)

The worker never waits for the event loop: figures of now go into one slot where the newest wins,
rare events and characters into queues that the loop empties when it can. torch is imported in the
worker's thread, so that making an Engine costs nothing. A second thread surveys texts, which may be
gigabytes, while the worker trains.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from engine.config import CorpusConfig, Device, GenerationConfig, TrainingConfig
from engine.errors import DraftError, LyricError
from engine.events import (
    Character,
    CorpusView,
    Event,
    Failed,
    Finished,
    LineCandidate,
    LineMeasure,
    RunSummary,
    RunView,
    TrainingSnapshot,
)
from engine.memory import keep_freed

if TYPE_CHECKING:
    from engine.corpus.corpus import Corpus
    from engine.corpus.decoding import Candidate
    from engine.corpus.interruption import Stopped
    from engine.corpus.summary import CorpusSummary
    from engine.worker import Job, Worker
    from engine.writing.draft import Model
    from engine.writing.form import Form
    from engine.writing.originality import Copy
    from engine.writing.rhyme import Rhyming

T = TypeVar("T")


class Engine:
    """One network at a time: trained, opened, looked into and written with.

    Use it as `async with Engine() as engine`; leaving ends the threads and saves what trains.
    Several engines may live in one process.
    """

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._interrupt = threading.Event()
        self._looks: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._look_over = threading.Event()  # nobody wants what the newest look finds
        self._thread: threading.Thread | None = None
        self._surveyor: threading.Thread | None = None
        self._ended: asyncio.Event | None = None
        self._broken: LyricError | None = None
        self._snapshot: TrainingSnapshot | None = None

    @property
    def snapshot(self) -> TrainingSnapshot | None:
        """The newest figures of the run, None before there is one. Reading it costs nothing."""
        return self._snapshot

    async def __aenter__(self) -> Self:
        self._asyncio = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        keep_freed()
        self._thread = threading.Thread(target=self._main, name="lyricrnn-engine")
        self._thread.start()
        self._surveyor = threading.Thread(target=self._survey_texts, name="lyricrnn-surveyor")
        self._surveyor.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._thread is not None
        assert self._surveyor is not None
        assert self._ended is not None
        self._interrupt.set()
        self._look_over.set()
        self._jobs.put(None)
        self._looks.put(None)
        try:
            await self._ended.wait()
        finally:
            self._thread.join()
            self._surveyor.join()

    def _main(self) -> None:
        """The worker thread."""
        assert self._ended is not None
        try:
            first = self._jobs.get()
            if first is not None:
                from engine.worker import Worker  # imports torch: not before there is work

                worker = Worker(self._jobs, self._interrupt, self._publish)
                first(worker)
                worker.work()
        except Exception as error:
            self._broken = LyricError(
                f"The engine's thread ended by an error: {type(error).__name__}: {error}."
            )
            self._broken.__cause__ = error
        finally:
            self._post(self._ended.set)

    def _survey_texts(self) -> None:
        """The thread beside the worker, which never touches torch."""
        while (look := self._looks.get()) is not None:
            look()

    def _publish(self, snapshot: TrainingSnapshot) -> None:
        self._snapshot = snapshot

    def _post(self, call: Callable[..., None], *arguments: Any) -> None:
        """From a thread: has the event loop call something, unless that loop is gone."""
        with contextlib.suppress(RuntimeError):
            self._asyncio.call_soon_threadsafe(call, *arguments)

    async def _do(self, job: Callable[[Worker], T]) -> T:
        """Runs a job in the worker, between two pieces of training, and returns its result."""
        answer = _Answer[T](self._post)
        self._jobs.put(lambda worker: answer.work_out(lambda: job(worker), _told_by_the_worker))
        return await self._received(answer)

    async def _look_into(self, look: Callable[[Stopped], T]) -> T:
        """Runs a look at a text beside the worker and returns its result. A look that has not
        ended is given up for a new one, and where nobody waits for it any more."""
        self._look_over.set()
        over = self._look_over = threading.Event()
        answer = _Answer[T](self._post)
        self._looks.put(lambda: answer.work_out(lambda: look(over.is_set), _told_by_a_look))
        try:
            return await self._received(answer)
        finally:
            over.set()

    async def _received(self, answer: _Answer[T]) -> T:
        assert self._ended is not None, "an Engine is used inside `async with`"
        ended = asyncio.ensure_future(self._ended.wait())
        try:
            either: set[asyncio.Future[Any]] = {answer.result, ended}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not answer.result.done():
                raise self._broken or LyricError("The engine is closed: open another one.")
            return answer.result.result()
        finally:
            ended.cancel()
            answer.result.cancel()  # what comes of it later is nobody's

    # -- training ---------------------------------------------------------------------------

    async def train(
        self,
        corpus: str | Path | Corpus | None = None,
        config: TrainingConfig | None = None,
        *,
        run: str | Path | None = None,
        resume: bool = False,
        device: Device | None = None,
    ) -> RunHandle:
        """Begins a new run on a corpus (a path, a shipped name or a `Corpus`) in the folder
        `run`, or in a fresh one; with `resume`, goes on with the run in that folder. Returns once
        training begins.

        Raises a `LyricError` where the corpus, the configuration, the device or the folder cannot
        be used; nothing is then left behind.
        """
        handle = RunHandle(self)
        self._interrupt.clear()
        path = None if run is None else Path(run)
        text = str(corpus) if isinstance(corpus, str | Path) else corpus

        def tell(event: Event) -> None:
            self._post(handle._receive, event)

        if resume:
            assert path is not None, "resume needs the run's folder"
            there = path
            handle.path = await self._do(lambda worker: worker.resume_run(there, device, tell))
        else:
            settings = config or TrainingConfig(minutes=3)
            handle.path = await self._do(lambda worker: worker.train(text, settings, path, tell))
        return handle

    # -- looking and writing ----------------------------------------------------------------

    async def open(self, run: str | Path) -> RunView:
        """Opens a run to look into and to write with, with its best weights."""
        path = Path(run)
        return await self._do(lambda worker: worker.open(path))

    async def view(self) -> RunView:
        """The run that is open or in training, to look into."""
        return await self._do(lambda worker: worker.view())

    async def look(self, corpus: str | Path, config: CorpusConfig | None = None) -> CorpusView:
        """A text's name, place and vocabulary, for training on it; it is remembered as used."""
        text, settings = str(corpus), config or CorpusConfig()
        return await self._do(lambda worker: worker.look(text, settings))

    async def survey(self, corpus: str | Path, config: CorpusConfig | None = None) -> CorpusSummary:
        """All that is to be said of a text before it is used: encoding, songs, copies, what
        cleaning finds. Training goes on meanwhile.

        Raises CorpusError; EncodingError, with candidates to choose from, where the encoding is
        not sure; Interrupted where another survey was asked for before this one ended.
        """
        text, settings = str(corpus), config or CorpusConfig()

        def look(stopped: Stopped) -> CorpusSummary:
            from engine.corpus.summary import survey  # imports numpy: not before there is work

            return survey(text, settings, stopped)

        return await self._look_into(look)

    async def encodings(self, corpus: str | Path) -> tuple[Candidate, ...]:
        """The encodings that a text may be read in instead of the one that was recognised, the
        likeliest first, each with the first lines in it. Supersedes a survey; raises as one."""
        text = str(corpus)

        def look(_: Stopped) -> tuple[Candidate, ...]:
            from engine.corpus import library
            from engine.corpus.corpus import encodings

            return encodings(library.resolve(text))

        return await self._look_into(look)

    async def runs(self) -> list[RunSummary]:
        """The runs on this machine, newest first."""
        return await self._do(lambda worker: worker.runs())

    def generate(
        self,
        prompt: str = "",
        config: GenerationConfig | None = None,
        *,
        form: Form | None = None,
        record: bool = False,
    ) -> TextStream:
        """Writes with the open network, or with the one in training as it is at this moment, in a
        form where one is given.

        Returns an asynchronous iterator of `Character`. With `record` the text is added to the
        run's samples. Errors, such as no network being open, or a form that cannot be met, are
        raised when it is iterated.
        """
        return TextStream(self, prompt, config or GenerationConfig(), form, record)

    async def candidates(
        self,
        form: Form | None = None,
        index: int = 0,
        config: GenerationConfig | None = None,
        *,
        count: int = 8,
        before: str = "",
        others: Mapping[int, str] | None = None,
        beginning: str = "",
        besides: Collection[str] = (),
    ) -> tuple[LineCandidate, ...]:
        """Ways to write the line of that index of a form, all different, the best first; fewer
        where no more were found.

        `before` is the text above it, `others` the form's lines that are there by their index (for
        rhymes), `beginning` how the line begins, `besides` what it is not to be. Raises FormError.
        """
        settings, around = config or GenerationConfig(), dict(others or {})
        return await self._do(
            lambda worker: worker.candidates(
                form, index, settings, count=count, before=before, others=around,
                beginning=beginning, besides=besides,
            )
        )  # fmt: skip

    async def again(self, author: Model) -> LineCandidate:
        """The line that words of a draft were taken from, written again as it was. Raises
        DraftError where other weights lie open, or where the draft does not say all."""
        from engine.writing.request import LineRequest

        found = await self.candidates(**LineRequest.of(author).arguments())
        for one in found:
            assert one.weights is not None
            if one.weights.digest != author.weights:
                raise DraftError(
                    f"Step {author.step:,} of {author.run} wrote this, and other weights lie open."
                )
            if one.number == author.candidate:
                return one
        raise DraftError("The network found fewer lines than it did when this was written.")

    async def copies(self, lines: Sequence[str]) -> tuple[tuple[Copy, ...], ...]:
        """For each line, what it takes from the songs that the open network was taught."""
        return await self._do(lambda worker: worker.copies(lines))

    async def explained(self, before: str, line: str) -> tuple[Character, ...]:
        """How likely the open network finds each character of a line below the text `before`, and
        what it would rather have written."""
        return await self._do(lambda worker: worker.explained(before, line))

    async def tune(self, name: str) -> Form:
        """The form of words for a tune (词牌), as most songs of it have it that the open network
        was taught. Raises FormError where they have no such tune."""
        return await self._do(lambda worker: worker.tune(name))

    async def rhyming(self, wanted: str, most: int = 200) -> list[Rhyming]:
        """What rhymes with the end of a text, of the words and characters of the songs that the
        open network was taught. Raises InputError where there is nothing to rhyme with."""
        return await self._do(lambda worker: worker.rhyming(wanted, most))


class RunHandle:
    """A run in training: its events, and the commands that it takes between two steps."""

    def __init__(self, engine: Engine) -> None:
        self.path = Path()
        self._engine = engine
        self._events: asyncio.Queue[Event] = asyncio.Queue()

    def _receive(self, event: Event) -> None:
        self._events.put_nowait(event)

    @property
    def snapshot(self) -> TrainingSnapshot | None:
        """The newest figures."""
        return self._engine.snapshot

    async def events(self) -> AsyncIterator[Event]:
        """Every rare event, in order, up to and including `Finished` or `Failed`."""
        while True:
            event = await self._events.get()
            yield event
            if isinstance(event, Finished | Failed):
                return

    async def finished(self) -> Finished:
        """Waits for the end. Raises the error that ended the run, if one did."""
        async for event in self.events():
            if isinstance(event, Finished):
                return event
            if isinstance(event, Failed):
                raise event.error
        raise AssertionError("events() ends with Finished or Failed")

    async def pause(self) -> None:
        """Stops after the current step; `resume()` goes on."""
        await self._engine._do(lambda worker: worker.pause())

    async def resume(self) -> None:
        """Goes on after a pause."""
        await self._engine._do(lambda worker: worker.resume())

    async def stop(self) -> None:
        """Saves a checkpoint and ends; `Engine.train(run=…, resume=True)` goes on."""
        await self._engine._do(lambda worker: worker.stop())

    async def checkpoint(self) -> None:
        """Saves a checkpoint now."""
        await self._engine._do(lambda worker: worker.save())

    async def sample(self) -> None:
        """Asks for a sample now; it comes as a `Sampled` event."""
        await self._engine._do(lambda worker: worker.sample())

    async def set_learning_rate(self, rate: float) -> None:
        """Scales the schedule so that the next step's rate is this one."""
        await self._engine._do(lambda worker: worker.set_learning_rate(rate))


class TextStream:
    """A text being written: `async for character in stream`. Of a text in form, `lines` tells at
    the end what was asked of each and what it got.

    `seed` and `skipped` (the prompt's characters that the vocabulary lacks) are known after
    `start()` or with the first character. `cancel()` ends it where it is.
    """

    def __init__(
        self,
        engine: Engine,
        prompt: str,
        config: GenerationConfig,
        form: Form | None,
        record: bool,
    ) -> None:
        self.prompt, self.config, self.form = prompt, config, form
        self.seed: int | None = config.seed
        self.skipped: list[str] = []
        self.lines: tuple[LineMeasure, ...] = ()
        self.text = ""
        self.cancelled = False
        self._engine, self._record = engine, record
        self._queue: asyncio.Queue[list[Character] | LyricError | None] = asyncio.Queue()
        self._begun = False
        self._sent = self._read = 0

    async def start(self) -> None:
        """Begins to write, if it has not begun. Raises a `LyricError` where it cannot."""
        if self._begun:
            return
        self._begun = True
        await self._engine._do(
            lambda worker: worker.generate(
                self.prompt, self.config, self.form, self, record=self._record
            )
        )

    def cancel(self) -> None:
        """Ends the text where it is."""
        self.cancelled = True

    def __aiter__(self) -> AsyncIterator[Character]:
        return self._characters()

    async def _characters(self) -> AsyncIterator[Character]:
        await self.start()
        try:
            while True:
                burst = await self._queue.get()
                if burst is None:
                    return
                if isinstance(burst, LyricError):
                    raise burst
                for character in burst:
                    self._read += 1
                    self.text += character.text
                    yield character
        finally:
            self.cancelled = True

    # -- the worker's side, called from its thread --------------------------------------------

    @property
    def unread(self) -> int:
        """Characters written and not yet read: the worker waits when they become many. One
        thread alone writes each of the two numbers."""
        return self._sent - self._read

    def started(self, seed: int, skipped: list[str]) -> None:
        self.seed, self.skipped = seed, skipped

    def measured(self, lines: tuple[LineMeasure, ...]) -> None:
        self.lines = lines

    def wrote(self, characters: list[Character]) -> None:
        self._sent += len(characters)
        self._engine._post(self._queue.put_nowait, characters)

    def ended(self, error: LyricError | None) -> None:
        self._engine._post(self._queue.put_nowait, error)


class _Answer(Generic[T]):
    """What comes of work in a thread, on its way to the event loop that waits for it."""

    def __init__(self, post: Callable[..., None]) -> None:
        self._post = post
        self.result: asyncio.Future[T] = asyncio.get_running_loop().create_future()

    def work_out(self, work: Callable[[], T], told: Callable[[Exception], str]) -> None:
        """In the thread: does the work, and has the event loop settle the result. `told` makes a
        sentence of an error that is none for a person."""
        try:
            value = work()
        except LyricError as error:
            self._post(self._settle, None, error)
        except Exception as error:
            sentence = LyricError(told(error))
            sentence.__cause__ = error
            self._post(self._settle, None, sentence)
        else:
            self._post(self._settle, value, None)

    def _settle(self, value: T | None, error: Exception | None) -> None:
        if self.result.done():  # nobody waits any more
            return
        if error is not None:
            self.result.set_exception(error)
        else:
            self.result.set_result(value)  # type: ignore[arg-type]


def _told_by_the_worker(error: Exception) -> str:
    from engine.worker import sentence

    return sentence(error)


def _told_by_a_look(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return "The text does not fit into memory: name a smaller part of it."
    return f"Looking into the text ended by an error inside: {type(error).__name__}: {error}."
