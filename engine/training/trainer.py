"""The training step, read from top to bottom: batch, forward, loss, backward, clip, update.

Synchronous, without threads, files or a clock. Everything random in step k, its batch and its
dropout masks, is a pure function of (seed, k); so the state of training is the weights, the
optimiser's moments, the carried hidden state and a few numbers, and nothing else has to be
stored to go on exactly where it stopped.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from engine.config import TrainingConfig
from engine.corpus.vocabulary import Ids
from engine.model.network import CharRNN, State, detach, load_weights
from engine.training.batches import Batches
from engine.training.muon import Muon
from engine.training.plan import Plan, learning_rate


@dataclass(frozen=True, slots=True)
class StepReport:
    """What one step did. `step` counts finished steps; `loss` is nats per character, measured
    before the update; `applied` is False where loss or gradient was not finite."""

    step: int
    loss: float
    gradient_norm: float
    learning_rate: float
    applied: bool


class Trainer:
    """Trains a `CharRNN` on ids (N,), one `step()` at a time."""

    def __init__(
        self,
        config: TrainingConfig,
        plan: Plan,
        vocabulary_size: int,
        ids: Ids,
        device: torch.device,
    ) -> None:
        self.config, self.plan, self.device = config, plan, device
        self.network = CharRNN(config.model, vocabulary_size, seed=config.seed)
        self.network.to_device(device)
        self.batches = Batches(ids, plan.batch, plan.time_steps, config.sampling, config.seed)
        self.precision = torch.bfloat16 if plan.precision == "bf16" else torch.float32
        self.optimizers = _optimizers(config, self.precision, self.network)
        self.step_count = 0
        self.rate_scale = 1.0
        self.state: State | None = None

    @property
    def epoch(self) -> float:
        """Epochs done, with their fraction."""
        return self.step_count / self.batches.per_epoch

    @property
    def characters_per_step(self) -> int:
        return self.plan.batch * self.plan.time_steps

    def learning_rate(self) -> float:
        """The rate of the next step."""
        return self.rate_scale * learning_rate(self.config, self.plan, self.step_count)

    def step(self) -> StepReport:
        """One update. Where the loss or the gradient is not finite nothing is changed."""
        batch = self.batches[self.step_count]
        # The backward half of a bidirectional state comes from the future of this batch: it
        # cannot be carried into the next.
        fresh = batch.fresh or self.config.model.bidirectional
        self.network.train()
        self.network.generator.manual_seed(_seed_of_step(self.config.seed, self.step_count))
        self.network.zero_grad(set_to_none=True)
        with self._autocast():
            total, state = self.network.loss(
                self._tensor(batch.inputs),
                self._tensor(batch.targets),
                None if fresh else self.state,
            )
            loss = total / batch.targets.size
        loss.backward()  # type: ignore[no-untyped-call]
        # Pascanu et al. 2013: scaled down to the norm, its direction kept.
        norm = nn.utils.clip_grad_norm_(
            self.network.parameters(), self.config.clip_norm or math.inf, foreach=True
        )
        # The one place where a GPU is waited for: whether the update is applied is decided here.
        value, length = torch.stack((loss.detach(), norm)).tolist()
        applied, rate = math.isfinite(value) and math.isfinite(length), self.learning_rate()
        if applied:
            for optimizer in self.optimizers:
                for group in optimizer.param_groups:
                    group["lr"] = rate
                optimizer.step()
            self.state = detach(state)
            self.step_count += 1
        return StepReport(self.step_count, value, length, rate, applied)

    def _autocast(self) -> torch.autocast:
        low = self.precision != torch.float32
        return torch.autocast(self.device.type, dtype=self.precision, enabled=low)

    def _tensor(self, rows: np.ndarray) -> Tensor:
        return torch.from_numpy(rows).to(self.device)

    # -- what a checkpoint keeps ------------------------------------------------------------

    def tensors(self) -> dict[str, Tensor]:
        """Optimiser state and carried hidden state by name; the weights are the network's."""
        named: dict[str, Tensor] = {}
        for name, parameter in self.network.named_parameters():
            for optimizer in self.optimizers:
                for key, value in optimizer.state.get(parameter, {}).items():
                    if isinstance(value, Tensor):
                        named[f"optimizer.{name}.{key}"] = value
        for index, part in enumerate(self.state or ()):
            named[f"state.{index}"] = part
        return named

    def load(
        self, weights: dict[str, Tensor], tensors: dict[str, Tensor], step: int, rate_scale: float
    ) -> None:
        """Goes back to the state that `tensors()` and the weights describe."""
        load_weights(self.network, weights, "the checkpoint")
        self.step_count, self.rate_scale = step, rate_scale
        parts = sorted(name for name in tensors if name.startswith("state."))
        self.state = tuple(tensors[name].to(self.device) for name in parts) or None
        names = {parameter: name for name, parameter in self.network.named_parameters()}
        for optimizer in self.optimizers:
            optimizer.state.clear()
            for group in optimizer.param_groups:
                for parameter in group["params"]:
                    prefix = f"optimizer.{names[parameter]}."
                    kept = {
                        key.removeprefix(prefix): value.to(self.device, copy=True)
                        for key, value in tensors.items()
                        if key.startswith(prefix)
                    }
                    if kept:
                        optimizer.state[parameter] = kept


def _optimizers(
    config: TrainingConfig, precision: torch.dtype, network: CharRNN
) -> list[torch.optim.Optimizer]:
    """SGD, Adam (Kingma & Ba 2015), AdamW (Loshchilov & Hutter 2019), or Muon for the matrices of
    recurrent layers and AdamW for the rest. AdamW decays weight matrices only, not biases."""
    rate = config.learning_rate
    if config.optimizer == "sgd":
        return [torch.optim.SGD(network.parameters(), lr=rate)]
    if config.optimizer == "adam":
        return [torch.optim.Adam(network.parameters(), lr=rate, fused=True)]
    inner = network.recurrent_matrices() if config.optimizer == "muon" else []
    taken = {weight for weight, _ in inner}
    rest = [parameter for parameter in network.parameters() if parameter not in taken]
    groups = [
        {"params": [p for p in rest if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in rest if p.ndim <= 1], "weight_decay": 0.0},
    ]
    found: list[torch.optim.Optimizer] = [torch.optim.AdamW(groups, lr=rate, fused=True)]
    if inner:
        found.append(Muon(inner, rate, weight_decay=config.weight_decay, precision=precision))
    return found


def _seed_of_step(seed: int, step: int) -> int:
    """A seed for step k that is unlike that of step k+1 and of other runs."""
    return int(np.random.SeedSequence((seed, step)).generate_state(1, np.uint64)[0] >> 1)
