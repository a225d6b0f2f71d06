"""A run on disk: opened as it was written, or refused in one sentence."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.errors import CheckpointError, RunError, RunLockedError
from engine.training import checkpoint
from engine.training.run import Run, all_runs, check_free, new_path, summary_of


def one_sentence(error: BaseException) -> bool:
    """One sentence to a person: it begins, it ends, and it has no line breaks or tracebacks."""
    text = str(error)
    return text.endswith(".") and "\n" not in text and "Traceback" not in text


# --- Creating and opening -----------------------------------------------------------------------


def test_a_run_is_opened_as_it_was_created(workshop: Any) -> None:
    made = workshop.new_run(cell="lstm", newline="space", learning_rate=0.0123, seed=2**62)
    opened = Run.open(made.path)
    assert opened.facts == made.facts
    assert opened.vocabulary == made.vocabulary
    for which in ("training", "held_out"):
        np.testing.assert_array_equal(opened.ids(which), made.ids(which))
    text = opened.vocabulary.decode(opened.ids("training"))
    assert len(text) == opened.facts.corpus.training_characters
    assert opened.metrics() == opened.samples() == []
    assert opened.newest_checkpoint([]) is None


def test_training_and_held_out_text_are_the_corpus_and_nothing_twice(workshop: Any) -> None:
    run = workshop.new_run()
    sides = {which: run.vocabulary.decode(run.ids(which)) for which in ("training", "held_out")}
    songs = {which: side.split("\n\n") for which, side in sides.items()}
    assert sorted(songs["training"] + songs["held_out"]) == sorted(workshop.songs.split("\n\n"))


def test_a_run_needs_nothing_of_the_corpus_any_more(workshop: Any, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere" / "moved"
    made = workshop.trained()
    moved.parent.mkdir()
    shutil.move(made.path, moved)
    opened = Run.open(moved)
    assert opened.best_checkpoint([]) is not None
    assert opened.facts == made.facts


def test_a_run_is_these_files_and_no_others(workshop: Any) -> None:
    run = workshop.trained()
    names = {entry.name for entry in run.path.iterdir()} - {"run.lock"}
    assert names == {
        "run.toml",
        "vocabulary.json",
        "data",
        "metrics.jsonl",
        "samples.jsonl",
        "checkpoints",
    }
    kinds = {entry.suffix for entry in run.path.rglob("*") if entry.is_file()} - {".lock"}
    assert kinds == {".toml", ".json", ".npy", ".jsonl", ".safetensors"}


def test_a_corpus_whose_name_is_not_utf_8_can_be_trained_on(workshop: Any) -> None:
    """Songs unpacked from a Chinese archive have GBK names, which Python shows as surrogates."""
    from engine.corpus.corpus import Corpus
    from engine.training import prepare

    name = os.fsdecode("/歌/春.txt".encode("gbk"))
    path = workshop.folder / "run"
    run, _ = prepare.new_run(path, Corpus.from_text(workshop.songs), workshop.config(), name)
    assert ".txt" in Run.open(path).facts.corpus.path
    assert run.facts == Run.open(path).facts


# --- What is not a run --------------------------------------------------------------------------


def edited(file: str, change: Callable[[str], str]) -> Callable[[Path], None]:
    def edit(path: Path) -> None:
        text = (path / file).read_text(encoding="utf-8")
        changed = change(text)
        assert changed != text
        (path / file).write_text(changed, encoding="utf-8")

    return edit


def replaced(old: str, new: str) -> Callable[[str], str]:
    return lambda text: text.replace(old, new)


def holding(file: str, data: bytes) -> Callable[[Path], None]:
    return lambda path: (path / file).write_bytes(data) and None


def without(file: str) -> Callable[[Path], None]:
    return lambda path: (path / file).unlink()


def as_folder(file: str) -> Callable[[Path], None]:
    def turn(path: Path) -> None:
        (path / file).unlink()
        (path / file).mkdir()

    return turn


NOT_A_RUN: dict[str, tuple[Callable[[Path], Any], str]] = {
    "missing": (shutil.rmtree, "no run at"),
    "a file": (lambda path: (shutil.rmtree(path), path.write_text("x")), "not a run"),
    "an empty folder": (lambda path: (shutil.rmtree(path), path.mkdir()), "no run.toml"),
    "no run.toml": (without("run.toml"), "no run.toml"),
    "run.toml a folder": (as_folder("run.toml"), "cannot be read"),
    "run.toml empty": (holding("run.toml", b""), "format None"),
    "run.toml no TOML": (holding("run.toml", b"format = [1"), "run.toml"),
    "run.toml binary": (holding("run.toml", b"\x00\xff\x80"), "run.toml"),
    "run.toml cut": (edited("run.toml", lambda text: text[: len(text) // 2]), "run.toml"),
    "run.toml nested": (holding("run.toml", b"a = " + b"[" * 5000), "run.toml"),
    "another format": (edited("run.toml", replaced("format = 1", "format = 2")), "format 2"),
    "an unknown cell": (edited("run.toml", replaced('"gru"', '"transformer"')), "transformer"),
    "an unknown key": (edited("run.toml", replaced("[plan]", "[plan]\nmagic = 1")), "magic"),
    "a key called self": (
        edited("run.toml", replaced("format = 1", "self = 1\nformat = 1")),
        "self",
    ),
    "a text for a number": (edited("run.toml", replaced("hidden = 8", 'hidden = "x"')), "hidden"),
    "out of range": (edited("run.toml", replaced("hidden = 8", "hidden = 0")), "hidden"),
    "not finite": (edited("run.toml", replaced("dropout = 0.2", "dropout = nan")), "dropout"),
    "a number for a table": (
        edited("run.toml", lambda t: re.sub(r"\[plan\][^\[]*", "", t)),
        "plan",
    ),
    "no vocabulary": (without("vocabulary.json"), "no vocabulary.json"),
    "vocabulary empty": (holding("vocabulary.json", b""), "vocabulary.json"),
    "vocabulary not UTF-8": (holding("vocabulary.json", b"\xff\xfe"), "vocabulary.json"),
    "vocabulary changed": (edited("vocabulary.json", replaced("春", "秋")), "vocabulary.json"),
    "vocabulary nested": (holding("vocabulary.json", b"[" * 100_000), "vocabulary.json"),
}


@pytest.mark.parametrize("what", NOT_A_RUN)
def test_what_is_not_a_run_is_refused_in_a_sentence(workshop: Any, what: str) -> None:
    run = workshop.new_run(hidden=8)
    spoil, says = NOT_A_RUN[what]
    spoil(run.path)
    with pytest.raises(RunError, match=re.escape(says)) as caught:
        Run.open(run.path)
    assert one_sentence(caught.value), caught.value
    assert str(run.path) in str(caught.value)


def test_a_path_that_cannot_exist_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / ("x" * 300), tmp_path / "a\0b"):
        with pytest.raises(RunError):
            Run.open(path)


# --- The data -----------------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["training", "held_out"])
def test_data_that_was_cut_anywhere_is_refused(workshop: Any, which: str, seed: int) -> None:
    rng = random.Random(seed)
    run = workshop.new_run()
    path = run.path / "data" / f"{which}.npy"
    whole = path.read_bytes()
    for length in [0, 1, 6, 8, 10, 64, 128, len(whole) - 1, rng.randrange(len(whole))]:
        path.write_bytes(whole[:length])
        with pytest.raises(RunError, match=f"{which}.npy") as caught:
            run.ids(which)
        assert one_sentence(caught.value)


def test_data_that_is_missing_or_not_this_runs_is_refused(workshop: Any) -> None:
    run = workshop.new_run()
    path = run.path / "data" / "training.npy"
    ids = run.ids("training")
    for other in (ids[:-1], ids[None], ids + run.vocabulary.size, np.array([{}])):
        np.save(path, other, allow_pickle=True)
        with pytest.raises(RunError, match=r"training\.npy"):
            run.ids("training")
    path.unlink()
    with pytest.raises(RunError, match=r"training\.npy"):
        run.ids("training")


def test_a_flipped_bit_in_the_head_of_the_data_is_no_other_error(workshop: Any) -> None:
    run = workshop.new_run()
    path = run.path / "data" / "training.npy"
    whole, expected = path.read_bytes(), run.ids("training")
    for bit in range(8 * 128):
        changed = bytearray(whole)
        changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(changed)
        try:
            found = run.ids("training")
        except RunError:
            continue
        np.testing.assert_array_equal(found, expected)


# --- The lock -----------------------------------------------------------------------------------


def test_a_run_that_another_process_trains_is_refused_until_that_ends(
    workshop: Any, zygote: Any
) -> None:
    run = workshop.new_run()
    child = zygote.fork(do="lock", path=str(run.path))
    child.expect("locked")
    with pytest.raises(RunLockedError, match="trained by another process") as caught:
        run.lock()
    assert one_sentence(caught.value)
    assert Run.open(run.path).facts == run.facts  # reading needs no lock
    assert child.kill()
    run.lock()  # a process that was killed leaves no lock behind
    run.unlock()


def test_a_run_that_this_process_trains_is_refused_too(workshop: Any) -> None:
    run = workshop.new_run()
    run.lock()
    second = Run.open(run.path)
    with pytest.raises(RunLockedError):
        second.lock()
    run.unlock()
    second.lock()
    second.unlock()


# --- Checkpoints --------------------------------------------------------------------------------


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def test_the_newest_whole_checkpoint_is_found_and_the_damaged_named(workshop: Any) -> None:
    run = workshop.trained(keep_checkpoints=5)
    *_, third, second, first = checkpoint.listed(run.checkpoints)
    warnings: list[str] = []
    assert run.newest_checkpoint(warnings).path == first
    assert warnings == []

    flip_a_bit(first / "trainer.safetensors")
    (second / "manifest.json").unlink()
    assert run.newest_checkpoint(warnings).path == third
    assert len(warnings) == 2
    assert first.name in warnings[0]
    assert second.name in warnings[1]
    assert all("earlier checkpoint is tried" in warning for warning in warnings)
    # For writing, the weights are enough.
    assert run.newest_checkpoint([], with_trainer=False).path == first


def test_where_every_checkpoint_is_damaged_it_is_said(workshop: Any) -> None:
    run = workshop.trained()
    for path in checkpoint.listed(run.checkpoints):
        flip_a_bit(path / "model.safetensors")
    for find in (run.newest_checkpoint, run.best_checkpoint):
        with pytest.raises(CheckpointError, match=r"No checkpoint of .* is whole"):
            find([])


def foreign_vocabulary(workshop: Any) -> tuple[Run, Run]:
    """Two runs alike but for one character of their songs."""
    mine = workshop.trained("mine")
    other = workshop.new_run("other", text=workshop.songs.replace("夜", "昼"))
    workshop.finish(workshop.loop(other))
    return mine, other


def test_a_checkpoint_of_another_vocabulary_is_refused_with_both_named(workshop: Any) -> None:
    mine, other = foreign_vocabulary(workshop)
    shutil.rmtree(mine.checkpoints)
    shutil.copytree(other.checkpoints, mine.checkpoints)
    for find in (mine.newest_checkpoint, mine.best_checkpoint):
        with pytest.raises(CheckpointError, match="another vocabulary") as caught:
            find([])
        assert mine.vocabulary.digest[:12] in str(caught.value)
        assert other.vocabulary.digest[:12] in str(caught.value)


def test_an_earlier_checkpoint_is_not_taken_without_a_word_about_the_foreign_one(
    workshop: Any,
) -> None:
    mine, other = foreign_vocabulary(workshop)
    newest = checkpoint.listed(mine.checkpoints)[-1]
    shutil.rmtree(newest)
    shutil.copytree(checkpoint.listed(other.checkpoints)[-1], newest)
    warnings: list[str] = []
    found = mine.newest_checkpoint(warnings)
    assert found is not None
    assert found.path != newest
    assert any(newest.name in warning for warning in warnings)


def test_the_best_checkpoint_is_that_of_the_lowest_held_out_loss(workshop: Any) -> None:
    run = workshop.trained(
        steps=40, evaluate_every=2, learning_rate=0.5, schedule="constant", dropout=0.0
    )
    evaluated = [point for point in run.metrics() if "held_out_loss" in point]
    best = min(evaluated, key=lambda point: point["held_out_loss"])
    found = run.best_checkpoint([])
    assert found.manifest.progress.step == best["step"] < 40
    assert found.manifest.progress.held_out_loss == best["held_out_loss"]


def test_where_the_best_is_damaged_the_newest_is_taken(workshop: Any) -> None:
    """The newest one was never evaluated, so that only the best has a held-out loss."""
    run = workshop.new_run(evaluate_every=10, checkpoint_every=12, keep_checkpoints=1)
    workshop.advance_to(workshop.loop(run), 13)
    best, newest = checkpoint.listed(run.checkpoints)
    flip_a_bit(best / "model.safetensors")
    warnings: list[str] = []
    found = run.best_checkpoint(warnings)
    assert found is not None
    assert found.path == newest
    assert any(best.name in warning for warning in warnings)


# --- The log and the samples --------------------------------------------------------------------


def test_a_line_that_a_crash_cut_is_passed_over(workshop: Any) -> None:
    run = workshop.trained()
    points = run.metrics()
    assert len(points) > 10
    with run.metrics_path.open("ab") as file:
        file.write(b'{"step": 25, "lo')
    assert run.metrics() == points
    with run.metrics_path.open("ab") as file:
        file.write(b'\xe6\x98\n[1, 2]\nnull\n\n{"step": 26}\n')
    assert run.metrics() == [*points, {"step": 26}]
    run.metrics_path.unlink()
    assert run.metrics() == []


SAMPLES = [
    {"step": 1, "prompt": "", "text": "春江\n花月"},
    {"step": 2, "prompt": "x", "text": "\x00\x1b[2J\x0b\x0c\x1c\r\n\x7f"},
    {"step": 3, "prompt": "x", "text": "a\x85b\u2028c\u2029d"},
    {"step": 4, "prompt": os.fsdecode(b"\xff"), "text": "half a surrogate in a prompt"},
]


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: f"sample {sample['step']}")
def test_a_sample_is_read_back_as_it_was_written(workshop: Any, sample: dict[str, Any]) -> None:
    run = workshop.new_run()
    before = {"step": 0, "text": "one before"}
    run.add_sample(before)
    run.add_sample(sample)
    assert run.samples() == [before, sample]
    lines = run.samples_path.read_bytes().split(b"\n")
    assert [json.loads(line) for line in lines if line] == [before, sample]


def test_a_sample_after_a_line_that_a_crash_cut_is_not_lost(workshop: Any) -> None:
    run = workshop.new_run()
    run.samples_path.write_bytes(b'{"step": 1, "te')
    run.add_sample({"step": 2, "text": "whole"})
    assert run.samples() == [{"step": 2, "text": "whole"}]


# --- A run in a line ----------------------------------------------------------------------------


def test_a_summary_is_of_the_newest_manifest_that_can_be_read(workshop: Any) -> None:
    run = workshop.new_run(cell="lstm")
    fresh = summary_of(run)
    assert (fresh.cell, fresh.hidden, fresh.step, fresh.total_steps) == ("lstm", 8, 0, 24)
    assert fresh.best_held_out_loss is None
    workshop.finish(workshop.loop(run))
    best = min(point["held_out_loss"] for point in run.metrics() if "held_out_loss" in point)
    assert summary_of(run).step == 24
    assert summary_of(run).best_held_out_loss == best
    flip_a_bit(checkpoint.listed(run.checkpoints)[-1] / "manifest.json")
    assert 0 < summary_of(run).step < 24


# --- A place for a new run ----------------------------------------------------------------------


def test_only_a_free_place_is_taken(workshop: Any, tmp_path: Path) -> None:
    check_free(tmp_path / "new" / "deeper")
    (tmp_path / "empty").mkdir()
    check_free(tmp_path / "empty")

    run = workshop.new_run()
    with pytest.raises(RunError, match=r"holds a run already: go on with --resume"):
        workshop.new_run()
    (tmp_path / "file").write_text("x")
    with pytest.raises(RunError, match="not a folder"):
        check_free(tmp_path / "file")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "me.jpg").write_text("x")
    with pytest.raises(RunError, match="not empty and not a run"):
        check_free(tmp_path / "photos")
    assert Run.open(run.path).facts == run.facts


def test_a_place_that_cannot_be_written_is_refused(workshop: Any) -> None:
    (workshop.folder / "file").write_text("x")
    with pytest.raises(RunError) as caught:
        workshop.new_run("file/run")
    assert one_sentence(caught.value)


def test_runs_live_under_home_newest_first(workshop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LYRICRNN_HOME", str(workshop.folder / "home"))
    assert all_runs() == []
    paths = []
    for age in (300, 100, 200):
        path = new_path("../My songs: 春江.txt")
        assert path.parent == workshop.folder / "home" / "runs"
        assert "春江" in path.name
        workshop.new_run(str(path))
        os.utime(path / "run.toml", (10**9 - age, 10**9 - age))
        paths.append(path)
    assert len(set(paths)) == 3  # in one second too
    assert all_runs() == [paths[1], paths[2], paths[0]]
    for name in ("", "...", "/", "\x1b[2J", "x" * 500, "春" * 500):
        assert new_path(name).parent == workshop.folder / "home" / "runs"
        workshop.new_run(str(new_path(name)))
