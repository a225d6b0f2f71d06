"""What torch.compile brings: a training step's forward and backward pass, compiled and not.

    python benchmarks/compiled.py [--hidden 384] [--batch 32] [--rounds 5]

Milliseconds, in turns, in bfloat16 where the processor has it, and the seconds until the first
compiled step is there. "A step" compiles the cell's equations for one time step, which the loop
over time calls. Two things are not among the rows: the unrolled loop of a scratch network, which
was not compiled after 170 seconds, and the fused network, whose packed weights torch.compile
cannot read. Needs a C++ compiler.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import engine  # noqa: F401  sets the threads of what is imported next

# isort: split
import torch
from torch import Tensor

from engine.config import Cell, ModelConfig
from engine.memory import keep_freed
from engine.model import cells
from engine.model import device as devices
from engine.model.network import CharRNN

VOCABULARY = 65
TIME_STEPS = 64


def passes(config: ModelConfig, ids: Tensor) -> Callable[[], None]:
    """One forward and backward pass of a network."""
    network = CharRNN(config, VOCABULARY)
    fast = devices.bf16_is_fast(torch.device("cpu"))

    def once() -> None:
        network.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=fast):
            found, _ = network.loss(ids[:, :-1], ids[:, 1:], None)
        found.backward()  # type: ignore[no-untyped-call]

    return once


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hidden", type=int, default=384)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    keep_freed()
    ids = torch.randint(VOCABULARY, (given.batch, TIME_STEPS + 1))
    print("| cell | | ms a step | first step s |")
    print("|---|---|---|---|")
    names: tuple[Cell, ...] = ("gru", "lstm")
    for cell in names:
        plain = cells.STEPS[cell]
        step = torch.compile(plain)
        fused = ModelConfig(cell=cell, hidden=given.hidden, dropout=0.0)
        scratch = fused.changed(implementation="scratch")
        rows = {
            "fused": passes(fused, ids),
            "scratch": passes(scratch, ids),
            "scratch, a step compiled": passes(scratch, ids),
        }
        times: dict[str, list[float]] = {name: [] for name in rows}
        first: dict[str, float] = {}
        for round_ in range(given.rounds + 1):
            for name, once in rows.items():
                cells.STEPS[cell] = step if name.endswith("a step compiled") else plain
                before = time.perf_counter()
                once()
                seconds = time.perf_counter() - before
                if round_ == 0:
                    first[name] = seconds
                else:
                    times[name].append(seconds)
        cells.STEPS[cell] = plain
        for name, found in times.items():
            print(f"| {cell} | {name} | {statistics.median(found) * 1e3:.1f} | {first[name]:.1f} |")


if __name__ == "__main__":
    main()
