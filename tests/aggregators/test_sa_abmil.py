"""Kernel self-attention before attention-based MIL."""

import pytest
import torch

from napari_mil.aggregators import create_aggregator
from napari_mil.aggregators.sa_abmil import KERNELS


@pytest.mark.parametrize("kernel", list(KERNELS))
def test_without_self_attention_it_is_abmil(kernel):
    torch.manual_seed(0)
    aggregator = create_aggregator("sa-abmil", 8, 2, kernel=kernel, hidden=None).eval()
    bag = torch.randn(6, 8)
    assert torch.equal(aggregator(bag).logits, aggregator.abmil(bag).logits)


def test_a_gaussian_kernel_is_1_between_equal_points():
    q = torch.randn(3, 2)
    similarity = KERNELS["gaussian"](q, q, torch.ones(1))
    assert torch.allclose(similarity.diagonal(), torch.ones(3))
    assert (similarity <= 1).all()
