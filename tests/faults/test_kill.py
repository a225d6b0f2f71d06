"""SIGKILL at any moment: the run goes on from its checkpoint and comes to the same, bit for bit.

Children of a zygote train a tiny run and are killed, at random moments and at chosen writes, until
one of them finishes; every byte that the run comes to is compared with that of a run that nobody
disturbed.
"""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any, get_args

import pytest

from engine.config import Cell
from engine.training import checkpoint
from engine.training.run import Run

each_cell = pytest.mark.parametrize("cell", get_args(Cell))
ATTEMPTS = 200  # children that one run may need; chance needs a tenth of them
WRITES = 60  # a child is halted at one of its first so many writes


def command(workshop: Any, name: str, **changes: Any) -> dict[str, Any]:
    shape = {"steps": 40, "dropout": 0.3, "layers": 2, **changes}
    return {
        "do": "train",
        "path": str(workshop.folder / name),
        "text": workshop.songs,
        "config": workshop.config(**shape).model_dump(mode="json"),
    }


def outcome(path: str) -> dict[str, Any]:
    """The bytes that a run comes to. The manifest tells the time that it took, and is not one."""
    run = Run.open(Path(path))
    last = checkpoint.read(checkpoint.listed(run.checkpoints)[-1])
    best = run.best_checkpoint([])
    assert best is not None
    return {
        "model": (last.path / "model.safetensors").read_bytes(),
        "trainer": (last.path / "trainer.safetensors").read_bytes(),
        "metrics": run.metrics_path.read_bytes(),
        "best": best.manifest.progress.step,
        "best model": (best.path / "model.safetensors").read_bytes(),
        "progress": last.manifest.progress.changed(seconds=0.0),
    }


def undisturbed(zygote: Any, order: dict[str, Any]) -> float:
    """Trains in one go; the seconds from the first step to the end."""
    child = zygote.fork(**order)
    assert child.expect("training") == {"training": 0, "warnings": []}
    began = time.monotonic()
    assert child.expect("finished")["finished"] == "finished"
    seconds = time.monotonic() - began
    assert child.reap() == 0
    return seconds


def killed_until_finished(
    zygote: Any, order: dict[str, Any], seconds: float, rng: random.Random
) -> int:
    """Trains with children that are killed; how many of them were alive and training."""
    for kills in range(ATTEMPTS):
        at_a_write = rng.random() < 0.3
        halt = {"halt": rng.randrange(1, WRITES), "after": rng.random() < 0.5}
        child = zygote.fork(**order, **(halt if at_a_write else {}))
        # A child that was killed left nothing damaged that is ever met.
        assert child.expect("training")["warnings"] == []
        # At a write the child stands still and says so; else the moment is the random time.
        line = child.said() if at_a_write else child.said(rng.uniform(0, seconds))
        if line is not None and "finished" in line:
            assert child.reap() == 0
            return kills
        assert line is None or "halted" in line, line
        killed = child.kill()
        if any("finished" in said for said in child.unheard):
            return kills  # it was as quick as the signal
        assert killed
        assert child.unheard == []
    raise AssertionError(f"{ATTEMPTS} children and no end")


def campaign(workshop: Any, zygote: Any, cell: str, seed: int, wanted: int) -> None:
    rng = random.Random(seed)
    orders = [command(workshop, f"undisturbed {number}", cell=cell) for number in range(3)]
    seconds = min(undisturbed(zygote, order) for order in orders)
    expected = outcome(orders[0]["path"])
    assert all(outcome(order["path"]) == expected for order in orders)
    kills = runs = 0
    while kills < wanted:
        order = command(workshop, f"killed {runs}", cell=cell)
        kills += killed_until_finished(zygote, order, seconds, rng)
        runs += 1
        assert outcome(order["path"]) == expected
    print(f"{cell}: {kills} kills in {runs} runs of {seconds:.2f} s")
    assert kills >= wanted


@each_cell
def test_a_killed_run_comes_to_the_same(workshop: Any, zygote: Any, seed: int, cell: str) -> None:
    """12 kills a cell, 36 in all."""
    campaign(workshop, zygote, cell, seed, wanted=12)


@pytest.mark.slow
@each_cell
@pytest.mark.timeout(1200)
def test_a_run_killed_a_hundred_times_comes_to_the_same(
    workshop: Any, zygote: Any, seed: int, cell: str
) -> None:
    """100 kills a cell, 300 in all."""
    campaign(workshop, zygote, cell, seed, wanted=100)


def test_a_kill_at_every_write_of_a_run(workshop: Any, zygote: Any, seed: int) -> None:
    """Before or after, or in the middle of, each thing that the run does to the disk."""
    rng = random.Random(seed)
    shape = {"steps": 4, "evaluate_every": 2, "checkpoint_every": 2, "sample_every": 4}
    order = command(workshop, "undisturbed", **shape)
    undisturbed(zygote, order)
    expected = outcome(order["path"])
    number = kills = 0
    while True:
        number += 1
        order = command(workshop, f"killed {number}", **shape)
        child = zygote.fork(**order, halt=number, after=rng.random() < 0.5)
        child.expect("training")
        line = child.said()
        assert line is not None
        if "finished" in line:
            assert child.reap() == 0
            break
        assert "halted" in line, line
        assert child.kill()
        kills += 1
        undisturbed_again = zygote.fork(**order)
        assert undisturbed_again.expect("training")["warnings"] == []
        undisturbed_again.expect("finished")
        undisturbed_again.reap()
        assert outcome(order["path"]) == expected, line
    assert kills > 40
    print(f"{kills} kills")


def test_a_kill_at_every_write_of_a_new_run_leaves_the_place_usable(
    workshop: Any, zygote: Any, seed: int
) -> None:
    rng = random.Random(seed)
    expected = command(workshop, "undisturbed")
    zygote.fork(**{**expected, "do": "create"}).expect("created")
    whole = Run.open(Path(expected["path"]))
    number = kills = 0
    while True:
        number += 1
        order = {**command(workshop, f"killed {number}"), "do": "create"}
        child = zygote.fork(**order, halt=number, after=rng.random() < 0.5)
        line = child.said()
        assert line is not None
        if "created" in line:
            break
        assert "halted" in line, line
        assert child.kill()
        kills += 1
        again = zygote.fork(**order)
        line = again.said()
        assert line == {"created": True}, line
        assert again.reap() == 0
        run = Run.open(Path(order["path"]))
        assert run.vocabulary == whole.vocabulary
        for which in ("training", "held_out"):
            assert (run.ids(which) == whole.ids(which)).all()
    assert kills > 15
    print(f"{kills} kills")
