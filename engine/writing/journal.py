"""A draft's file: every change is a line that is appended, so nothing that was written is lost.

The file is JSON lines in UTF-8. The first names the format and its version and holds the song as it
began; each one after it is a step (a change, an undo, a redo, a restored state) with its number,
from 1, and its time. Each line ends with a CRC-32 of all that stands before it in the line.

A change is with the operating system before the call that made it returns, so a killed process
loses nothing, and a thread flushes it to the disk within a second, so a pulled plug loses no more
than that. A text that streams is gathered and handed over four times a second.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self

import filelock
from pydantic import Field, TypeAdapter, ValidationError

from engine.errors import DraftError
from engine.places import home
from engine.writing.draft import (
    AddSection,
    Append,
    Author,
    Delete,
    DeleteSection,
    Draft,
    Entry,
    History,
    Insert,
    Join,
    Line,
    Lock,
    Move,
    MoveSection,
    Redo,
    RenameSection,
    Restore,
    SetForm,
    SetTitle,
    Span,
    Split,
    Stamp,
    Step,
    Typed,
    Undo,
    WordStamp,
    Write,
    typed,
)

FORMAT = "lyricrnn draft"
VERSION = 1
SUFFIX = ".draft"
PAUSE = 0.25  # seconds that a streaming text, and a flush to the disk, may wait for more


# --- The lines of the file ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Header:
    format: str
    version: int
    time: float
    draft: Draft


@dataclass(frozen=True, slots=True)
class _Record:
    number: int
    time: float
    step: Annotated[Step, Field(discriminator="do")]
    group: int = 0


_LONGEST_NAME = 200  # bytes; file systems have room for 255, ending included
_HEADER = TypeAdapter(_Header)
_RECORD = TypeAdapter(_Record)
_ANY = TypeAdapter(dict[str, Any])
_SEAL = len(b',"crc":"00000000"}')


def _sealed(body: bytes) -> bytes:
    """A JSON object as a line of the file."""
    return body[:-1] + _seal(body) + b"\n"


def _seal(body: bytes) -> bytes:
    return b',"crc":"%08x"}' % zlib.crc32(body)


def _opened(line: bytes) -> bytes | None:
    """The JSON object of a line; None for a line that is not as it was written."""
    body = line[:-_SEAL] + b"}"
    return body if line[-_SEAL:] == _seal(body) else None


@dataclass(frozen=True, slots=True)
class _Contents:
    """What a file holds: its draft, how many records and bytes are whole, and the bytes after."""

    history: History
    records: int
    whole: int
    rest: bytes

    @property
    def damaged(self) -> bool:
        """Whether the rest is more than one line that a crash cut short."""
        return b"\n" in self.rest


def _read(path: Path) -> _Contents:
    """Raises DraftError for a file that is not there, or whose first line is not a draft's."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise DraftError(f"There is no draft at {path}: choose one from the list.") from None
    except OSError as error:
        raise DraftError(f"{path} cannot be read: {error.strerror or error}.") from None
    first, *lines = data.split(b"\n")
    header = _header(path, first if lines else b"")
    history = History(header.draft, header.time)
    records, whole = 0, len(first) + 1
    for line in lines[:-1]:
        body = _opened(line)
        if body is None:
            break
        try:
            record = _RECORD.validate_json(body, strict=True)
            if record.number != records + 1 or not history.take(
                record.step, record.time, record.group
            ):
                break
        except (ValidationError, DraftError):
            break
        records += 1
        whole += len(line) + 1
    return _Contents(history, records, whole, data[whole:])


def _header(path: Path, line: bytes) -> _Header:
    body = _opened(line)
    try:
        facts = _ANY.validate_json(body or b"")
        if facts.get("format") == FORMAT and facts.get("version") != VERSION:
            raise DraftError(
                f"{path} has format {facts.get('version')!a:.40} and this lyricrnn reads "
                f"{VERSION}: open it with a newer one."
            )
        header = _HEADER.validate_json(body or b"", strict=True)
        header.draft.checked()
    except ValidationError:
        header = None
    if header is None or header.format != FORMAT:
        raise DraftError(
            f"{path} is no draft, or its first line is damaged: it was left as it is; choose "
            "another one."
        )
    return header


