import numpy as np
import pytest

from scripts.train_lymph_node_metastasis import (
    SLIDE_TILES,
    draw_slides,
    fit_line,
    interval,
    turned,
)


def test_slides_have_the_share_of_tumour_tiles_they_should_have():
    normal = np.arange(10)
    tumour = np.arange(10, 14)
    slides, labels = draw_slides(np.random.default_rng(0), normal, tumour, 0.02, count=3)
    assert slides.shape == (6, SLIDE_TILES)
    assert (slides >= 10).sum(1).tolist() == [10, 10, 10, 0, 0, 0]
    assert labels.tolist() == [1, 1, 1, 0, 0, 0]


def test_tiles_are_turned_and_mirrored_in_eight_ways():
    tile = np.arange(12).reshape(1, 2, 2, 3)
    views = {turned(tile, k).tobytes() for k in range(8)}
    assert len(views) == 8


def test_a_line_makes_logits_calibrated():
    random = np.random.default_rng(0)
    logits = random.normal(0, 2, 20_000)
    labels = random.random(20_000) < 1 / (1 + np.exp(-(0.5 * logits + 1)))
    line = fit_line(logits, labels)
    assert line.slope == pytest.approx(0.5, abs=0.05)
    assert line.offset == pytest.approx(1.0, abs=0.05)


def test_an_interval_is_that_of_the_resampled_values():
    figure = interval([0.5, *np.linspace(0, 1, 101)])
    assert figure == {"mean": 0.5, "low": 0.025, "high": 0.975}
