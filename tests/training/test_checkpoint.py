"""A checkpoint is whole or refused, and flushed before it has its name."""

from __future__ import annotations

import hashlib
import json
import os
import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from engine.errors import CheckpointError
from engine.training import checkpoint
from engine.training.checkpoint import Checkpoint, Progress

FILES = {"model.safetensors", "trainer.safetensors", "manifest.json"}
PROGRESS = Progress(
    step=1200,
    rate_scale=0.5,
    evaluated_step=1200,
    held_out_loss=1.25,
    best_loss=1.25,
    best_step=1200,
    loss=1.5,
    interval_loss=3.75,
    interval_steps=3,
    metrics_bytes=77,
    seconds=12.5,
)
WEIGHTS = {"output.weight": torch.arange(6.0).reshape(2, 3), "output.bias": torch.ones(2)}
TRAINER = {"state.0": torch.full((1, 2, 3), 0.1), "optimizer.output.bias.step": torch.tensor(9.0)}


def write(folder: Path, progress: Progress = PROGRESS, **changes: Any) -> Path:
    facts = {"corpus_sha256": "c" * 64, "vocabulary_digest": "v" * 64, "seed": 5, **changes}
    return checkpoint.write(folder, progress, WEIGHTS, TRAINER, **facts)


def equal(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(
        torch.equal(first[name], second[name]) for name in first
    )


def assert_whole(found: Checkpoint) -> None:
    assert equal(found.weights, WEIGHTS)
    assert equal(found.trainer, TRAINER)
    assert found.manifest.progress == PROGRESS


# --- Writing and reading ------------------------------------------------------------------------


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    path = write(tmp_path / "checkpoints")
    assert path == tmp_path / "checkpoints" / "step-000001200"
    found = checkpoint.read(path)
    assert_whole(found)
    assert found.manifest.seed == 5


def test_a_checkpoint_is_three_files_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = write(tmp_path)
    assert {entry.name for entry in path.iterdir()} == FILES
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_the_manifest_names_all_that_is_needed_to_trust_the_files(tmp_path: Path) -> None:
    path = write(tmp_path)
    document = json.loads((path / "manifest.json").read_text())
    assert document["format"] == 1
    assert document["progress"]["step"] == 1200
    assert document["corpus_sha256"] == "c" * 64
    assert document["vocabulary_digest"] == "v" * 64
    assert document["versions"]["torch"] == torch.__version__
    assert document["files"].keys() == FILES - {"manifest.json"}
    for name, facts in document["files"].items():
        data = (path / name).read_bytes()
        assert facts == {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def test_the_tensors_can_be_read_by_anything_that_reads_safetensors(tmp_path: Path) -> None:
    assert equal(load_file(write(tmp_path) / "model.safetensors"), WEIGHTS)


def test_the_weights_alone_can_be_read(tmp_path: Path) -> None:
    path = write(tmp_path)
    (path / "trainer.safetensors").unlink()
    found = checkpoint.read(path, with_trainer=False)
    assert equal(found.weights, WEIGHTS)
    assert found.trainer == {}


def test_the_same_state_is_the_same_bytes(tmp_path: Path) -> None:
    first, second = write(tmp_path / "a"), write(tmp_path / "b")
    for name in FILES:
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_one_that_was_saved_again_at_the_same_step_replaces_the_older(tmp_path: Path) -> None:
    write(tmp_path, PROGRESS.changed(seconds=1.0))
    write(tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["step-000001200"]
    assert_whole(checkpoint.read(tmp_path / "step-000001200"))


class Killed(BaseException):
    """The end of the process: nothing that handles errors handles it."""


def killed_at(patch: pytest.MonkeyPatch, number: int) -> None:
    """From now on the `number`th thing done to the disk is the last one."""
    done = 0

    def counting(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            nonlocal done
            done += 1
            if done >= number:
                raise Killed
            return real(*arguments, **named)

        return call

    for name in ("mkdir", "write", "fsync", "rename", "replace", "rmdir", "unlink"):
        patch.setattr(os, name, counting(getattr(os, name)))


def newest_whole(folder: Path) -> float:
    """When the newest checkpoint that can be read was written, as its progress tells."""
    for path in reversed(checkpoint.listed(folder)):
        with suppress(CheckpointError):
            return checkpoint.read(path).manifest.progress.seconds
    raise AssertionError("no checkpoint is whole")


def test_a_second_save_at_one_step_can_be_killed_anywhere_and_done_again(tmp_path: Path) -> None:
    """At every moment one of the two is whole, and what a killed writer left is in nobody's way."""
    number, killed = 0, True
    while killed:
        number += 1
        folder = tmp_path / f"{number}"
        write(folder, PROGRESS.changed(seconds=1.0))
        killed = False
        with pytest.MonkeyPatch.context() as patch:
            killed_at(patch, number)
            try:
                write(folder, PROGRESS.changed(seconds=2.0))
            except Killed:
                killed = True
        assert newest_whole(folder) in {1.0, 2.0}, number
        write(folder, PROGRESS.changed(seconds=3.0))
        assert newest_whole(folder) == 3.0, number
        checkpoint.prune(folder, keep=1, best_step=None)
        assert [entry.name for entry in folder.iterdir()] == ["step-000001200"], number
    assert number > 15


def test_everything_is_on_the_disk_before_the_name_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut cannot be tried here; the order that survives one can be watched."""
    flushed: list[int] = []
    named: list[tuple[Path, int]] = []
    fsync, rename = os.fsync, os.rename

    def watched_fsync(descriptor: int) -> None:
        fsync(descriptor)
        flushed.append(os.fstat(descriptor).st_ino)

    def watched_rename(source: Path, target: Path) -> None:
        inside = [entry.stat().st_ino for entry in Path(source).iterdir()]
        assert len(inside) == 3
        assert {*inside, Path(source).stat().st_ino} <= set(flushed)
        # The folder's own entries are flushed after the files in it were made.
        assert flushed.index(Path(source).stat().st_ino) > max(map(flushed.index, inside))
        named.append((Path(target), len(flushed)))
        rename(source, target)

    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(os, "rename", watched_rename)
    path = write(tmp_path)
    assert [target for target, _ in named] == [path]
    assert tmp_path.stat().st_ino in flushed[named[0][1] :]  # and then the name itself


# --- What is refused ----------------------------------------------------------------------------


def flip(path: Path, bit: int) -> None:
    data = bytearray(path.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    path.write_bytes(data)


def test_any_flipped_bit_is_refused(tmp_path: Path, seed: int) -> None:
    """Random bits of each file, its first and its last among them."""
    rng = random.Random(seed)
    path = write(tmp_path)
    for name in sorted(FILES):
        size = 8 * (path / name).stat().st_size
        for bit in {0, 7, size - 8, size - 1, *(rng.randrange(size) for _ in range(80))}:
            flip(path / name, bit)
            with pytest.raises(CheckpointError, match=path.name):
                checkpoint.read(path)
            flip(path / name, bit)
    assert_whole(checkpoint.read(path))


def test_every_byte_of_the_manifest_counts(tmp_path: Path, seed: int) -> None:
    """Two flips of each: the bit between a and A (1e-05 and 1E-05 are one number, and still not
    what was written), and a random one."""
    rng = random.Random(seed)
    path = write(tmp_path, PROGRESS.changed(seconds=1e-05)) / "manifest.json"
    whole = path.read_bytes()
    accepted = []
    for byte in range(len(whole)):
        for bit in (8 * byte + 5, 8 * byte + rng.randrange(8)):
            flip(path, bit)
            try:
                checkpoint.read_manifest(path.parent)
            except CheckpointError:
                pass
            else:
                accepted.append(path.read_bytes()[max(0, byte - 20) : byte + 5])
            path.write_bytes(whole)
    assert accepted == []


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_file_that_was_cut_anywhere_is_refused(tmp_path: Path, name: str, seed: int) -> None:
    rng = random.Random(seed)
    path = write(tmp_path)
    whole = (path / name).read_bytes()
    for length in {0, 1, 8, len(whole) - 1, *(rng.randrange(len(whole)) for _ in range(20))}:
        (path / name).write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match=name.partition(".")[0]):
            checkpoint.read(path)
    (path / name).write_bytes(whole + b"\0")
    with pytest.raises(CheckpointError, match=name.partition(".")[0]):
        checkpoint.read(path)


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_missing_file_is_refused(tmp_path: Path, name: str) -> None:
    path = write(tmp_path)
    (path / name).unlink()
    with pytest.raises(CheckpointError, match=path.name):
        checkpoint.read(path)


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_folder_in_place_of_a_file_is_refused(tmp_path: Path, name: str) -> None:
    path = write(tmp_path)
    (path / name).unlink()
    (path / name).mkdir()
    with pytest.raises(CheckpointError, match=path.name):
        checkpoint.read(path)


def test_files_of_two_checkpoints_cannot_be_mixed(tmp_path: Path) -> None:
    first = write(tmp_path / "a")
    other = checkpoint.write(
        tmp_path / "b",
        PROGRESS,
        {"output.weight": torch.zeros(2, 3), "output.bias": torch.ones(2)},
        TRAINER,
        corpus_sha256="c" * 64,
        vocabulary_digest="v" * 64,
        seed=5,
    )
    (other / "model.safetensors").rename(first / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"model\.safetensors is damaged"):
        checkpoint.read(first)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b"[]",
        b'"digest"',
        b"{}",
        b'{"digest": 5}',
        b'{"digest": "x", "format": 1}',
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b'{"digest": "x", "name": "\\ud800"}',
    ],
    ids=lambda content: repr(content[:24]),
)
def test_a_manifest_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    path = write(tmp_path)
    (path / "manifest.json").write_bytes(content)
    with pytest.raises(CheckpointError, match="manifest"):
        checkpoint.read(path)


def resealed(path: Path, **changes: Any) -> None:
    """Changes a manifest and gives it the digest that fits: made by another version, or by hand."""
    document = json.loads((path / "manifest.json").read_text())
    document.pop("digest")
    document.update(changes)
    canonical = json.dumps(document, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    (path / "manifest.json").write_text(json.dumps({**document, "digest": digest}, indent=2) + "\n")


def test_a_format_of_another_version_is_named(tmp_path: Path) -> None:
    path = write(tmp_path)
    resealed(path, format=2)
    with pytest.raises(CheckpointError, match=r"format 2; this version reads 1\. Open it with"):
        checkpoint.read(path)


@pytest.mark.parametrize(
    "changes",
    [{"files": {}}, {"files": None}, {"progress": {"step": -1}}, {"seed": "x"}, {"extra": 1}],
)
def test_a_manifest_of_other_fields_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    path = write(tmp_path)
    resealed(path, **changes)
    with pytest.raises(CheckpointError):
        checkpoint.read(path)


# --- Keeping ------------------------------------------------------------------------------------


def steps(folder: Path) -> list[int]:
    return [int(path.name.removeprefix("step-")) for path in checkpoint.listed(folder)]


def test_the_newest_and_the_best_are_kept_and_leftovers_go(tmp_path: Path) -> None:
    for step in (10, 20, 30, 40, 50):
        write(tmp_path, PROGRESS.changed(step=step))
    (tmp_path / ".step-000000060.1.tmp").mkdir()
    (tmp_path / ".step-000000060.1.tmp" / "model.safetensors").write_bytes(b"half")
    assert steps(tmp_path) == [10, 20, 30, 40, 50]
    checkpoint.prune(tmp_path, keep=2, best_step=20)
    assert steps(tmp_path) == [20, 40, 50]
    assert len(list(tmp_path.iterdir())) == 3
    checkpoint.prune(tmp_path, keep=2, best_step=50)
    assert steps(tmp_path) == [40, 50]
    checkpoint.prune(tmp_path, keep=1, best_step=None)
    assert steps(tmp_path) == [50]
    assert_whole_step(tmp_path, 50)


def assert_whole_step(folder: Path, step: int) -> None:
    assert checkpoint.read(folder / checkpoint.name_of(step)).manifest.progress.step == step


def test_a_folder_that_is_not_there_holds_no_checkpoints(tmp_path: Path) -> None:
    assert checkpoint.listed(tmp_path / "nowhere") == []
