"""The output layer and its cross-entropy as one function, some rows of logits at a time.

For row n with features x_n (D), target y_n and logits z_n = x_n Wᵀ + b, the loss in nats is

    ℓ_n = log Σ_v exp z_nv - z_ny_n          and          ∂ℓ_n/∂z_nv = softmax(z_n)_v - [v = y_n]

so the gradient is at hand as soon as the loss is. Logits (N, V) of a whole batch are never kept: at
V = 6,000 and N = 16,384 they would take 400 MB, and as much again for each of their gradients; of
the gradients a part is, in the precision of x.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from engine.model import products

LOGITS_AT_ONCE = 2**21  # fit a processor's cache with what is computed from them
GRADIENTS_AT_ONCE = 2**25  # so many rows that adding one product to the next costs little


def cross_entropy(x: Tensor, weight: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
    """x (N, D) float32 or bfloat16, weight (V, D), bias (V), targets (N,) int64 -> the sum of the N
    losses in nats, a float32 scalar. Products are computed in the precision of x, softmax in
    float32. Gradients can be taken once, not twice."""
    weight, bias = weight.to(x.dtype), bias.to(x.dtype)
    if torch.is_grad_enabled():
        return _CrossEntropy.apply(x, weight, bias, targets)  # type: ignore[no-untyped-call, no-any-return]
    return torch.stack([_chosen(*rows)[1] for rows in _chunks(x, weight, bias, targets)]).sum()


def _chunks(x: Tensor, weight: Tensor, bias: Tensor, targets: Tensor) -> list[tuple[Tensor, ...]]:
    rows, read = max(1, LOGITS_AT_ONCE // len(weight)), products.packed(weight)
    return [
        (x_rows, read, bias, target_rows[:, None])
        for x_rows, target_rows in zip(
            torch.split(x, rows), torch.split(targets, rows), strict=True
        )
    ]


def _chosen(x: Tensor, weight: Tensor, bias: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """log softmax of some rows, (n, V) float32, and the sum of their losses."""
    logs = torch.log_softmax(products.product(x, weight, bias), dim=1, dtype=torch.float32)
    return logs, -logs.gather(1, targets).sum()


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
        total = torch.zeros((), device=x.device)
        d_x = torch.empty_like(x)
        d_weight = torch.zeros_like(weight, dtype=torch.float32)
        d_bias = torch.zeros_like(bias, dtype=torch.float32)
        columns, rows = weight.t(), max(1, GRADIENTS_AT_ONCE // len(weight))
        for first in range(0, len(x), rows):
            several = slice(first, first + rows)
            d_logits, done = x.new_empty(len(x[several]), len(weight)), 0
            for x_rows, *rest in _chunks(x[several], weight, bias, targets[several]):
                logs, loss = _chosen(x_rows, *rest)
                total += loss
                minus_one = torch.full_like(rest[-1], -1, dtype=torch.float32)
                softmax = logs.exp_().scatter_add_(1, rest[-1], minus_one)
                d_bias += softmax.sum(0)
                d_logits[done : done + len(x_rows)] = softmax
                done += len(x_rows)
            d_x[several] = products.product(d_logits, columns)
            d_weight += products.weight_gradient(d_logits, x[several])
        ctx.save_for_backward(d_x, d_weight.to(weight.dtype), d_bias.to(bias.dtype))
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_total: Tensor) -> tuple[Tensor | None, ...]:
        d_x, d_weight, d_bias = ctx.saved_tensors
        return d_x * d_total, d_weight * d_total, d_bias * d_total, None
