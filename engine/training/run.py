"""A run on disk: what was asked, what it learns from, its checkpoints, its log, its samples.

run.toml            the configuration, the frozen plan, where the corpus came from
vocabulary.json     the characters and their ids
data/               the ids of the training and the held-out text, owned by the run, and where
                    the training text's songs begin, with their titles
metrics.jsonl       one line for each point of the curves; a pure function of the run
samples.jsonl       every text that the network wrote
checkpoints/        see `engine.training.checkpoint`
run.lock            held by the process that trains it
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import tomllib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Literal

import filelock
import numpy as np
import tomli_w
from pydantic import Field

from engine.config import Settings, TrainingConfig
from engine.corpus.vocabulary import Ids, Vocabulary
from engine.errors import CheckpointError, ConfigError, CorpusError, RunError, RunLockedError
from engine.events import RunSummary
from engine.places import home as home  # the commands find it beside `all_runs`
from engine.training import checkpoint, durable
from engine.training.checkpoint import Checkpoint, Progress
from engine.training.plan import Plan

SCHEMA = 1
MAPPED = 2**26  # bytes; a longer file of ids is read through a memory map
_CONTENTS = {
    "run.toml",
    "vocabulary.json",
    "data",
    "metrics.jsonl",
    "samples.jsonl",
    "checkpoints",
    "run.lock",
}


class CorpusFacts(Settings):
    """Where a run's text came from and what it was."""

    path: str
    name: str
    encoding: str
    confidence: float
    sha256: str
    songs: int = Field(ge=0)
    characters: int = Field(ge=0)
    training_characters: int = Field(ge=0)
    held_out_characters: int = Field(ge=0)


class RunFacts(Settings):
    """What run.toml holds."""

    format: int = SCHEMA
    created: str
    corpus: CorpusFacts
    config: TrainingConfig
    plan: Plan
    picked: str = ""
    """Why a searched shape is as it is, for a person."""


def new_path(corpus_name: str) -> Path:
    """A fresh place for a run on that corpus, named so that a person finds it again."""
    stem = re.sub(r"[^\w-]+", "-", Path(corpus_name).stem).strip("-")[:40] or "run"
    base = home() / "runs" / f"{stem}-{datetime.now():%Y%m%d-%H%M%S}"
    path, number = base, 2
    while path.exists():
        path, number = base.with_name(f"{base.name}-{number}"), number + 1
    return path


def all_runs() -> list[Path]:
    """The runs under `home()`, newest first."""
    folders = [path.parent for path in (home() / "runs").glob("*/run.toml")]
    return sorted(folders, key=lambda path: (path / "run.toml").stat().st_mtime, reverse=True)


