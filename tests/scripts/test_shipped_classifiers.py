import numpy as np
import pytest
from PIL import Image

from scripts.shipped_classifiers import (
    Tiling,
    colour_statistics,
    difference,
    picture_bag,
    table,
    verdicts,
)


def test_colour_statistics_are_moments_and_quantiles_per_channel():
    tiles = np.zeros((1, 4, 5, 3), np.uint8)
    tiles[..., 1] = np.arange(20).reshape(4, 5)
    statistics = colour_statistics(tiles)
    assert statistics.shape == (1, 21)
    green = statistics[0, 1::3]
    expected = [9.5, np.arange(20).std(), *np.percentile(np.arange(20), [5, 25, 50, 75, 95])]
    assert green == pytest.approx(expected)


def test_grey_tiles_of_a_picture_are_left_out(tmp_path):
    pixels = np.full((64, 128, 3), 240, np.uint8)
    pixels[:, 64:] = (200, 100, 180)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    bag = picture_bag(tmp_path / "a.png", 0.5, Tiling(64, 0.5))
    assert len(bag.grid) == 2
    assert bag.coords.tolist() == [[64, 0]]
    assert len(bag.features) == len(bag.colours) == 1


def test_a_classifier_gains_nothing_over_itself():
    labels = np.array([0, 1, 0, 1])
    logits = np.array([[-1.0, 1.0, 0.5, 0.2]])
    gain = difference(labels, logits, logits, ["a", "b", "c", "d"], samples=20)
    assert gain == {"mean": 0.0, "low": 0.0, "high": 0.0}


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [(0.01, 0.2, "beaten on these folds"), (-0.2, -0.01, "worse"), (-0.1, 0.1, "not shown")],
)
def test_a_verdict_follows_the_interval(low, high, words):
    gain = {"mean": (low + high) / 2, "low": low, "high": high}
    assert words in verdicts({"auc gain over": {"colours": gain}})


def test_a_table_has_a_row_for_every_method():
    figure = {"mean": 0.9, "low": 0.8, "high": 0.95, "sd_repeats": 0.01}
    entry = {"this classifier": {"auc": figure, "accuracy": figure}, "chosen": {"a": 3}}
    cell = "0.900 (0.800–0.950), ± 0.010"
    assert table(entry, "by image: ") == [f"| by image: this classifier | {cell} | {cell} |"]
