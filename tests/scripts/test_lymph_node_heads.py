import numpy as np
import pytest
import torch

from napari_mil.training.evaluation.metrics import auc
from scripts.lymph_node_heads import (
    Line,
    SlideRule,
    TileSettings,
    assemble,
    fit_tile_network,
    softmax_mean,
    tile_logits,
)

SETTINGS = TileSettings(hidden=8, input_dropout=0.1, epochs=30)


@pytest.fixture(scope="module")
def tiles():
    """Return features and labels of tiles that differ in one feature."""
    random = np.random.default_rng(0)
    labels = np.arange(4000) % 2
    features = random.normal(size=(4000, 6)).astype(np.float32)
    features[:, 0] += 2 * labels
    return features, labels


def test_a_tile_network_learns_a_signal(tiles):
    features, labels = tiles
    network = fit_tile_network(features[:3000], labels[:3000], SETTINGS)
    assert auc(labels[3000:], tile_logits(network, features[3000:])) > 0.85


def test_the_aggregator_answers_as_the_network_and_the_rule_do(tiles):
    features, labels = tiles
    network = fit_tile_network(features, labels, SETTINGS)
    calibration = Line(0.7, -0.4)
    rule = SlideRule(0.8, Line(2.0, -1.0))
    aggregator = assemble(network, SETTINGS, calibration, rule, unit=1.6)
    expected = calibration(tile_logits(network, features))
    with torch.inference_mode():
        output = aggregator(torch.from_numpy(features))
    assert output.instance_logits[:, 0].numpy() / 1.6 == pytest.approx(expected, abs=1e-4)
    # The critical tile changes the sharpness by its logit over 100.
    assert output.logits.item() / 1.6 == pytest.approx(rule.line(rule.pool(expected)), abs=0.1)
    assert output.attention[:, 0].argmax() == expected.argmax()


def test_a_softmax_mean_lies_between_the_mean_and_the_largest_value():
    values = np.array([[0.0, 1.0, 5.0]])
    assert softmax_mean(values, 0.0) == pytest.approx([2.0])
    assert softmax_mean(values, 50.0) == pytest.approx([5.0])
    assert 2.0 < softmax_mean(values, 0.5)[0] < 5.0
