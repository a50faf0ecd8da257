"""Optimisers as published, learning rates, and decay and clipping by recipe."""

import itertools
import math
from copy import deepcopy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from napari_mil.aggregators import create_aggregator
from napari_mil.training.config import make_config
from napari_mil.training.optimisation import LookaheadRAdam, clipped_parts, make_optimiser, rate_at


class PrintedRAdam:
    """Algorithm 2 of Liu et al. 2020, with the decay of its authors' code."""

    def __init__(self, rate, decay):
        self.rate, self.decay, self.mean, self.square, self.t = rate, decay, 0.0, 0.0, 0

    def __call__(self, weight, gradient):
        self.t += 1
        self.mean, self.square = (
            0.9 * self.mean + 0.1 * gradient,
            0.999 * self.square + 0.001 * gradient**2,
        )
        longest = 2 / (1 - 0.999) - 1
        length = longest - 2 * self.t * 0.999**self.t / (1 - 0.999**self.t)
        direction = self.mean / (1 - 0.9**self.t)
        if length > 5:
            rectified = math.sqrt(
                (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)
            )
            direction = (
                rectified * direction * math.sqrt(1 - 0.999**self.t) / (self.square.sqrt() + 1e-8)
            )
        return weight - self.rate * self.decay * weight - self.rate * direction


def test_lookahead_goes_back_half_of_the_way_every_sixth_step():
    torch.manual_seed(0)
    weight = nn.Parameter(torch.randn(7, dtype=torch.float64))
    optimiser = LookaheadRAdam([weight], 0.05, weight_decay=0.1, decoupled_weight_decay=True)
    fast = slow = weight.data.clone()
    printed = PrintedRAdam(0.05, 0.1)
    for t in range(1, 21):
        weight.grad = torch.randn(7, dtype=torch.float64)
        optimiser.step()
        fast = printed(fast, weight.grad)
        if t % 6 == 0:
            fast = slow = slow + 0.5 * (fast - slow)
        assert torch.allclose(weight.data, fast, atol=1e-6), f"step {t}"


def test_lookahead_leaves_a_weight_without_a_gradient_and_remembers_where_it_was():
    moved, still = nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(3))
    optimiser = LookaheadRAdam([moved, still], 0.1)
    for _ in range(4):
        moved.grad = torch.ones(3)
        optimiser.step()
    assert torch.equal(still.data, torch.ones(3))
    again = LookaheadRAdam(
        [nn.Parameter(moved.data.clone()), nn.Parameter(still.data.clone())], 0.1
    )
    again.load_state_dict(deepcopy(optimiser.state_dict()))
    for _ in range(2):
        moved.grad = again.param_groups[0]["params"][0].grad = torch.ones(3)
        optimiser.step()
        again.step()
    assert torch.equal(again.param_groups[0]["params"][0].data, moved.data)
    assert moved[0] > 0.7, "six steps of .1 at most are drawn back half of the way"


@pytest.mark.parametrize(
    ("aggregator", "decays"), [("mi-net", False), ("transmil", False), ("abmil", True)]
)
def test_biases_decay_where_the_recipe_lets_them(aggregator, decays):
    network = create_aggregator(aggregator, 6, 1)
    before = {name: weight.detach().clone().fill_(1) for name, weight in network.named_parameters()}
    for weight in network.parameters():
        weight.data.fill_(1)
        weight.grad = torch.zeros_like(weight)
    make_optimiser(
        make_config(aggregator=aggregator, recipe="published", weight_decay=0.5).with_recipe(),
        network.named_parameters(),
    ).step()
    for name, weight in network.named_parameters():
        shrinks = decays or (weight.ndim > 1 and not name.endswith("bias"))
        assert (weight < before[name]).all() == shrinks, name


def test_dtfd_is_clipped_module_by_module_and_other_methods_as_a_whole():
    def norms(aggregator):
        network = create_aggregator(aggregator, 6, 1)
        parts = clipped_parts(
            make_config(aggregator=aggregator).with_recipe(), network.named_parameters()
        )
        assert sum(len(part) for part in parts) == len(list(network.parameters()))
        return [sum(weight.numel() for weight in part) for part in parts], network

    sizes, dtfd = norms("dtfd")
    modules = [
        [dtfd.projection],
        [dtfd.attention1],
        [dtfd.classifier1],
        [dtfd.attention2, dtfd.classifier2],
    ]
    assert sizes == [
        sum(weight.numel() for module in part for weight in module.parameters()) for part in modules
    ]
    assert len(norms("gated-abmil")[0]) == 1


@given(
    epochs=st.integers(1, 300), schedule=st.sampled_from(["constant", "cosine", "steps", "inverse"])
)
def test_the_rate_never_rises_and_starts_as_given(epochs, schedule):
    config = make_config(epochs=epochs, schedule=schedule, learning_rate=0.1).with_recipe()
    rates = [rate_at(config, epoch, 10) for epoch in range(epochs)]
    assert rates[0] == (0.1 if schedule != "steps" or epochs > 1 else pytest.approx(0.1))
    assert all(later <= earlier for earlier, later in itertools.pairwise(rates))
    assert min(rates) >= 0


def test_steps_fall_in_the_middle_as_published():
    config = make_config(aggregator="dsmil", recipe="published").with_recipe()
    assert config.epochs == 60
    assert [rate_at(config, epoch, 1) for epoch in (29, 30)] == pytest.approx([1e-4, 1e-5])
    assert rate_at(make_config(aggregator="dtfd").with_recipe(), 100, 1) == pytest.approx(2e-5)
