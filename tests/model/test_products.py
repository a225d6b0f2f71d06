"""Products by oneDNN are torch's own, whatever the shape and the order in memory."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from engine.model import products

torch.set_num_threads(1)

SHAPES = [(1, 3, 5), (7, 16, 33), (64, 200, 180), (3, 1, 257)]  # N, I, O
TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 0.02}

each_precision = pytest.mark.parametrize("precision", TOLERANCE)
each_shape = pytest.mark.parametrize("shape", SHAPES)
each_size = pytest.mark.parametrize("smallest", [1, 2**15, 2**30])


def drawn(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def assert_alike(found: Tensor, expected: Tensor, precision: torch.dtype) -> None:
    assert found.shape == expected.shape
    difference = (found.double() - expected.double()).abs().max()
    assert difference <= TOLERANCE[precision] * expected.abs().max()


@each_precision
@each_shape
@each_size
def test_a_product_is_torchs(
    shape: tuple[int, int, int],
    precision: torch.dtype,
    smallest: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(products, "SMALLEST_PACKED", smallest)
    rows, width, height = shape
    x, weight, bias, addend = (
        drawn(seed, *size).to(precision)
        for seed, size in enumerate([(rows, width), (height, width), (height,), (rows, height)])
    )
    transposed = weight.t().contiguous().t()
    for read in (weight, products.packed(weight), transposed, products.packed(transposed)):
        plain = x.double() @ weight.double().t()
        assert_alike(products.product(x, read), plain, precision)
        assert_alike(products.product(x, read, bias), plain + bias.double(), precision)
        whole = products.product(x, read, bias, addend)
        assert_alike(whole, plain + bias.double() + addend.double(), precision)
        assert whole.dtype == precision
    affine = products.Affine(weight.float(), bias.float(), precision)
    assert_alike(affine(x.float()), plain + bias.double(), precision)
    gradient = products.weight_gradient(addend, x)
    assert_alike(gradient, addend.double().t() @ x.double(), precision)


@each_shape
@each_size
def test_a_linear_layers_gradients_are_torchs(
    shape: tuple[int, int, int], smallest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(products, "SMALLEST_PACKED", smallest)
    rows, width, height = shape
    x, weight = drawn(1, 2, rows, width).requires_grad_(), drawn(2, height, width).requires_grad_()
    weighed = drawn(3, 2, rows, height)
    found = torch.autograd.grad((products.linear(x, weight) * weighed).sum(), [x, weight])
    expected = torch.autograd.grad((F.linear(x, weight) * weighed).sum(), [x, weight])
    for gradient, simple in zip(found, expected, strict=True):
        assert_alike(gradient, simple, torch.float32)


def test_a_linear_layer_takes_the_precision_of_autocast() -> None:
    x, weight = drawn(1, 4, 5), drawn(2, 6, 5)
    with torch.autocast("cpu", torch.bfloat16):
        assert products.linear(x, weight).dtype == torch.bfloat16
    assert products.linear(x, weight).dtype == torch.float32