# --- Writing it ---------------------------------------------------------------------------------


class Journal:
    """Appends to a draft's file and flushes it from a thread of its own, so that nobody who types
    waits for a disk. `trouble` is a sentence while something could not be written; it is kept,
    tried again four times a second, and written in its place as soon as that succeeds."""

    def __init__(self, path: Path, records: int, whole: int) -> None:
        self.path = path
        self.trouble = ""
        self._records = records
        self._safe = whole  # bytes that are on the disk
        self._pending = bytearray()  # those after them …
        self._handed = 0  # … and how many of these the operating system has
        self._held: tuple[Append, float, int] | None = None
        self._streamed = 0.0  # when streaming text was last handed over, on the monotonic clock
        self._cut = True  # the file may hold more than what was handed over
        self._stale = False  # a flush failed: what it was for must be written once more
        self._bytes = threading.Lock()  # held for moments only, never while the disk works
        self._flushing = threading.Lock()
        self._wake, self._end = threading.Event(), threading.Event()
        self._file = self._open()
        with self._bytes:
            self._hand_over()  # cuts off what a crash left
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    def put(self, step: Step, when: float, group: int = 0) -> None:
        """Hands a step to the operating system; streaming text within 0.25 s. Never raises: see
        `trouble`."""
        with self._bytes:
            if self._held is not None and isinstance(step, Append):
                held, _, held_group = self._held
                same = (held.line, held.author, held_group) == (step.line, step.author, group)
                if same:
                    step = Append(step.line, held.text + step.text, step.author)
                    self._held = None
            self._release()
            soon = time.monotonic() < self._streamed + PAUSE
            if isinstance(step, Append):
                self._held = (step, when, group)
                if not soon:
                    self._release()
            else:
                self._record(step, when, group)
        self._wake.set()

    def flush(self) -> None:
        """Everything on the disk, now. Raises DraftError where that fails."""
        with self._flushing:
            try:
                self._flush()
            except OSError as error:
                with self._bytes:
                    self._stale = True
                    self._trouble(error)
        if self.trouble:
            raise DraftError(self.trouble)

    def close(self) -> None:
        """Flushes, and lets go of the file in any case. Raises DraftError where that fails."""
        self._end.set()
        self._wake.set()
        self._thread.join()
        try:
            self.flush()
        finally:
            os.close(self._file)

    def _run(self) -> None:
        while not self._end.is_set():
            self._wake.wait()
            self._end.wait(PAUSE)
            self._wake.clear()
            with contextlib.suppress(DraftError):
                self.flush()
            if self.trouble:
                self._wake.set()

    def _flush(self) -> None:
        with self._bytes:
            if self._stale:  # a descriptor whose flush failed may call lost bytes written
                again = self._open()
                os.close(self._file)
                self._file, self._handed, self._cut, self._stale = again, 0, True, False
            self._release()
            self._hand_over()
            handed = self._handed
        if handed:
            os.fsync(self._file)
        with self._bytes:
            del self._pending[:handed]
            self._handed -= handed
            self._safe += handed

    def _release(self) -> None:
        if self._held is not None:
            step, when, group = self._held
            self._held = None
            self._streamed = time.monotonic()
            self._record(step, when, group)

    def _record(self, step: Step, when: float, group: int) -> None:
        self._records += 1
        self._pending += _sealed(_RECORD.dump_json(_Record(self._records, when, step, group)))
        if not self._stale:
            self._hand_over()

    def _hand_over(self) -> None:
        try:
            if self._cut:
                os.ftruncate(self._file, self._safe + self._handed)
                self._cut = False
            while self._handed < len(self._pending):
                self._handed += os.write(self._file, self._pending[self._handed :])
            self.trouble = ""
        except OSError as error:
            self._cut = True  # a part of it may have been written
            self._trouble(error)

    def _trouble(self, error: OSError) -> None:
        self.trouble = (
            f"{self.path} cannot be written: {error.strerror or error}. The changes are kept here "
            "and written as soon as that is possible."
        )

    def _open(self) -> int:
        return os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)


# --- A draft that lies open ---------------------------------------------------------------------


