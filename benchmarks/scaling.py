"""Time per character against the length of a sequence and the size of the corpus: flat, or not.

    python benchmarks/scaling.py [--hidden 384] [--rounds 5]

Batches of 4,096 characters in sequences of T, and T = 64 on random texts of up to 100 million
characters, all measured in turns.
"""

from __future__ import annotations

import argparse
import statistics
import time

import engine  # noqa: F401  sets the threads of what is imported next

# isort: split
import numpy as np
import torch

from engine.config import ModelConfig, TrainingConfig
from engine.memory import keep_freed
from engine.model import device as devices
from engine.training.plan import make_plan, precision_for
from engine.training.trainer import Trainer

CHARACTERS = 4096  # a step
LENGTHS = (32, 64, 128, 256, 512, 1024)
SIZES = (10**5, 10**6, 10**7, 10**8)
VOCABULARY = 65


def trainer(hidden: int, time_steps: int, ids: np.ndarray, rows: int | None = None) -> Trainer:
    batch = rows or CHARACTERS // time_steps
    config = TrainingConfig(
        model=ModelConfig(hidden=hidden), batch=batch, time_steps=time_steps, steps=10**6
    )
    plan = make_plan(
        config,
        batch=batch,
        time_steps=time_steps,
        batches_per_epoch=(len(ids) - 1) // (batch * time_steps),
        held_out_characters=0,
        steps=10**6,
        precision=precision_for("auto", devices.bf16_is_fast(torch.device("cpu"))),
        threads=torch.get_num_threads(),
    )
    return Trainer(config, plan, VOCABULARY, ids, torch.device("cpu"))


def table(title: str, rows: dict[str, Trainer], rounds: int) -> None:
    """Nanoseconds a character for each row, in turns, and against the median row."""
    times: dict[str, list[float]] = {name: [] for name in rows}
    for round_ in range(rounds + 1):
        for name, made in rows.items():
            steps = max(1, round(4 * CHARACTERS / made.characters_per_step))
            before = time.perf_counter()
            for _ in range(steps):
                made.step()
            seconds = time.perf_counter() - before
            if round_:  # the first warms up
                times[name].append(seconds / (steps * made.characters_per_step))
    medians = {name: statistics.median(found) for name, found in times.items()}
    middle = statistics.median(medians.values())
    print(f"| {title} | µs a character | against the median |")
    print("|---|---|---|")
    for name, median in medians.items():
        print(f"| {name} | {median * 1e6:.2f} | {median / middle:.2f} |")
    print()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hidden", type=int, default=384)
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    keep_freed()
    rng = np.random.default_rng(0)
    ids = rng.integers(VOCABULARY, size=10**6).astype(np.uint8)
    same_rows = {f"{length} × 64": trainer(given.hidden, length, ids, 64) for length in LENGTHS}
    table("T × B", same_rows, given.rounds)
    texts = {
        f"{size / 1e6:g} million": trainer(
            given.hidden, 64, rng.integers(VOCABULARY, size=size, dtype=np.uint8)
        )
        for size in SIZES
    }
    table("corpus", texts, given.rounds)


if __name__ == "__main__":
    main()
