"""Characters a second in training, beside plain torch.nn and beside the matrix-product ceiling.

    python benchmarks/train_throughput.py [--hidden 128 256 512] [--vocabulary 65 1027 6089]

Every row trains the same network on the same random text, batches of 64 × 64, AdamW, dropout off,
in turns: lyricrnn's own step; torch.nn's layer on one-hot vectors, as textbooks have it; and on an
embedding. torch.nn runs in lyricrnn's precision, bfloat16 by autocast, and as it is, in float32.
FLOPs a character, forward and backward: 6·(G·H·(E + H) + H·V), G = 1, 3, 4 (with one-hot input a
row is picked: no E). The ceiling is a square product of 2048, torch.mm, in the same run.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Literal

import engine  # noqa: F401  sets the threads of what is imported next

# isort: split
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from engine.config import Cell, ModelConfig, TrainingConfig
from engine.memory import keep_freed
from engine.model import device as devices
from engine.model.cells import GATES
from engine.training.plan import make_plan
from engine.training.trainer import Trainer

BATCH, TIME_STEPS, EMBEDDING = 64, 64, 64
TORCH: dict[str, type[nn.RNNBase]] = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
Precision = Literal["fp32", "bf16"]


class Plain(nn.Module):
    """torch.nn as a textbook uses it."""

    def __init__(self, cell: str, vocabulary: int, hidden: int, one_hot: bool) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        self.embedding = None if one_hot else nn.Embedding(vocabulary, EMBEDDING)
        width = vocabulary if one_hot else EMBEDDING
        self.layer = TORCH[cell](width, hidden, batch_first=True)
        self.output = nn.Linear(hidden, vocabulary)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = F.one_hot(ids, self.vocabulary).float() if self.embedding is None else None
        logits: torch.Tensor = self.output(
            self.layer(self.embedding(ids) if self.embedding is not None else x)[0]
        )
        return logits


def plain_step(
    cell: str, vocabulary: int, hidden: int, one_hot: bool, precision: Precision
) -> Callable[[], None]:
    network = Plain(cell, vocabulary, hidden, one_hot)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, fused=True)
    ids = torch.randint(vocabulary, (BATCH, TIME_STEPS + 1))

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            logits = network(ids[:, :-1])
            loss = F.cross_entropy(logits.flatten(0, 1).float(), ids[:, 1:].flatten())
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()

    return step


def own_step(
    cell: Cell, vocabulary: int, hidden: int, one_hot: bool, precision: Precision
) -> Callable[[], None]:
    model = ModelConfig(
        cell=cell,
        hidden=hidden,
        embedding=EMBEDDING,
        input="one-hot" if one_hot else "embedding",
        dropout=0.0,
    )
    config = TrainingConfig(
        model=model, batch=BATCH, time_steps=TIME_STEPS, optimizer="adamw", steps=10**6
    )
    ids = np.random.default_rng(0).integers(vocabulary, size=200_000).astype(np.uint16)
    plan = make_plan(
        config,
        batch=BATCH,
        time_steps=TIME_STEPS,
        batches_per_epoch=48,
        held_out_characters=0,
        steps=10**6,
        precision=precision,
        threads=torch.get_num_threads(),
    )
    trainer = Trainer(config, plan, vocabulary, ids, torch.device("cpu"))

    def step() -> None:
        trainer.step()

    return step


def in_turns(steps: list[Callable[[], None]], rounds: int, seconds: float) -> list[float]:
    """The median time of each step, measured in turns."""
    times: list[list[float]] = [[] for _ in steps]
    for step in steps:
        step()
        step()
    for _ in range(rounds):
        for step, found in zip(steps, times, strict=True):
            began = time.perf_counter()
            while time.perf_counter() - began < seconds:
                before = time.perf_counter()
                step()
                found.append(time.perf_counter() - before)
    return [statistics.median(found) for found in times]


def ceiling(dtype: torch.dtype) -> Callable[[], None]:
    a, b = torch.randn(2048, 2048).to(dtype), torch.randn(2048, 2048).to(dtype)

    def step() -> None:
        torch.mm(a, b)

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hidden", type=int, nargs="+", default=[128, 256, 512])
    parser.add_argument("--vocabulary", type=int, nargs="+", default=[65, 1027, 6089])
    parser.add_argument("--cells", nargs="+", default=["rnn", "gru", "lstm"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.15)
    given = parser.parse_args()
    keep_freed()
    fast = devices.bf16_is_fast(torch.device("cpu"))
    precisions: list[Precision] = ["fp32", "bf16"] if fast else ["fp32"]
    print(
        "| cell | H | V | precision | lyricrnn chars/s | one-hot ÷ torch.nn one-hot | "
        "embedding ÷ torch.nn one-hot, float32 | embedding ÷ torch.nn embedding | GFLOP/s | "
        "share of the ceiling |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    for cell in given.cells:
        for hidden in given.hidden:
            for vocabulary in given.vocabulary:
                for precision in precisions:
                    kinds = [
                        made(cell, vocabulary, hidden, one_hot, precision)
                        for one_hot in (True, False)
                        for made in (own_step, plain_step)
                    ]
                    top = ceiling(torch.bfloat16 if precision == "bf16" else torch.float32)
                    as_it_is = plain_step(cell, vocabulary, hidden, True, "fp32")
                    own_hot, hot, own, plain, textbook, product = in_turns(
                        [*kinds, as_it_is, top], given.rounds, given.seconds
                    )
                    characters = BATCH * TIME_STEPS
                    inner = GATES[cell] * hidden * (EMBEDDING + hidden)
                    flops = 6 * (inner + hidden * vocabulary) * characters / own
                    print(
                        f"| {cell} | {hidden} | {vocabulary} | {precision} | "
                        f"{characters / own:,.0f} | {hot / own_hot:.1f} | {textbook / own:.1f} | "
                        f"{plain / own:.1f} | "
                        f"{flops / 1e9:.0f} | {flops / (2 * 2048**3 / product):.0%} |",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
