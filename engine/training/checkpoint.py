"""Checkpoints: a folder each, complete or not there, and known good by its hashes.

step-000001200/model.safetensors     the weights
               trainer.safetensors   optimiser state, carried hidden state
               manifest.json         schema, step, progress, sizes and SHA-256 of the files,
                                     digests of corpus and vocabulary, versions, its own digest
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from engine.config import Settings
from engine.errors import CheckpointError, ConfigError
from engine.training import durable

if TYPE_CHECKING:
    from torch import Tensor  # a list of runs reads manifests only, and must not wait for torch

SCHEMA = 1
MODEL, TRAINER, MANIFEST = "model.safetensors", "trainer.safetensors", "manifest.json"


class Progress(Settings):
    """Where a run stands, beyond its tensors.

    `interval_loss` and `interval_steps` are the sum and count of the losses since the last logged
    point; `metrics_bytes` is the length of metrics.jsonl at this step; `seconds` is the time
    spent training, over all sittings.
    """

    step: int = Field(default=0, ge=0)
    rate_scale: float = Field(default=1.0, gt=0)
    rolled_back: bool = False
    evaluated_step: int = 0
    held_out_loss: float | None = None
    best_loss: float | None = None
    best_step: int | None = None
    evaluations_since_best: int = Field(default=0, ge=0)
    sampled_step: int = 0
    loss: float | None = None
    interval_loss: float = 0.0
    interval_steps: int = Field(default=0, ge=0)
    metrics_bytes: int = Field(default=0, ge=0)
    seconds: float = Field(default=0.0, ge=0)


class FileFacts(Settings):
    bytes: int = Field(ge=0)
    sha256: str


class Manifest(Settings):
    """What manifest.json holds besides its own digest."""

    format: int = SCHEMA
    progress: Progress
    files: dict[str, FileFacts]
    corpus_sha256: str
    vocabulary_digest: str
    seed: int
    versions: dict[str, str]


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint read back and verified."""

    path: Path
    manifest: Manifest
    weights: dict[str, Tensor]
    trainer: dict[str, Tensor]


def name_of(step: int) -> str:
    return f"step-{step:09d}"


