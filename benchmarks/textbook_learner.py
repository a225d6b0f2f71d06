"""The training loop of textbooks, for `learning.py` to compare with.

python benchmarks/textbook_learner.py TEXT SECONDS    writes a held-out loss now and then
"""

from __future__ import annotations

import math
import sys
import time

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.corpus.corpus import Corpus

HIDDEN, EMBEDDING, BATCH, TIME_STEPS, RATE = 512, 128, 32, 64, 2e-3
WARMED_UP, TIMED, LOOKS = 4, 12, 6  # steps, steps, evaluations


class Network(nn.Module):
    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, EMBEDDING)
        self.layer = nn.GRU(EMBEDDING, HIDDEN, batch_first=True)
        self.output = nn.Linear(HIDDEN, vocabulary)

    def forward(self, ids: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
        y, state = self.layer(self.embedding(ids), state)
        return self.output(y), state


def held_out_loss(network: Network, ids: Tensor) -> float:
    """Stateful, in 16 lanes."""
    lanes = ids[: len(ids) // 16 * 16].view(16, -1)
    total, state = 0.0, None
    with torch.no_grad():
        for start in range(0, lanes.shape[1] - 1, 256):
            rows = lanes[:, start : start + 257]
            logits, state = network(rows[:, :-1], state)
            losses = F.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten(), reduction="sum")
            total += losses.item()
    return total / (16 * (lanes.shape[1] - 1))


def main() -> None:
    began, seconds = time.perf_counter(), float(sys.argv[2])
    corpus = Corpus.load(sys.argv[1])
    vocabulary, split = corpus.vocabulary(), corpus.split(0.1, "tail")
    training, held_out = (
        torch.from_numpy(np.concatenate(list(side.ids(vocabulary))).astype(np.int64))
        for side in (split.training, split.held_out)
    )
    rows = training[: len(training) // BATCH * BATCH].view(BATCH, -1)
    per_epoch = (rows.shape[1] - 1) // TIME_STEPS
    torch.manual_seed(0)

    def train(steps: int, looks: int) -> float:
        """The seconds a step."""
        network = Network(vocabulary.size)
        optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, fused=True)
        state: Tensor | None = None
        before = time.perf_counter()
        for step in range(steps):
            place = step % per_epoch
            if place == 0:
                state = None
            if step == WARMED_UP:
                before = time.perf_counter()
            for group in optimizer.param_groups:
                group["lr"] = RATE * (0.505 + 0.495 * math.cos(math.pi * step / steps))
            batch = rows[:, place * TIME_STEPS : (place + 1) * TIME_STEPS + 1]
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast("cpu", torch.bfloat16):
                logits, after = network(batch[:, :-1], state)
                loss = F.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten())
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            state = after.detach().float()
            if looks and ((step + 1) % max(1, steps // looks) == 0 or step == steps - 1):
                print(held_out_loss(network, held_out), flush=True)
        return (time.perf_counter() - before) / (steps - WARMED_UP)

    a_step = train(TIMED, 0)
    train(max(WARMED_UP + 1, int((seconds - (time.perf_counter() - began)) / a_step)), LOOKS)


if __name__ == "__main__":
    main()
