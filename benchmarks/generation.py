"""Characters a second in writing: one text and many, beside the textbook loop and the floor.

    python benchmarks/generation.py [--cell lstm] [--hidden 256] [--vocabulary 2600]
    python benchmarks/generation.py --quality RUN

On random weights, temperature 0.8, in turns. The textbook loop feeds one-hot vectors to torch.nn
and takes the likeliest character. The floor is what one character cannot do without: the recurrent
and the output weights times one vector each, by the products that a `Stream` uses, nothing else.
With a run, the loss of its held-out text: by the network in float32, and by the steps of 64 texts.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import engine  # noqa: F401  sets the threads of what is imported next

# isort: split
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from engine.config import GenerationConfig, ModelConfig
from engine.corpus.vocabulary import Vocabulary
from engine.model.network import CharRNN
from engine.model.stepper import Stepper
from engine.training import prepare
from engine.training.run import Run
from engine.writing.generator import write, write_together

TORCH: dict[str, type[nn.RNNBase]] = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


def textbook(cell: str, vocabulary: int, hidden: int, characters: int) -> Callable[[], int]:
    layer, output = TORCH[cell](vocabulary, hidden), nn.Linear(hidden, vocabulary)

    def loop() -> int:
        with torch.no_grad():
            chosen, state = 1, None
            for _ in range(characters):
                x = F.one_hot(torch.tensor([[chosen]]), vocabulary).float()
                y, state = layer(x, state)
                chosen = int(output(y[-1]).argmax(dim=1))
        return characters

    return loop


def floor(stepper: Stepper, characters: int) -> Callable[[], int]:
    columns = stepper.columns
    ((recurrent, _),) = columns.recurrent
    (output,) = columns.output
    h = np.random.default_rng(0).random(len(recurrent), np.float32)
    gates, logits = np.empty(recurrent.shape[1], np.float32), np.empty(output.shape[1], np.float32)

    def loop() -> int:
        for _ in range(characters):
            np.dot(h, recurrent, out=gates)
            np.dot(h, output, out=logits)
        return characters

    return loop


def quality(run: Run, lanes: int = 64) -> None:
    network, _ = prepare.best_network(run, [])
    stepper, ids = Stepper(network), torch.from_numpy(run.ids("held_out").astype(np.int64))
    rows = ids[: len(ids) // lanes * lanes].view(lanes, -1)  # each lane from a zero state
    plain, stepped, state = 0.0, 0.0, stepper.initial_state(lanes)
    after = None
    with torch.inference_mode():
        for start in range(0, rows.shape[1] - 1, 256):
            piece = rows[:, start : start + 257]
            logits, after = network(piece[:, :-1], after)
            plain += float(F.cross_entropy(logits.mT, piece[:, 1:], reduction="sum"))
            for before, next_ in zip(piece[:, :-1].T, piece[:, 1:].T, strict=True):
                logits, state = stepper.step(before, state)
                stepped += float(F.cross_entropy(logits, next_, reduction="sum"))
    characters = lanes * (rows.shape[1] - 1)
    print(f"{characters:,} characters held out: float32 {plain / characters:.5f} nats, ", end="")
    print(f"64 texts together {stepped / characters:.5f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cell", default="lstm")
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--vocabulary", type=int, default=2600)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quality", metavar="RUN", type=Path)
    given = parser.parse_args()
    if given.quality:
        quality(Run.open(given.quality))
        return
    characters = [chr(0x4E00 + k) for k in range(given.vocabulary - 1)]
    vocabulary = Vocabulary.of_counts(
        np.array([ord(c) for c in characters], np.uint32), np.ones(len(characters), np.int64)
    )
    model = ModelConfig(cell=given.cell, hidden=given.hidden)
    stepper = Stepper(CharRNN(model, vocabulary.size))

    def one(length: int, **settings: float) -> Callable[[], int]:
        config = GenerationConfig(length=length, seed=0, **settings)
        return lambda: len(write(stepper, vocabulary, "", config).text)

    def many(streams: int, length: int) -> Callable[[], int]:
        config = GenerationConfig(length=length)
        texts = range(streams)
        return lambda: sum(map(len, write_together(stepper, vocabulary, "", config, texts)))

    rows = {
        "textbook loop": textbook(given.cell, vocabulary.size, given.hidden, 100),
        "floor: the bare products": floor(stepper, 2000),
        "1 text": one(2000),
        "1 text, top-k 40": one(2000, top_k=40),
        "1 text, top-p 0.9": one(2000, top_p=0.9),
        "8 texts": many(8, 200),
        "64 texts": many(64, 100),
    }
    speeds: dict[str, list[float]] = {name: [] for name in rows}
    for round_ in range(given.rounds + 1):
        for name, loop in rows.items():
            before = time.perf_counter()
            written = loop()
            if round_:  # the first warms up
                speeds[name].append(written / (time.perf_counter() - before))
    medians = {name: statistics.median(found) for name, found in speeds.items()}
    first, bare, single = (medians[name] for name in list(rows)[:3])
    print("| | characters/s | ÷ textbook | share of the floor | ÷ 1 text |")
    print("|---|---|---|---|---|")
    for name, speed in medians.items():
        print(
            f"| {name} | {speed:,.0f} | {speed / first:.1f} | {speed / bare:.0%} | "
            f"{speed / single:.1f} |"
        )


if __name__ == "__main__":
    main()
