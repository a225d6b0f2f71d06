"""What each choice of the trainer brings: one changed at a time, the same characters for all.

    python benchmarks/ablation.py TEXT [--characters 2.8e6] [--seeds 0 1 2] [--only NAME ...]
        [--hidden 384] [--batch 32] [--dropout 0]

The last tenth of TEXT is held out and not looked at: learned is from the first nine tenths of the
rest, and judged on its last tenth. The first row is what preset auto takes for a text with so many
different characters, or what the options say. Nats per character: the mean over the seeds, and how
far they lie apart.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path
from typing import Any

import engine  # noqa: F401  sets the threads of what is imported next

# isort: split
import numpy as np
import torch
from torch import nn

from engine.config import TrainingConfig
from engine.corpus.corpus import Corpus
from engine.corpus.vocabulary import Ids
from engine.memory import keep_freed
from engine.model import device as devices
from engine.model.cells import GATES
from engine.training import evaluation
from engine.training.plan import make_plan, precision_for
from engine.training.search import LARGE_VOCABULARY, shaped
from engine.training.trainer import Trainer

CPU = torch.device("cpu")

# "start" is done to the weights before the first step, "average" says which steps' weights count.
BOTH: dict[str, dict[str, Any]] = {
    "as it is": {},
    "AdamW 0.006 for all weights": {"optimizer": "adamw", "learning_rate": 0.006},
    "AdamW 0.002 for all weights": {"optimizer": "adamw", "learning_rate": 0.002},
    "no weight decay": {"weight_decay": 0.0},
    "weight decay 0.1": {"weight_decay": 0.1},
    "random windows, state not carried": {"sampling": "random"},
    "constant rate": {"schedule": "constant"},
    "constant rate 0.003, last quarter averaged": {
        "schedule": "constant",
        "learning_rate": 0.003,
        "average": 0.25,
    },
    "last tenth averaged": {"average": 0.1},
    "orthogonal recurrent weights at the start": {"start": "orthogonal"},
    "batches of 32": {"batch": 32},
    "batches of 64": {"batch": 64},
    "batches of 128": {"batch": 128},
    "32 time steps": {"time_steps": 32},
    "128 time steps": {"time_steps": 128},
}
SMALL: dict[str, dict[str, Any]] = {
    "GRU of 448, as many weights": {"cell": "gru", "hidden": 448},
    "two layers of 256": {"layers": 2, "hidden": 256},
    "no dropout": {"dropout": 0.0},
    "dropout 0.1": {"dropout": 0.1},
    "dropout 0.2": {"dropout": 0.2},
    "tied output": {"output": "tied"},
    "embedding 128": {"embedding": 128},
    "forget gates open at the start": {"start": "open"},
}
LARGE: dict[str, dict[str, Any]] = {
    "LSTM of 448, as many weights": {"cell": "lstm", "hidden": 448},
    "two layers of 320": {"layers": 2, "hidden": 320},
    "dropout 0.1": {"dropout": 0.1},
    "output of its own": {"output": "full"},
    "embedding 256": {"embedding": 256},
}


class Average:
    """The mean of the weights over some steps."""

    def __init__(self, network: nn.Module) -> None:
        self._network, self._sums, self._count = network, dict[str, torch.Tensor](), 0

    @torch.no_grad()
    def take(self) -> None:
        for name, weight in self._network.named_parameters():
            self._sums.setdefault(name, torch.zeros_like(weight)).add_(weight)
        self._count += 1

    @torch.no_grad()
    def give(self) -> None:
        for name, weight in self._network.named_parameters():
            weight.copy_(self._sums[name] / self._count)


@torch.no_grad()
def begin(trainer: Trainer, start: str) -> None:
    """Other weights than the usual ones before the first step."""
    config = trainer.config.model
    generator = torch.Generator().manual_seed(trainer.config.seed)
    for name, weight in trainer.network.layers.named_parameters():
        if start == "orthogonal" and "weight_hh" in name:
            for gate in weight.chunk(GATES[config.cell]):
                nn.init.orthogonal_(gate, generator=generator)
        if start == "open" and "bias_hh" in name:
            weight[config.hidden : 2 * config.hidden] += 1.0


def learned(
    base: TrainingConfig, change: dict[str, Any], seed: int, size: int, ids: Ids, characters: float
) -> Trainer:
    """The base with one thing changed, trained on so many characters."""
    settings = {name: value for name, value in change.items() if name not in ("start", "average")}
    inner = {name: settings.pop(name) for name in list(settings) if hasattr(base.model, name)}
    config = base.changed(model=base.model.changed(**inner), seed=seed, **settings)
    steps = int(characters / (config.batch * config.time_steps))
    plan = make_plan(
        config,
        batch=config.batch,
        time_steps=config.time_steps,
        batches_per_epoch=(len(ids) - 1) // (config.batch * config.time_steps),
        held_out_characters=0,
        steps=steps,
        precision=precision_for(config.precision, devices.bf16_is_fast(CPU)),
        threads=torch.get_num_threads(),
    )
    trainer = Trainer(config, plan, size, ids, CPU)
    begin(trainer, change.get("start", ""))
    average = Average(trainer.network)
    for step in range(steps):
        trainer.step()
        if step + 1 > steps * (1 - change.get("average", 0)):
            average.take()
    if "average" in change:
        average.give()
    return trainer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("text", type=Path)
    parser.add_argument("--characters", type=float, default=2.8e6)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--hidden", type=int)
    parser.add_argument("--batch", type=int)
    parser.add_argument("--dropout", type=float)
    parser.add_argument("--only", nargs="+")
    given = parser.parse_args()
    keep_freed()
    torch.set_num_threads(given.threads)
    corpus = Corpus.load(given.text)
    vocabulary = corpus.vocabulary()
    ids = np.concatenate(list(corpus.split(0.1, "tail").training.ids(vocabulary)))
    training, judged = np.split(ids, [len(ids) * 9 // 10])
    large = vocabulary.size >= LARGE_VOCABULARY
    hidden = given.hidden or (512 if large else 384)
    readings = given.characters / len(training)
    base = shaped(TrainingConfig(), hidden, vocabulary.size, len(training), readings)
    base = base.changed(model=base.model.changed(dropout=given.dropout), batch=given.batch)
    print(f"| {len(given.seeds)} seeds | stateful | ± | windows 256 | ± |")
    print("|---|---|---|---|---|")
    for name, change in {**BOTH, **(LARGE if large else SMALL)}.items():
        if given.only and name not in given.only:
            continue
        found = []
        for seed in given.seeds:
            network = learned(
                base, change, seed, vocabulary.size, training, given.characters
            ).network
            *_, stateful = evaluation.stateful(network, judged)
            *_, windows = evaluation.windows(network, judged, 256)
            found.append((stateful.loss, windows.loss))
        means = (
            f"{statistics.mean(losses):.4f} | {(max(losses) - min(losses)) / 2:.4f}"
            for losses in zip(*found, strict=True)
        )
        print(f"| {name} | {' | '.join(means)} |", flush=True)


if __name__ == "__main__":
    main()