class OpenDraft:
    """A draft, its history and its file, to be used from one thread.

    `draft` is the song as it stands; every method that changes it writes that down before it
    returns, and raises DraftError, with everything as it was, where it is refused. `warnings` says
    what was found amiss on opening. `read_only` is set where another process writes the draft, or
    its file cannot be written. `trouble` is a sentence while the disk takes nothing.
    """

    def __init__(
        self,
        path: Path,
        history: History,
        journal: Journal | None,
        lock: filelock.BaseFileLock,
        warnings: Sequence[str] = (),
    ) -> None:
        self.path = path
        self.warnings = tuple(warnings)
        self._history, self._journal, self._lock = history, journal, lock
        self._group = 0

    @property
    def name(self) -> str:
        return self.path.name.removesuffix(SUFFIX)

    @property
    def draft(self) -> Draft:
        return self._history.draft

    @property
    def read_only(self) -> bool:
        return self._journal is None

    @property
    def trouble(self) -> str:
        return "" if self._journal is None else self._journal.trouble

    # -- several changes as one ---------------------------------------------------------------

    def new_group(self) -> int:
        """A number for changes that belong together, over as long a time as they take."""
        return len(self._history)

    @contextmanager
    def as_one(self, group: int = 0) -> Iterator[None]:
        """The changes made within, and those made before in the same group where no other came in
        between, are one state of the history and are undone together. Within another one, it
        belongs to that."""
        outer = self._group
        self._group = outer or group or self.new_group()
        try:
            yield
        finally:
            self._group = outer

    # -- lines ------------------------------------------------------------------------------

    def replace(self, line: int, start: int, end: int, text: str, *, goes_on: bool = False) -> None:
        """What a person put in the place of the characters start to end, as `set_text` with the
        place known."""
        self._take(Typed(line, ((start, end, text),), goes_on))

    def set_text(self, line: int, text: str, *, goes_on: bool = False) -> None:
        """What a person made of a line's text: what stays keeps its author. `goes_on` makes it one
        step of undo with the typing in the same line just before."""
        self._take(typed(self.draft.line(line), text, goes_on=goes_on))

    def write(self, line: int, spans: Sequence[Span]) -> None:
        """A whole line anew, as a model wrote it."""
        self._take(Write(line, tuple(spans)))

    def append(self, line: int, text: str, author: Author) -> None:
        """A little more of a text that streams in. All of a stream is one step of undo, and so is
        a `write` of the line just before it."""
        self._take(Append(line, text, author))

    def insert_lines(
        self, section: int, at: int, texts: Sequence[str | Sequence[Span]]
    ) -> list[int]:
        """New lines, of a person's text or of spans; their ids. The first comes to stand at place
        `at` of the section, from 0."""
        ids = [self._history.largest_id + 1 + number for number in range(len(texts))]
        spans = ((Span(text),) if isinstance(text, str) else tuple(text) for text in texts)
        self._take(Insert(section, at, tuple(map(Line, ids, spans))))
        return ids

    def delete_lines(self, lines: Sequence[int]) -> None:
        self._take(Delete(tuple(lines)))

    def move_lines(self, lines: Sequence[int], section: int, at: int) -> None:
        """Moves lines into a section; `at` is the place that the first of them has afterwards."""
        self._take(Move(tuple(lines), section, at))

    def split_line(self, line: int, at: int) -> int:
        """Cuts a line before character `at`; the id of the new line that begins there."""
        new = self._history.largest_id + 1
        self._take(Split(line, at, new))
        return new

    def join_line(self, line: int) -> None:
        """Puts a line's text behind that of the line before it in its section, and takes it out."""
        self._take(Join(line))

    def lock(self, lines: Sequence[int], locked: bool = True) -> None:
        """Keeps lines as they are, or lets them change again."""
        self._take(Lock(tuple(lines), locked))

    def set_stamp(
        self, line: int, seconds: float | None, words: Sequence[WordStamp] | None = None
    ) -> None:
        """When a line is sung, and, if given, when its words are."""
        kept = self.draft.line(line).words if words is None else words
        self._take(Stamp(line, seconds, tuple(kept)))

    # -- sections and title -----------------------------------------------------------------

    def set_title(self, title: str) -> None:
        self._take(SetTitle(title))

    def set_form(self, form: str) -> None:
        """What the lines are to be, as TOML for `Form.from_toml`; empty makes them free."""
        self._take(SetForm(form))

    def add_section(self, name: str, at: int) -> int:
        """A new section without lines at place `at`, from 0; its id."""
        new = self._history.largest_id + 1
        self._take(AddSection(new, name, at))
        return new

    def rename_section(self, section: int, name: str) -> None:
        self._take(RenameSection(section, name))

    def delete_section(self, section: int) -> None:
        """Takes a section out, with its lines. The last one stays."""
        self._take(DeleteSection(section))

    def move_section(self, section: int, at: int) -> None:
        """`at` is the place that the section has afterwards, from 0."""
        self._take(MoveSection(section, at))

    # -- history ----------------------------------------------------------------------------

    @property
    def can_undo(self) -> bool:
        return self._history.can_undo

    @property
    def can_redo(self) -> bool:
        return self._history.can_redo

    @property
    def number(self) -> int:
        """Which state this is, in the numbers of `entries`."""
        return self._history.number

    def undo(self) -> None:
        self._take(Undo())

    def redo(self) -> None:
        self._take(Redo())

    def entries(self) -> list[Entry]:
        """Every state that the draft has been in, the oldest first."""
        return self._history.entries()

    def state(self, number: int) -> Draft:
        """A state of the history; `diff` of two tells what changed."""
        return self._history.state(number)

    def restore(self, number: int) -> None:
        """Brings a state back; that can be undone like any change."""
        self._take(Restore(number))

    # -- the file ---------------------------------------------------------------------------

    def flush(self) -> None:
        """Waits until everything is on the disk. Raises DraftError where that fails."""
        if self._journal is not None:
            self._journal.flush()

    def close(self) -> None:
        """Flushes and lets the file go. Raises DraftError where changes could not be written; call
        `flush` before, to be told while they can still be kept."""
        try:
            if self._journal is not None:
                self._journal.close()
        finally:
            self._journal = None
            self._lock.release(force=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _take(self, step: Step) -> None:
        if self._journal is None:
            raise DraftError(f"The draft {self.name} is open for reading only.")
        when = time.time()
        if self._history.take(step, when, self._group):
            self._journal.put(step, when, self._group)


# --- All drafts ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DraftSummary:
    """A draft in a list; `changed` is in seconds since 1970. Where its file cannot be read,
    `problem` says why."""

    name: str
    title: str
    lines: int
    changed: float
    problem: str = ""


class Drafts:
    """The drafts of a folder; left out, the one under `engine.places.home()`."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = home() / "drafts" if folder is None else folder

    def listed(self) -> list[DraftSummary]:
        """Those that there are, the newest first. Reads every one of them, a third of a
        second for 10,000 changes: list many from a thread."""
        found = []
        for path in self.folder.glob(f"[!.]*{SUFFIX}"):
            with contextlib.suppress(FileNotFoundError):
                found.append(_summary(path))
        return sorted(found, key=lambda summary: summary.changed, reverse=True)

    def create(self, title: str = "", draft: Draft | None = None) -> OpenDraft:
        """A new draft, or the file of one that was imported, under a fresh name after its title."""
        draft = Draft.new(title) if draft is None else draft.checked()
        self._make_folder()
        stem = _name_of(draft.title) or "untitled"
        number = 1
        while True:
            path = self._path(stem if number == 1 else f"{stem}-{number}")
            lock = _lock(path)
            try:
                lock.acquire(blocking=False)
                if not path.exists():
                    break
                lock.release()
            except filelock.Timeout:
                pass
            except OSError as error:
                raise DraftError(f"{path} cannot be made: {error.strerror or error}.") from None
            number += 1
        header = _Header(FORMAT, VERSION, time.time(), draft)
        line = _sealed(_HEADER.dump_json(header))
        try:
            _write_new(path, line)
            journal = Journal(path, 0, len(line))
        except OSError as error:
            lock.release(force=True)
            raise DraftError(f"{path} cannot be written: {error.strerror or error}.") from None
        return OpenDraft(path, History(draft, header.time), journal, lock)

    def open(self, name: str) -> OpenDraft:
        """Opens a draft, for reading only where it cannot be written. What a crash cut short is
        dropped; from a damaged line on, all is put aside in a file that a warning names."""
        path = self._path(name)
        if not path.is_file():
            raise DraftError(f"There is no draft called {name} in {self.folder}.")
        lock = _lock(path)
        try:
            lock.acquire(blocking=False)
        except filelock.Timeout:
            why = f"The draft {name} is open elsewhere: it can be read here, not changed."
            return _for_reading(path, lock, why)
        except OSError as error:
            return _for_reading(path, lock, _unwritable(path, error))
        try:
            contents = _read(path)
            warnings = []
            if contents.damaged:
                aside = _put_aside(path, contents.rest)
                warnings = [f"{_damage(path, contents)} The rest of the file is kept in {aside}."]
            journal = Journal(path, contents.records, contents.whole)
        except OSError as error:
            lock.release(force=True)
            return _for_reading(path, lock, _unwritable(path, error))
        except BaseException:
            lock.release(force=True)
            raise
        return OpenDraft(path, contents.history, journal, lock, warnings)

    def rename(self, name: str, new: str) -> str:
        """Gives a draft's file another name, and returns that as it can be a file's. The draft must
        not be open."""
        old, stem = self._path(name), _name_of(new)
        if not stem:
            raise DraftError("A draft's name needs a letter or a digit.")
        path = self._path(stem)
        if path == old:
            return stem
        with _claimed(old), _claimed(path):
            try:
                if path.exists():
                    raise DraftError(
                        f"There is a draft called {stem} already: choose another name."
                    )
                os.rename(old, path)
                _flush_folder(self.folder)
            except OSError as error:
                raise DraftError(f"{old} cannot be renamed: {error.strerror or error}.") from None
        return stem

    def _path(self, name: str) -> Path:
        length = len(name.encode(errors="replace"))
        if Path(name).name != name or name.startswith(".") or not 0 < length <= _LONGEST_NAME:
            raise DraftError(f"{name!r:.80} is no name of a draft: choose one from the list.")
        return self.folder / f"{name}{SUFFIX}"

    def _make_folder(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DraftError(f"{self.folder} cannot be made: {error.strerror or error}.") from None


def _name_of(title: str) -> str:
    """A title as a file may be called."""
    return re.sub(r"[^\w-]+", "-", title).strip("-")[:40].rstrip("-")


def _summary(path: Path) -> DraftSummary:
    name, changed = path.name.removesuffix(SUFFIX), path.stat().st_mtime
    try:
        draft = _read(path).history.draft
    except DraftError as error:
        return DraftSummary(name, "", 0, changed, str(error))
    return DraftSummary(name, draft.title, len(draft.lines), changed)


def _for_reading(path: Path, lock: filelock.BaseFileLock, why: str) -> OpenDraft:
    contents = _read(path)
    warnings = [why]
    if contents.damaged:
        warnings.append(f"{_damage(path, contents)} The file was left as it is.")
    return OpenDraft(path, contents.history, None, lock, warnings)


def _damage(path: Path, contents: _Contents) -> str:
    return f"{path} is damaged after change {contents.records}: the song is as it was there."


def _unwritable(path: Path, error: OSError) -> str:
    return f"{path} cannot be written, only read: {error.strerror or error}."


def _lock(path: Path) -> filelock.BaseFileLock:
    """The lock is a file of its own, for filelock empties the file that it locks."""
    return filelock.FileLock(path.with_name(f".{path.name}.lock"))


@contextmanager
def _claimed(path: Path) -> Iterator[None]:
    lock = _lock(path)
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout:
        raise DraftError(f"{path} is open: close it to rename it.") from None
    except OSError as error:
        raise DraftError(f"{path} cannot be locked: {error.strerror or error}.") from None
    try:
        yield
    finally:
        lock.release(force=True)


def _put_aside(path: Path, rest: bytes) -> Path:
    """Keeps bytes in a new file beside the draft's, flushed before they are cut off there."""
    number = 1
    while True:
        aside = path.with_name(f"{path.name}.damaged-{number}")
        if not aside.exists():
            break
        number += 1
    _write_new(aside, rest)
    return aside


def _write_new(path: Path, data: bytes) -> None:
    """Writes a file that takes its name once it is whole and flushed."""
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with temporary.open("wb", buffering=0) as file:
            view = memoryview(data)
            while view:
                view = view[os.write(file.fileno(), view) :]
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _flush_folder(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _flush_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
