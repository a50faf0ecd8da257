import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_mil.aggregators import create_aggregator
from napari_mil.aggregators.weighted_values import WeightedValues

METHODS = [
    ("abmil", {}),
    ("abmil", {"heads": 3, "hidden": None}),
    ("gated-abmil", {"hidden": 16}),
    ("clam-sb", {"hidden": 16}),
    ("clam-mb", {"hidden": 16}),
    ("embedding-mean", {}),
]


@pytest.fixture(params=METHODS, ids=lambda method: f"{method[0]}-{len(method[1])}")
def answered(request):
    """An additive method with a bag, and the values it has of it."""
    name, options = request.param
    torch.manual_seed(0)
    aggregator = create_aggregator(name, 8, 3, **options).double().eval()
    bag = torch.randn(30, 8, dtype=torch.float64) * 2
    values = aggregator.weighted_values(bag)
    return aggregator, bag, values


def recomputed(aggregator, bag, kept):
    with torch.inference_mode():
        return aggregator(bag[torch.as_tensor(np.asarray(kept))]).logits.numpy()


def test_the_logits_of_the_bag_and_of_any_part_are_those_of_the_method(answered):
    aggregator, bag, values = answered
    np.testing.assert_allclose(values.logits(), recomputed(aggregator, bag, range(30)), atol=1e-9)
    part = np.array([3, 17, 4])
    np.testing.assert_allclose(values.logits(part), recomputed(aggregator, bag, part), atol=1e-9)
    mask = np.zeros(30, bool)
    mask[part] = True
    np.testing.assert_allclose(values.logits(mask), values.logits(part), atol=1e-12)
    np.testing.assert_allclose(values.without(part), values.logits(~mask), atol=1e-9)


def test_every_instance_alone_and_left_out_is_what_the_method_says(answered):
    aggregator, bag, values = answered
    alone = values.alone()
    without = values.without_each()
    for i in range(30):
        np.testing.assert_allclose(alone[i], recomputed(aggregator, bag, [i]), atol=1e-9)
        others = [k for k in range(30) if k != i]
        np.testing.assert_allclose(without[i], recomputed(aggregator, bag, others), atol=1e-9)


def test_every_step_of_deletion_and_insertion_is_what_the_method_says(answered):
    aggregator, bag, values = answered
    order = np.random.default_rng(0).permutation(30)
    deleting = values.while_deleting(order)
    inserting = values.while_inserting(order)
    for k in range(30):
        np.testing.assert_allclose(deleting[k], recomputed(aggregator, bag, order[k:]), atol=1e-9)
        kept = order[: k + 1]
        np.testing.assert_allclose(inserting[k], recomputed(aggregator, bag, kept), atol=1e-9)


def test_a_bag_of_one_has_nothing_left_without_it(answered):
    aggregator, bag, _ = answered
    values = aggregator.weighted_values(bag[:1])
    assert np.isnan(values.without_each()).all()
    np.testing.assert_allclose(values.while_deleting(np.array([0])), values.alone())
    assert np.isnan(values.logits(np.zeros(1, bool))).all()


@settings(deadline=None)
@given(st.integers(2, 12), st.integers(0, 2**32 - 1), st.floats(1, 300))
def test_an_instance_with_nearly_all_weight_does_not_spoil_what_is_left(n, seed, spread):
    random = np.random.default_rng(seed)
    values = WeightedValues(
        random.normal(size=(n, 2)) * spread, random.normal(size=(n, 2, 3)), np.zeros(3)
    )
    kept = np.delete(np.arange(n), int(values.scores[:, 0].argmax()))
    left = values.logits(kept)
    assert np.isfinite(left).all()
    removed = np.array([int(values.scores[:, 0].argmax())])
    np.testing.assert_allclose(values.without(removed), left, rtol=1e-9, atol=1e-9)
    part = WeightedValues(values.scores[kept], values.values[kept], values.bias)
    np.testing.assert_allclose(left, part.logits(), rtol=1e-9)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("dsmil", {}),
        ("dsmil-released", {}),
        ("dsmil-released", {"hidden": 16, "passing_v": True}),
        ("dsmil-released", {"nonlinear_q": False}),
    ],
)
@pytest.mark.parametrize("n_classes", [1, 3])
def test_dsmil_is_a_weighted_mean_while_its_critical_instances_stay(name, options, n_classes):
    torch.manual_seed(0)
    aggregator = create_aggregator(name, 8, n_classes, **options).double().eval()
    bag = torch.randn(30, 8, dtype=torch.float64)
    values = aggregator.weighted_values(bag)
    with torch.inference_mode():
        output = aggregator(bag)
    assert set(values.anchors) == set(output.critical.tolist())
    np.testing.assert_allclose(values.logits(), output.logits.numpy(), atol=1e-9)
    without = values.without_each()
    for i in set(range(30)) - set(values.anchors):
        others = [k for k in range(30) if k != i]
        np.testing.assert_allclose(without[i], recomputed(aggregator, bag, others), atol=1e-9)


@pytest.mark.parametrize("name", ["transmil", "hamil", "embedding-max", "mi-net"])
def test_methods_that_are_no_weighted_means_say_so(name):
    options = {"hidden": 16} if name == "transmil" else {}
    aggregator = create_aggregator(name, 8, 2, **options).eval()
    assert aggregator.weighted_values(torch.randn(5, 8)) is None
