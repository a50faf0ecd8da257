"""Orders, clusters, masks and critical instances of an answer."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_mil.gui.model.answers import (
    cluster_groups,
    critical_classes,
    mask_groups,
    order_by,
)
from tests.gui.model import builders as build

numbers = st.one_of(st.just(np.nan), st.floats(-1, 1, width=32))
some_values = st.integers(0, 12).flatmap(lambda n: arrays(np.float32, n, elements=numbers))


@given(some_values)
def test_an_order_holds_every_known_instance_once_from_high_to_low(values):
    order = order_by(values)
    assert sorted(order) == np.flatnonzero(~np.isnan(values)).tolist()
    assert (np.diff(values[order]) <= 0).all()


@pytest.mark.parametrize("n_clusters", [1, 3, 7])
def test_clusters_share_out_the_instances_and_the_largest_comes_first(n_clusters):
    groups = cluster_groups(build.tree(7), n_clusters)
    sizes = [len(group.instances) for group in groups]
    assert len(groups) == n_clusters
    assert sizes == sorted(sizes, reverse=True)
    assert sorted(np.concatenate([group.instances for group in groups])) == list(range(7))
    assert [group.name for group in groups] == [str(k + 1) for k in range(n_clusters)]


def test_the_few_that_are_masked_highest_are_drawn_on_top():
    groups = mask_groups(build.mined(8))
    assert [group.name for group in groups] == ["low", "random", "high"]
    assert groups[-1].instances.tolist() == [0, 4]


def test_kinds_that_a_strategy_does_not_mask_are_left_out():
    assert [group.name for group in mask_groups(build.mined(8, ("high",)))] == ["high"]


def test_a_sigmoid_has_one_critical_instance_for_its_positive_class():
    answer = build.answer(build.slide_subject(), build.card(), critical=True)
    assert critical_classes(answer) == [(0, "tumour")]


def test_a_softmax_has_a_critical_instance_for_every_class():
    card = build.card(link="softmax")
    answer = build.answer(build.slide_subject(), card, critical=True)
    assert critical_classes(answer) == [(0, "normal"), (0, "tumour")]


def test_a_method_without_critical_instances_has_none():
    assert critical_classes(build.answer(build.slide_subject(), build.card())) == []


def test_an_answer_is_named_after_its_classifier():
    answer = build.answer(build.slide_subject(), build.card("grade"))
    assert (answer.classifier, answer.card.name) == ("grade", "grade")
