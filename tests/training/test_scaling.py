import numpy as np

from napari_mil.training.evaluation.folds import Split
from napari_mil.training.scaling import standardisation


def test_features_are_scaled_by_training_bags_alone(cohort, quick, fit):
    fitting = fit(cohort, quick(), Split((0, 13), (1, 14)))
    expected = np.concatenate([fitting.store.read(0), fitting.store.read(13)])
    assert np.allclose(fitting.mean, expected.mean(0), rtol=1e-5)
    assert np.allclose(fitting.scale, expected.std(0), rtol=1e-4)


def test_scaling_survives_constants_and_takes_maps():
    mean, scale = standardisation([np.array([[1.0, 5.0], [3.0, 5.0]], np.float32)])
    assert mean.tolist() == [2.0, 5.0]
    assert scale.tolist() == [1.0, 1.0]
    maps = np.random.default_rng(0).normal(3, 2, (4, 5, 6, 7)).astype(np.float32)
    mean, scale = standardisation([maps[:1], maps[1:]])
    assert np.allclose(mean, maps.mean((0, 2, 3)), atol=1e-5)
    assert np.allclose(scale, maps.std((0, 2, 3)), atol=1e-5)
