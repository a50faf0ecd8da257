import numpy as np
import pytest

from napari_mil.training.cohorts.scanning import scan_annotated_folder
from napari_mil.training.sampling import class_weights, epoch_order


def test_rare_classes_weigh_more_or_come_more_often(feature_folder, quick):
    root = feature_folder(n=20)
    for path in sorted((root / "malignant").iterdir())[5:]:
        path.unlink()
    uneven = scan_annotated_folder(root)
    training = tuple(range(25))
    weights = class_weights(uneven, training, quick(class_balance="weights"))
    assert weights[:20].sum() == pytest.approx(weights[20:].sum())
    assert weights.mean() == pytest.approx(1)
    drawn = np.concatenate(
        [
            epoch_order(quick(class_balance="sampling", seed=seed), training, weights, epoch)
            for seed in range(4)
            for epoch in range(5)
        ]
    )
    assert 0.4 < np.mean(drawn >= 20) < 0.6
    assert class_weights(uneven, training, quick()).tolist() == [1.0] * 25


def test_without_sampling_every_bag_is_visited_once_in_another_order(quick):
    training = (3, 5, 8, 13)
    orders = [epoch_order(quick(), training, np.ones(14), epoch).tolist() for epoch in range(6)]
    assert all(sorted(order) == [3, 5, 8, 13] for order in orders)
    assert len({tuple(order) for order in orders}) > 1
