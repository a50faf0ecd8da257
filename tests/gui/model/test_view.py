"""Magnification of what is in view."""

import pytest

from napari_mil.gui.model.view import PRESETS, magnification_of, zoom_of


def test_a_scan_at_a_quarter_of_a_micron_shown_pixel_by_pixel_is_40_times():
    assert magnification_of(1.0, 0.25) == 40
    assert magnification_of(0.5, 0.5) == 10


@pytest.mark.parametrize("magnification", PRESETS)
def test_a_magnification_and_its_zoom_agree(magnification):
    assert magnification_of(zoom_of(magnification, 0.499), 0.499) == pytest.approx(magnification)
