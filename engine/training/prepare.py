"""From a corpus and a configuration to a run that is ready to train."""

from __future__ import annotations

import os
import shlex
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import torch

from engine.config import TrainingConfig
from engine.corpus.corpus import Corpus, Excerpt
from engine.corpus.reversal import ids_reversed
from engine.corpus.vocabulary import Ids, Vocabulary
from engine.errors import Interrupted, RunError
from engine.model import device as devices
from engine.model.network import CharRNN, load_weights
from engine.training import evaluation, search
from engine.training.batches import fit
from engine.training.checkpoint import Checkpoint
from engine.training.plan import Plan, make_plan, precision_for, steps_of
from engine.training.run import CorpusFacts, Draft, Run, RunFacts
from engine.training.trainer import Trainer

MOST_TITLES = 100_000  # songs; of more, a run does not keep the titles
MEASURED_SECONDS = 1.5  # how long the speed of a step is measured for a budget in minutes
MEASURED_STEPS = 100  # and for at most so many steps
SUSTAINED = 0.93  # of the measured speed is kept over minutes, samples and checkpoints included


@dataclass(frozen=True)
class Pace:
    """Seconds that a step and an evaluation take here."""

    step: float
    evaluation: float


def new_run(
    path: Path,
    corpus: Corpus,
    config: TrainingConfig,
    corpus_path: str = "",
    stopped: Callable[[], bool] = lambda: False,
) -> tuple[Run, list[str]]:
    """Splits and encodes the corpus, freezes the plan and writes the run's folder. Returns the
    run and what a person should know about it."""
    with Draft(path) as draft:
        return _written(draft, corpus, config, corpus_path, stopped)


def _written(
    draft: Draft,
    corpus: Corpus,
    config: TrainingConfig,
    corpus_path: str,
    stopped: Callable[[], bool],
) -> tuple[Run, list[str]]:
    began = time.perf_counter()
    split = corpus.split(config.corpus.held_out, config.corpus.split, config.seed)
    vocabulary = corpus.vocabulary(config.corpus.min_count)
    training, held_out = (
        draft.store(which, _taught(excerpt, vocabulary, config), len(excerpt), vocabulary)
        for which, excerpt in (("training", split.training), ("held_out", split.held_out))
    )
    if len(corpus.songs) <= MOST_TITLES:
        starts = split.training.places(corpus.songs.starts).tolist()
        titled = zip(starts, corpus.songs, strict=True)
        draft.store_songs([(start, song.title) for start, song in titled if start >= 0])
    warnings = list(split.warnings)
    device = devices.choose(config.device)
    picked = ""
    if config.shape == "searched" and config.minutes is not None:
        config, picked = search.best_shape(config, vocabulary.size, training, device, stopped)
    batch, time_steps, shrunk = fit(len(training), config.batch, config.time_steps)
    if shrunk:
        warnings.append(shrunk)
    if config.model.bidirectional:
        warnings.append(
            "A bidirectional network reads the characters that it predicts: its loss says nothing "
            "about writing, and it cannot generate."
        )

    def plan_of(steps: int) -> Plan:
        precision = precision_for(config.precision, devices.bf16_is_fast(device))
        batches_per_epoch = (len(training) - 1) // (batch * time_steps)
        return make_plan(
            config,
            batch=batch,
            time_steps=time_steps,
            batches_per_epoch=batches_per_epoch,
            held_out_characters=len(held_out),
            steps=steps,
            precision=precision,
            threads=config.threads or os.cpu_count() or 1,
        )

    provisional = plan_of(1)
    if config.minutes is None:
        steps = steps_of(config, provisional.batches_per_epoch)
    else:
        pace = measure(config, provisional, vocabulary.size, training, held_out, device, stopped)
        guess = plan_of(steps_of(config, provisional.batches_per_epoch, pace.step))
        per_step = pace.step + pace.evaluation / guess.evaluate_every
        left = config.minutes * 60 - (time.perf_counter() - began)
        seconds = max(SUSTAINED * left, per_step)
        steps = max(1, int(seconds / per_step))
        if picked:
            most = search.most_readings(vocabulary.size) * provisional.batches_per_epoch
            steps = min(steps, max(1, most))
    source = corpus.sources[0] if corpus.sources else None
    facts = RunFacts(
        created=f"{datetime.now().astimezone():%Y-%m-%dT%H:%M:%S%z}",
        corpus=CorpusFacts(
            path=_writable(corpus_path),
            name=_writable(corpus.name),
            encoding=source.encoding if source else "utf-8",
            confidence=source.confidence if source else 1.0,
            sha256=corpus.sha256,
            songs=len(corpus.songs),
            characters=corpus.characters,
            training_characters=len(training),
            held_out_characters=len(held_out),
        ),
        config=config,
        plan=plan_of(steps),
        picked=picked,
    )
    return draft.finish(facts, vocabulary), warnings


