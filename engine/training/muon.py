"""Muon: momentum whose direction is made orthogonal before each step.

Jordan et al. 2024, Muon: An optimizer for hidden layers in neural networks. With gradient g,
momentum m ← μ m + (1 - μ) g and Nesterov's look ahead u = μ m + (1 - μ) g, a matrix moves against
the orthogonal matrix nearest to u: of its singular value decomposition U S Vᵀ the product U Vᵀ, so
that directions in which the gradient is small are learned as fast as those in which it is large.
The factor 0.2 √max(rows, columns) makes such a step as large as one of AdamW (Liu et al. 2025, Muon
is Scalable for LLM Training), so that both go by one learning rate. Weight decay goes by the length
of the step, that factor included.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor

NEWTON_SCHULZ_STEPS = 5
# Jordan's coefficients: five steps bring singular values from 0.005 … 1 to about 0.7 … 1.2.
_LINEAR, _CUBIC, _QUINTIC = 3.4445, -4.7750, 2.0315


class Muon(torch.optim.Optimizer):
    """For weights (G·H, E or H) of recurrent layers, of which each of the G gates is a matrix by
    itself; and for other matrices, with one gate."""

    def __init__(
        self,
        matrices: Iterable[tuple[Tensor, int]],
        lr: float,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
        precision: torch.dtype = torch.float32,
    ) -> None:
        """`matrices` are weights with their number of gates; the orthogonal matrices are computed
        in `precision`, for which bfloat16 is enough."""
        groups = [{"params": [weight], "gates": gates} for weight, gates in matrices]
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}
        super().__init__(groups, defaults)
        self._precision = precision

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One update of every weight that has a gradient."""
        for group in self.param_groups:
            (weight,) = group["params"]
            if weight.grad is None:
                continue
            state, momentum = self.state[weight], group["momentum"]
            mean = state.setdefault("momentum", torch.zeros_like(weight))
            mean.lerp_(weight.grad, 1 - momentum)
            ahead = weight.grad.lerp(mean, momentum)
            gates = ahead.reshape(group["gates"], -1, weight.shape[1])
            direction = orthogonal(gates.to(self._precision)).reshape(weight.shape)
            length = group["lr"] * 0.2 * math.sqrt(max(gates.shape[1:]))
            weight.mul_(1 - length * group["weight_decay"])
            weight.add_(direction.to(weight.dtype), alpha=-length)


def orthogonal(matrices: Tensor) -> Tensor:
    """Nearly the orthogonal matrices nearest to those of (G, R, C), by the quintic Newton-Schulz
    iteration: singular values between about 0.7 and 1.2. Zeros stay zeros."""
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices  # the smaller side squared is what costs
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp_min(1e-7)
    for _ in range(NEWTON_SCHULZ_STEPS):
        square = x @ x.mT
        mixed = torch.baddbmm(square, square, square, beta=_CUBIC, alpha=_QUINTIC)
        x = torch.baddbmm(x, mixed, x, beta=_LINEAR)
    return x.mT if tall else x
