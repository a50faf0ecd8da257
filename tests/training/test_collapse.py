"""Answers and attention that have collapsed are found and said."""

import json

import numpy as np
import pytest
import torch

from napari_mil.events import Fallback
from napari_mil.training.collapse import (
    CollapseKind,
    answers_are_alike,
    collapse_of,
    find_collapse,
)
from napari_mil.training.run import train

EVEN = np.full((20, 1), 0.05)
ONE = np.eye(20)[:, :1]
LEARNT = np.r_[[0.5, 0.3], np.full(18, 0.2 / 18)][:, None]


@pytest.mark.parametrize(
    ("attentions", "kind"),
    [
        ([EVEN, EVEN], CollapseKind.EVEN),
        ([ONE, np.roll(ONE, 3)], CollapseKind.ONE_INSTANCE),
        ([EVEN, LEARNT], None),
        ([ONE, LEARNT], None),
        ([EVEN, ONE], None),
        ([np.hstack([EVEN, LEARNT])], None),
        ([], None),
    ],
)
def test_attention_that_is_the_same_everywhere_has_collapsed(attentions, kind):
    found = collapse_of(attentions)
    assert (found and found.kind) == kind


def flatten_queries(fitting):
    """What coupled decay did to DSMIL: queries of no length."""
    with torch.no_grad():
        fitting.network.Wq.weight.mul_(1e-30)


def test_queries_that_vanish_are_found(cohort, quick, fit):
    fitting = fit(cohort, quick(aggregator="dsmil"))
    assert find_collapse(fitting) is None
    flatten_queries(fitting)
    assert find_collapse(fitting).kind is CollapseKind.EVEN


@pytest.mark.parametrize(
    ("positive", "targets", "alike"),
    [
        ([0.5, 0.501, 0.5, 0.504], [0, 1, 0, 1], True),
        ([0.5, 0.501, 0.5, 0.504], [[0, 1], [1, 1], [0, 0], [1, 0]], True),
        ([0.5, 0.501, 0.5, 0.7], [0, 1, 0, 1], False),
        ([0.99, 0.99, 0.99, 0.99], [1, 1, 1, 1], False),
        ([0.99, 0.99, 0.99, 0.99], [[0, 1], [0, 1], [0, 1], [0, 1]], False),
        ([0.5, 0.5, 0.5], [0, 1, 0], False),
        ([], [], False),
    ],
)
def test_answers_are_alike_where_the_same_is_said_of_bags_that_differ(positive, targets, alike):
    probabilities = [np.array([1 - p, p]) for p in positive]
    assert answers_are_alike(probabilities, np.array(targets)) == alike


@pytest.mark.parametrize("aggregator", ["embedding-max", "dsmil", "clam-mb"])
def test_a_network_whose_units_died_is_found(cohort, quick, fit, aggregator):
    fitting = fit(cohort, quick(aggregator=aggregator))
    assert find_collapse(fitting) is None
    with torch.no_grad():
        for weight in fitting.network.parameters():
            weight.zero_()
    found = find_collapse(fitting)
    assert found.kind is CollapseKind.ONE_ANSWER
    assert "learning rate" in found.text


def test_methods_without_attention_have_nothing_to_collapse(cohort, quick, fit):
    assert find_collapse(fit(cohort, quick(aggregator="instance-mean"))) is None


def test_the_run_and_the_card_say_it(cohort, quick, settings, tmp_path):
    said = []
    # Decay takes each weight to 0 before each step.
    decay = {"optimiser": "adamw", "learning_rate": 1e-6, "weight_decay": 1e6}
    config = quick(aggregator="abmil", epochs=1, **decay)
    train(cohort, config, out=tmp_path / "run", on_event=said.append, settings=settings)
    card = json.loads((tmp_path / "run" / "classifier" / "classifier.json").read_text())
    remarks = [event.message for event in said if isinstance(event, Fallback)]
    (caution,) = card["training"]["cautions"]
    assert "learnt nothing" in caution
    assert caution in remarks