class Run:
    """A run's folder, opened. Reading needs no lock; `lock()` before writing."""

    def __init__(self, path: Path, facts: RunFacts, vocabulary: Vocabulary) -> None:
        self.path, self.facts, self.vocabulary = path, facts, vocabulary
        self._lock = filelock.FileLock(path / "run.lock")

    # -- making and opening -----------------------------------------------------------------

    @classmethod
    def open(cls, path: Path) -> Run:
        """Opens a run for reading; anything that is not a whole run is a `RunError`."""
        try:
            if not path.exists():
                raise RunError(
                    f"There is no run at {path}: `lyricrnn runs list` shows all of them."
                )
            text, vocabulary_json = (
                (path / name).read_bytes() for name in ("run.toml", "vocabulary.json")
            )
        except (FileNotFoundError, NotADirectoryError) as error:
            missing = Path(error.filename or "run.toml").name
            raise RunError(f"{path} is not a run: it has no {missing}.") from None
        except OSError as error:
            raise RunError(f"{path} cannot be read: {error.strerror or error}.") from None
        try:
            document = tomllib.loads(text.decode())
            found = document.get("format")
            if found != SCHEMA:
                raise RunError(f"{path} has format {found!a:.40}; this version reads {SCHEMA}.")
            facts = RunFacts(**document)
        except (ValueError, RecursionError) as error:
            raise RunError(f"{path / 'run.toml'} cannot be read: {error}.") from None
        except ConfigError as error:
            raise RunError(f"{path / 'run.toml'} does not describe a run: {error}") from None
        try:
            vocabulary = Vocabulary.from_json(vocabulary_json)
        except CorpusError as error:
            raise RunError(f"{path / 'vocabulary.json'} is damaged: {error}") from None
        return cls(path, facts, vocabulary)

    # -- the lock ---------------------------------------------------------------------------

    def lock(self) -> None:
        """Claims the run for this process's writing, or says that another one has it."""
        try:
            self._lock.acquire(blocking=False)
        except filelock.Timeout:
            raise RunLockedError(
                f"{self.path} is being trained by another process: stop that one first, "
                "or train into another folder with --run."
            ) from None
        except OSError as error:
            raise RunError(f"{self.path} cannot be locked: {error.strerror or error}.") from None

    def unlock(self) -> None:
        self._lock.release(force=True)

    # -- data -------------------------------------------------------------------------------

    def ids(self, which: str) -> Ids:
        """The ids (N,) of the `training` or the `held_out` text, checked against the vocabulary;
        memory-mapped where they are many."""
        path = self.path / "data" / f"{which}.npy"
        ids = _load_ids(path)
        expected = self.facts.corpus.training_characters
        if which == "held_out":
            expected = self.facts.corpus.held_out_characters
        if ids.shape != (expected,) or _largest(path, ids) >= self.vocabulary.size:
            raise RunError(
                f"{path} is damaged: it does not hold this run's {expected:,} characters."
            )
        return ids

    def songs(self) -> list[tuple[int, str]]:
        """Where each song of the training text begins, and its title; empty where the run does not
        say, as runs of very many songs do not."""
        try:
            told = json.loads((self.path / "data" / "songs.json").read_bytes())
            return [(int(start), str(title)) for start, title in told]
        except (OSError, ValueError, TypeError):
            return []

    # -- checkpoints ------------------------------------------------------------------------

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    def newest_checkpoint(
        self, warnings: list[str], *, with_trainer: bool = True
    ) -> Checkpoint | None:
        """The newest checkpoint whose hashes verify; each one passed over is named in `warnings`.
        None where the run has no checkpoint at all."""
        newest_first = reversed(checkpoint.listed(self.checkpoints))
        return self._first_valid(newest_first, warnings, with_trainer)

    def best_checkpoint(self, warnings: list[str]) -> Checkpoint | None:
        """The checkpoint with the lowest held-out loss that verifies, else the newest one."""
        ranked: list[tuple[float, Path]] = []
        for path in checkpoint.listed(self.checkpoints):
            with contextlib.suppress(CheckpointError):
                progress = checkpoint.read_manifest(path).progress
                if progress.evaluated_step == progress.step and progress.held_out_loss is not None:
                    ranked.append((progress.held_out_loss, path))
        best_first = [path for _, path in sorted(ranked)]
        others = [p for p in reversed(checkpoint.listed(self.checkpoints)) if p not in best_first]
        return self._first_valid(iter(best_first + others), warnings, with_trainer=False)

    def newest_progress(self) -> Progress | None:
        """How far the run is, by the newest manifest that can be read; no tensor is."""
        for path in reversed(checkpoint.listed(self.checkpoints)):
            with contextlib.suppress(CheckpointError):
                return checkpoint.read_manifest(path).progress
        return None

    def _first_valid(
        self, paths: Iterator[Path], warnings: list[str], with_trainer: bool
    ) -> Checkpoint | None:
        refused: list[CheckpointError] = []
        for path in paths:
            try:
                found = checkpoint.read(path, with_trainer=with_trainer)
                mine, its = self.vocabulary.digest, found.manifest.vocabulary_digest
                if mine != its:
                    raise CheckpointError(
                        f"{path} was trained with another vocabulary ({its[:12]}…) than this "
                        f"run's ({mine[:12]}…): it cannot be read with these characters."
                    )
            except CheckpointError as error:
                refused.append(error)
                continue
            warnings.extend(f"{error} An earlier checkpoint is tried." for error in refused)
            return found
        if refused:
            raise CheckpointError(f"No checkpoint of {self.path} is whole. {refused[0]}")
        return None

    # -- the log and the samples ------------------------------------------------------------

    @property
    def metrics_path(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def samples_path(self) -> Path:
        return self.path / "samples.jsonl"

    def metrics(self) -> list[dict[str, Any]]:
        """The points logged so far, in order."""
        return list(_lines(self.metrics_path))

    def samples(self) -> list[dict[str, Any]]:
        """The texts written so far, in order."""
        return list(_lines(self.samples_path))

    def add_sample(self, sample: dict[str, Any]) -> None:
        line = json.dumps(sample, ensure_ascii=False) + "\n"
        with self.samples_path.open("ab+") as file:
            # A crash may have cut the line before; half a surrogate pair becomes its JSON escape.
            if file.tell() and not _ends_a_line(file):
                file.write(b"\n")
            file.write(line.encode("utf-8", "backslashreplace"))


def summary_of(run: Run) -> RunSummary:
    """A run in a line; reads its newest manifest only."""
    progress = run.newest_progress() or Progress()
    model = run.facts.config.model
    return RunSummary(
        path=run.path,
        corpus_name=run.facts.corpus.name,
        created=run.facts.created,
        cell=model.cell,
        hidden=model.hidden,
        layers=model.layers,
        step=progress.step,
        total_steps=run.facts.plan.steps,
        best_held_out_loss=progress.best_loss,
        seconds=progress.seconds,
    )


class Draft:
    """The folder of a run that is being prepared. Without its run.toml, which `finish` writes last,
    it is no run; leaving it before takes away what was written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._made: Path | None = None  # the topmost folder that was not there before

    def __enter__(self) -> Draft:
        check_free(self.path)
        missing = [one for one in (self.path, *self.path.parents) if not one.exists()]
        with self._told():
            (self.path / "data").mkdir(parents=True, exist_ok=True)
        self._made = missing[-1] if missing else None
        return self

    def __exit__(self, *_: object) -> None:
        if not (self.path / "run.toml").exists():
            shutil.rmtree(self.path / "data", ignore_errors=True)
            with contextlib.suppress(OSError):  # folders that hold something else stay
                for folder in (self.path, *self.path.parents):
                    folder.rmdir()
                    if folder == self._made:
                        break

    def store(self, which: str, pieces: Iterable[Ids], length: int, vocabulary: Vocabulary) -> Ids:
        """Writes the ids of a text, and returns them as the run will read them."""
        path = self.path / "data" / f"{which}.npy"
        dtype = np.dtype(vocabulary.id_type)
        with self._told(), durable.writing(path) as file:
            header = {"descr": dtype.str, "fortran_order": False, "shape": (length,)}
            np.lib.format.write_array_header_1_0(file, header)
            for piece in pieces:
                file.write(piece.data)
        return _load_ids(path)

    def store_songs(self, songs: list[tuple[int, str]]) -> None:
        """Writes where the songs of the training text begin, with their titles."""
        text = json.dumps(songs, ensure_ascii=False, separators=(",", ":"))
        with self._told():
            durable.replace(self.path / "data" / "songs.json", text.encode("utf-8", "replace"))

    def finish(self, facts: RunFacts, vocabulary: Vocabulary) -> Run:
        """Writes everything else that never changes; run.toml last."""
        with self._told():
            (self.path / "checkpoints").mkdir(exist_ok=True)
            durable.replace(self.path / "vocabulary.json", vocabulary.to_json().encode())
            for name in ("metrics.jsonl", "samples.jsonl"):
                durable.replace(self.path / name, b"")
            document = facts.model_dump(mode="json", exclude_none=True)
            durable.replace(self.path / "run.toml", tomli_w.dumps(document).encode())
        return Run(self.path, facts, vocabulary)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise RunError(
                f"The run cannot be written in {self.path}: {error.strerror or error}. "
                "Choose another folder with --run."
            ) from None


def _load_ids(path: Path) -> Ids:
    mapped: Literal["r"] | None = None
    try:
        if path.stat().st_size > MAPPED:
            mapped = "r"
        ids: Ids = np.load(path, mmap_mode=mapped, allow_pickle=False)
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror or error}.") from None
    except Exception:  # NumPy reads the header with Python's own parser, which may raise much
        raise RunError(f"{path} is damaged: it is no NumPy file.") from None
    return ids


def _largest(path: Path, ids: Ids) -> int:
    """The largest id, read through once: through a map, all of it would come to count as this
    process's memory."""
    if not isinstance(ids, np.memmap):
        return int(ids.max()) if ids.size else 0
    largest = 0
    with path.open("rb") as file:
        file.seek(ids.offset)
        while (piece := np.fromfile(file, ids.dtype, 2**20)).size:
            largest = max(largest, int(piece.max()))
    return largest


def check_free(path: Path) -> None:
    """Refuses a place for a new run that holds a run already, or anything else."""
    try:
        if not path.exists():
            return
        if not path.is_dir():
            raise RunError(f"{path} is not a folder: choose another place with --run.")
        names = {entry.name for entry in path.iterdir() if entry.suffix != durable.LEFTOVER}
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror or error}.") from None
    if "run.toml" in names:
        raise RunError(f"{path} holds a run already: go on with --resume, or choose another --run.")
    if names - _CONTENTS:
        raise RunError(
            f"{path} is not empty and not a run: choose a new or an empty folder with --run."
        )


def _ends_a_line(file: BinaryIO) -> bool:
    file.seek(-1, os.SEEK_END)
    return file.read(1) == b"\n"


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """The JSON objects of a file of lines; a line cut by a crash is passed over."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    for line in text.split("\n"):
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            yield value
