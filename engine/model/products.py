"""Matrix products on a CPU, by the faster of the two libraries that torch has for them.

torch gives a float32 product to MKL, which on processors that are not Intel's uses half of what
they can do; oneDNN, which torch carries for bfloat16 and convolutions, uses all of it there
(docs/benchmarks.md). And a weight that is multiplied at every time step is brought into the order
in which oneDNN's kernels read it once, not at every step.

Where oneDNN does not serve (a GPU, another architecture, a precision that the processor lacks),
each function is the plain torch product of the same meaning.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

SMALLEST_PACKED = 2**15  # numbers in a weight; below it the call costs more than the product


def _served() -> frozenset[torch.dtype]:
    """The precisions that oneDNN multiplies in on this processor."""
    if not torch.backends.mkldnn.is_available() or not (  # type: ignore[no-untyped-call]
        torch.backends.cpu.get_cpu_capability().startswith("AVX")
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    ):
        return frozenset()
    low = torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return frozenset({torch.float32, torch.bfloat16} if low else {torch.float32})


_SERVED = _served()


def packed(weight: Tensor) -> Tensor:
    """A weight (O, I) in the order in which `product` reads it fastest: for the second argument
    of `product` only, and without a gradient."""
    if weight.is_cuda or weight.dtype not in _SERVED or weight.numel() < SMALLEST_PACKED:
        return weight
    with torch.no_grad():
        order: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight)
    return order


def product(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, addend: Tensor | None = None
) -> Tensor:
    """x (N, I), weight (O, I) or packed, bias (O), addend (N, O) -> x Wᵀ + b + addend, (N, O) in
    the precision of x; without gradients."""
    bias = None if bias is None else bias.to(x.dtype)
    if weight.layout == torch.strided and (
        x.is_cuda
        or x.dtype != torch.float32  # what torch gives to oneDNN by itself
        or x.dtype not in _SERVED
        or weight.numel() < SMALLEST_PACKED
    ):
        found: Tensor = F.linear(x, weight, bias)
        return found if addend is None else found.add_(addend)
    onednn: Any = torch.ops.mkldnn._linear_pointwise
    if addend is not None:
        found = onednn.binary(x, addend, weight, bias, "add")
    else:
        found = onednn(x, weight, bias, "none", [], "")
    return found


class Affine:
    """x Wᵀ + b with a weight (O, I) and bias (O) that are read again and again: (N, I) -> (N, O),
    float32 both; what is multiplied is of `precision`, where the weight is not a small one."""

    def __init__(self, weight: Tensor, bias: Tensor | None, precision: torch.dtype) -> None:
        self._precision = torch.float32 if weight.numel() < SMALLEST_PACKED else precision
        self._weight = packed(weight.to(self._precision))
        self._bias = None if bias is None else bias.to(self._precision)

    def __call__(self, x: Tensor) -> Tensor:
        return product(x.to(self._precision), self._weight, self._bias).float()


def weight_gradient(d_y: Tensor, x: Tensor) -> Tensor:
    """The gradient of W in y = x Wᵀ: d_y (N, O), x (N, I) -> (O, I)."""
    if x.is_cuda or x.dtype != torch.float32 or x.dtype not in _SERVED:
        # The narrow side first: torch's product is up to a tenth faster so.
        return (x.t() @ d_y).t() if x.shape[1] < d_y.shape[1] else d_y.t() @ x
    found: Tensor = torch.ops.mkldnn._linear_pointwise(x.t(), d_y.t(), None, "none", [], "")
    return found.t()


def linear(x: Tensor, weight: Tensor) -> Tensor:
    """x (…, I), weight (O, I) -> x Wᵀ, (…, O), in the precision that autocast asks for.
    Gradients can be taken once, not twice."""
    if torch.is_autocast_enabled(x.device.type):
        precision = torch.get_autocast_dtype(x.device.type)
        x, weight = x.to(precision), weight.to(precision)
    rows: Tensor = _Linear.apply(x.flatten(0, -2), weight)  # type: ignore[no-untyped-call]
    return rows.view(*x.shape[:-1], len(weight))


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return product(x, weight)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_y: Tensor) -> tuple[Tensor, Tensor]:
        x, weight = ctx.saved_tensors
        return product(d_y, weight.t()), weight_gradient(d_y, x)
