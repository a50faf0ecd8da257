import numpy as np

from napari_mil.aggregators import create_aggregator
from scripts.head_fitting import FitSettings, bag_logits, fit, standardisation


def test_standardisation_survives_constant_dimensions():
    bags = [np.array([[1.0, 5.0], [3.0, 5.0]], np.float32)]
    mean, scale = standardisation(bags)
    assert mean.tolist() == [2.0, 5.0]
    assert scale.tolist() == [1.0, 1.0]


def test_bags_of_one_instance_train():
    bags = [np.random.default_rng(k).normal(size=(1, 4)).astype(np.float32) for k in range(6)]
    aggregator = fit(
        lambda: create_aggregator("abmil", 4, 1, hidden=4),
        bags,
        [0.0, 1.0] * 3,
        FitSettings(epochs=2),
    )
    assert bag_logits(aggregator, bags).shape == (6, 1)
