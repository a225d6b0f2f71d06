"""Muon: orthogonal steps, each gate by itself."""

from __future__ import annotations

import pytest
import torch

from engine.training.muon import Muon, orthogonal

torch.set_num_threads(1)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 24, 6), (4, 5, 40)])
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_singular_values_come_near_one(shape: tuple[int, int, int], precision: torch.dtype) -> None:
    drawn = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    found = orthogonal(drawn.to(precision)).float()
    values = torch.linalg.svdvals(found)
    assert found.shape == shape
    # The smallest values of a square matrix may be too small to be brought up in five steps.
    assert values.max() < 1.4
    assert values.median() > 0.6
    u, _, vt = torch.linalg.svd(drawn, full_matrices=False)
    assert torch.nn.functional.cosine_similarity(found.flatten(), (u @ vt).flatten(), 0) > 0.9


def test_a_gradient_of_zero_moves_nothing() -> None:
    assert torch.equal(orthogonal(torch.zeros(2, 4, 4)), torch.zeros(2, 4, 4))


def test_a_gate_with_a_small_gradient_moves_as_far_as_one_with_a_large() -> None:
    weight = torch.nn.Parameter(torch.zeros(12, 6))
    gradient = torch.randn(12, 6, generator=torch.Generator().manual_seed(1))
    gradient[6:] *= 1e-3
    weight.grad = gradient
    Muon([(weight, 2)], lr=0.1).step()
    large, small = weight.detach().view(2, 6, 6).norm(dim=(1, 2))
    assert 0.8 < small / large < 1.25
    assert torch.sum(weight.detach() * gradient) < 0