def _taught(excerpt: Excerpt, vocabulary: Vocabulary, config: TrainingConfig) -> Iterator[Ids]:
    """The ids in the order in which the network reads them."""
    ids, line_end = excerpt.ids(vocabulary), vocabulary.id_of("\n")
    if config.corpus.lines_reversed and line_end is not None:
        return ids_reversed(ids, line_end)
    return ids


def _writable(name: str) -> str:
    """A file's name as UTF-8 can hold it: bytes that are no text become U+FFFD."""
    return os.fsencode(name).decode("utf-8", "replace")


def trainer_for(run: Run, device: torch.device) -> Trainer:
    """The trainer of a run, at step 0; `TrainingLoop.restore` brings it to where it stopped.

    Threads are set here because torch keeps their number for each thread that computes.
    """
    torch.set_num_threads(run.facts.plan.threads)
    return Trainer(
        run.facts.config, run.facts.plan, run.vocabulary.size, run.ids("training"), device
    )


def best_network(run: Run, warnings: list[str]) -> tuple[CharRNN, Checkpoint]:
    """A run's network with its best weights, for writing and looking; each checkpoint that was
    passed over is named in `warnings`."""
    found = run.best_checkpoint(warnings)
    if found is None:
        raise RunError(
            f"{run.path} has no checkpoint yet: go on training it with `lyricrnn train --resume "
            f"--run {shlex.quote(str(run.path))}`."
        )
    network = CharRNN(run.facts.config.model, run.vocabulary.size)
    load_weights(network, found.weights, found.path)
    network.eval()
    return network, found


def measure(
    config: TrainingConfig,
    plan: Plan,
    vocabulary_size: int,
    training: Ids,
    held_out: Ids,
    device: torch.device,
    stopped: Callable[[], bool] = lambda: False,
) -> Pace:
    """How fast this machine trains and evaluates this configuration, tried on a trainer that is
    thrown away: the run itself starts from its first step whatever was measured."""
    torch.set_num_threads(plan.threads)
    trainer = Trainer(config, plan, vocabulary_size, training, device)
    seconds: list[float] = []
    began = time.perf_counter()
    while len(seconds) < MEASURED_STEPS:
        if stopped():
            raise Interrupted("Stopped before training began.")
        before = time.perf_counter()
        trainer.step()
        seconds.append(time.perf_counter() - before)
        if len(seconds) >= 4 and time.perf_counter() - began > MEASURED_SECONDS:
            break
    # The first steps also warm caches and kernels up.
    return Pace(statistics.median(seconds[2:] or seconds), _evaluation_seconds(trainer, held_out))


def _evaluation_seconds(trainer: Trainer, held_out: Ids) -> float:
    """The time of a whole evaluation, from that of its second piece; the first also warms up."""
    if len(held_out) < 2:
        return 0.0
    pieces = evaluation.stateful(trainer.network, held_out, precision=trainer.precision)
    first = next(pieces)
    before = time.perf_counter()
    second = next(pieces, None)
    if second is None:
        return 0.0
    characters = second.characters - first.characters
    return (time.perf_counter() - before) * (len(held_out) - 1) / characters