def write(
    folder: Path,
    progress: Progress,
    weights: Mapping[str, Tensor],
    trainer: Mapping[str, Tensor],
    *,
    corpus_sha256: str,
    vocabulary_digest: str,
    seed: int,
) -> Path:
    """Writes `folder`/step-… under a temporary name, flushes it and renames it into place.

    On any failure nothing new is left behind and what was there before is untouched.
    """
    import safetensors
    import torch

    before = of_step(folder, progress.step)
    target = folder / name_of(progress.step)
    if before:  # saved again at one step: beside the older one, which goes once this one is whole
        target = folder / f"{name_of(progress.step)}-{_repetition(before[-1]) + 1:02d}"
    temporary = folder / f".{target.name}.tmp"
    contents = {MODEL: _serialised(weights), TRAINER: _serialised(trainer)}
    manifest = Manifest(
        progress=progress,
        files={
            name: FileFacts(bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
            for name, data in contents.items()
        },
        corpus_sha256=corpus_sha256,
        vocabulary_digest=vocabulary_digest,
        seed=seed,
        versions={"torch": torch.__version__, "safetensors": safetensors.__version__},
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        for name, data in contents.items():
            durable.write(temporary / name, data)
        durable.write(temporary / MANIFEST, _manifest_bytes(manifest))
        durable.flush_folder(temporary)
        os.rename(temporary, target)
        durable.flush_folder(folder)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise CheckpointError(
            f"The checkpoint of step {progress.step:,} could not be saved in {folder}: "
            f"{error.strerror or error}. Earlier checkpoints are untouched: make room, save again."
        ) from error
    if not before:
        return target
    for older in before:
        shutil.rmtree(older, ignore_errors=True)
    plain = folder / name_of(progress.step)
    try:
        os.rename(target, plain)
    except OSError:
        return target  # as good under the longer name
    return plain


def read_manifest(path: Path) -> Manifest:
    """The manifest of a checkpoint, its own digest checked. The file has exactly one right
    spelling, so that a change of any byte is seen."""
    file = path / MANIFEST
    try:
        data = file.read_bytes()
        document: dict[str, Any] = json.loads(data)
        del document["digest"]
        if document.get("format") != SCHEMA:
            raise CheckpointError(
                f"{path} has format {document.get('format')!a:.40}; this version reads {SCHEMA}. "
                "Open it with the version of lyricrnn that wrote it."
            )
        manifest = Manifest(**document)
        if _manifest_bytes(manifest) == data:
            return manifest
    except OSError as error:
        raise CheckpointError(f"{file} cannot be read: {error.strerror or error}.") from None
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError, ConfigError):
        pass
    raise CheckpointError(f"{file} is damaged: it does not match its own digest.")


def read(path: Path, *, with_trainer: bool = True) -> Checkpoint:
    """Reads and verifies a checkpoint; a file that is missing, cut or changed by a single bit is
    a `CheckpointError`. Files are read whole, never mapped: they may be replaced meanwhile."""
    import safetensors.torch

    manifest = read_manifest(path)
    tensors: dict[str, dict[str, Tensor]] = {MODEL: {}, TRAINER: {}}
    for name in (MODEL, TRAINER) if with_trainer else (MODEL,):
        facts = manifest.files.get(name)
        try:
            data = (path / name).read_bytes()
        except OSError as error:
            raise CheckpointError(f"{path / name} cannot be read: {error.strerror}.") from None
        if facts is None or hashlib.sha256(data).hexdigest() != facts.sha256:
            raise CheckpointError(f"{path / name} is damaged: it does not match its SHA-256.")
        try:
            tensors[name] = safetensors.torch.load(data)
        except safetensors.SafetensorError as error:
            raise CheckpointError(f"{path / name} is not a safetensors file: {error}.") from None
    return Checkpoint(path, manifest, tensors[MODEL], tensors[TRAINER])


def listed(folder: Path) -> list[Path]:
    """The checkpoints in a folder, oldest first, valid or not."""
    return sorted(path for path in folder.glob("step-*") if path.is_dir())


def of_step(folder: Path, step: int) -> list[Path]:
    """The checkpoints of one step, oldest first: one, but for a save that was cut short."""
    return [path for path in listed(folder) if _step_part(path) == name_of(step)]


def _step_part(path: Path) -> str:
    return path.name[: len(name_of(0))]


def _repetition(path: Path) -> int:
    """1 for `step-…`, N for `step-…-N`."""
    number = path.name[len(name_of(0)) :].lstrip("-")
    return int(number) if number.isdigit() else 1


def set_aside(folder: Path, beyond: int) -> None:
    """Renames the checkpoints after a step, which the run has gone back behind because they are
    damaged: they must not stand before those that are written from here on."""
    for path in listed(folder):
        if _step_part(path) > name_of(beyond):
            aside = path.with_name(f"damaged-{path.name}")
            shutil.rmtree(aside, ignore_errors=True)
            os.rename(path, aside)


def prune(folder: Path, keep: int, best_step: int | None) -> None:
    """Removes all but the newest `keep` checkpoints and the best one, and leftovers of writers
    that were killed."""
    for leftover in folder.glob(".step-*.tmp"):
        shutil.rmtree(leftover, ignore_errors=True)
    best = [] if best_step is None else of_step(folder, best_step)
    for path in listed(folder)[:-keep]:
        if path not in best:
            shutil.rmtree(path, ignore_errors=True)


def _serialised(tensors: Mapping[str, Tensor]) -> bytes:
    import safetensors.torch

    return safetensors.torch.save({name: t.detach().contiguous() for name, t in tensors.items()})


def _digest(document: dict[str, Any]) -> str:
    text = json.dumps(document, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _manifest_bytes(manifest: Manifest) -> bytes:
    document = manifest.model_dump(mode="json")
    return json.dumps({**document, "digest": _digest(document)}, indent=2).encode() + b"\n"
