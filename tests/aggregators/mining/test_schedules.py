"""Schedules of ratios and momentum."""

import pytest

from napari_mil.aggregators.mining.schedules import cosine


def test_a_cosine_goes_from_start_to_end_and_stays_there():
    assert cosine(0.2, 0.0, 0, 10) == 0.2
    assert cosine(0.2, 0.0, 5, 10) == pytest.approx(0.1)
    assert cosine(0.2, 0.0, 10, 10) == cosine(0.2, 0.0, 99, 10) == 0
    assert cosine(0.9, 1.0, 0, 0) == 0.9
