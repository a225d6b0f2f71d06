"""The setting of textbooks: how long until ten thousand characters of lyrics are known by heart.

    python benchmarks/textbook.py [--text corpora/chinese] [--rounds 3]

The first 10,000 characters of a Chinese text, line ends made spaces, H = 256, adjacent sampling,
trained until an epoch's perplexity is 1.02 or less. The textbook loop (Dive into Deep Learning and
its kin): one-hot vectors into torch.nn.RNN, a dense output, Adam 1e-3, gradients clipped at 0.01,
batches of 32 × 35. Beside it lyricrnn's trainer, in turns: an embedding, a GRU, Muon, 28 epochs
planned, batches of 16 × 35. Its epochs begin at a random offset, so that the first character of
each row can never be known; 32 short rows would cost a perplexity of about 1.02 by that alone.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Callable

import engine  # noqa: F401  sets the threads of what is imported next

# isort: split
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from engine.config import CorpusConfig, ModelConfig, TrainingConfig
from engine.corpus.corpus import Corpus
from engine.memory import keep_freed
from engine.training.plan import make_plan, steps_of
from engine.training.trainer import Trainer

CHARACTERS, HIDDEN, BATCH, TIME_STEPS, MOST_EPOCHS = 10_000, 256, 32, 35, 1000


def textbook(ids: torch.Tensor, vocabulary: int, seed: int) -> Callable[[], float]:
    """One epoch of the loop -> its perplexity."""
    torch.manual_seed(seed)
    layer, output = nn.RNN(vocabulary, HIDDEN), nn.Linear(HIDDEN, vocabulary)
    parameters = [*layer.parameters(), *output.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=1e-3)
    rows = ids[: len(ids) // BATCH * BATCH].view(BATCH, -1)

    def epoch() -> float:
        total, count, state = 0.0, 0, None
        for start in range(0, rows.shape[1] - TIME_STEPS, TIME_STEPS):
            x = rows[:, start : start + TIME_STEPS].t()
            y = rows[:, start + 1 : start + TIME_STEPS + 1].t().reshape(-1)
            hidden, after = layer(F.one_hot(x, vocabulary).float(), state)
            state = after.detach()
            loss = F.cross_entropy(output(hidden.reshape(-1, HIDDEN)), y)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(parameters, 0.01)
            optimizer.step()
            total, count = total + loss.item() * y.numel(), count + y.numel()
        return math.exp(total / count)

    return epoch


def own(ids: np.ndarray, vocabulary: int, seed: int, given: argparse.Namespace) -> Trainer:
    config = TrainingConfig(
        model=ModelConfig(cell=given.cell, hidden=HIDDEN, embedding=128, dropout=0.0),
        batch=given.batch,
        time_steps=TIME_STEPS,
        optimizer=given.optimizer,
        learning_rate=given.rate,
        weight_decay=0.0,
        epochs=given.epochs,
        seed=seed,
    )
    batches = (len(ids) - 1) // (given.batch * TIME_STEPS)
    plan = make_plan(
        config,
        batch=given.batch,
        time_steps=TIME_STEPS,
        batches_per_epoch=batches,
        held_out_characters=0,
        steps=steps_of(config, batches),
        precision=given.precision,
        threads=torch.get_num_threads(),
    )
    return Trainer(config, plan, vocabulary, ids, torch.device("cpu"))


def epoch_of(trainer: Trainer) -> Callable[[], float]:
    def epoch() -> float:
        losses = [trainer.step().loss for _ in range(trainer.batches.per_epoch)]
        return math.exp(statistics.fmean(losses))

    return epoch


def until_known(epoch: Callable[[], float], known: float) -> tuple[float, int]:
    """Seconds and epochs until the perplexity of an epoch."""
    began, epochs = time.perf_counter(), 1
    while epoch() > known and epochs < MOST_EPOCHS:
        epochs += 1
    return time.perf_counter() - began, epochs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--text", default="corpora/chinese")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cell", default="gru")
    parser.add_argument("--optimizer", default="muon")
    parser.add_argument("--rate", type=float, default=1e-2)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--epochs", type=int, default=28)
    parser.add_argument("--precision", default="bf16")
    parser.add_argument("--known", type=float, default=1.02)
    given = parser.parse_args()
    keep_freed()
    corpus = Corpus.load(given.text, CorpusConfig(newline="space", limit=CHARACTERS))
    vocabulary = corpus.vocabulary()
    ids = np.concatenate(list(corpus.split(0.0).training.ids(vocabulary)))
    tensor = torch.from_numpy(ids.astype(np.int64))
    print(f"{len(ids):,} characters, vocabulary {vocabulary.size:,}\n")
    print("| round | textbook s | epochs | lyricrnn s | epochs | times as fast |")
    print("|---|---|---|---|---|---|")
    ratios = []
    for seed in range(given.rounds):
        slow, slow_epochs = until_known(textbook(tensor, vocabulary.size, seed), given.known)
        fast, fast_epochs = until_known(
            epoch_of(own(ids, vocabulary.size, seed, given)), given.known
        )
        ratios.append(slow / fast)
        print(
            f"| {seed} | {slow:.1f} | {slow_epochs} | {fast:.1f} | {fast_epochs} | "
            f"{slow / fast:.1f} |",
            flush=True,
        )
    print(f"| median | | | | | {statistics.median(ratios):.1f} |")


if __name__ == "__main__":
    main()
