"""Pooling of features and of instance probabilities."""

import pytest
import torch

from napari_mil.aggregators.packing import OneBag
from napari_mil.aggregators.pooling import lse, pool_probabilities


@pytest.mark.parametrize("logit", [-200.0, -18.0, 0.0, 18.0, 200.0])
def test_pooled_probabilities_stay_finite_and_have_gradients(logit):
    for pooling in ("max", "mean", "lse"):
        scores = torch.full((5, 1), logit, requires_grad=True)
        pooled = pool_probabilities(scores, True, OneBag(), pooling)
        assert torch.isfinite(pooled).all(), pooling
        (gradient,) = torch.autograd.grad(pooled.sum(), scores)
        assert torch.isfinite(gradient).all(), pooling


def test_log_sum_exp_of_probabilities_equals_its_formula():
    scores = torch.randn(7, 1, dtype=torch.float64)
    assert torch.allclose(
        pool_probabilities(scores, True, OneBag(), "lse").sigmoid(), lse(scores.sigmoid(), OneBag())
    )
    exclusive = torch.randn(7, 3, dtype=torch.float64)
    assert torch.allclose(
        pool_probabilities(exclusive, False, OneBag(), "lse").exp(),
        lse(exclusive.softmax(1), OneBag()),
    )
