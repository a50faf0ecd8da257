"""Every text can be read in both themes."""

import pytest

from napari_mil.gui.views.colours import BUTTON, BUTTON_PRESSED, DARK, LIGHT

READABLE = 4.5
"""Contrast of text that WCAG 2.1 asks for at level AA."""
DARK_GROUND = (0x26, 0x29, 0x30)
LIGHT_GROUNDS = ((239, 235, 233), (214, 208, 206))
TEXTS = ("accent", "secondary", "caution")
WHITE = (255, 255, 255)


def rgb(colour):
    return tuple(bytes.fromhex(colour[1:]))


def luminance(colour):
    """Return the relative luminance of WCAG 2.1."""
    parts = [part / 255 for part in colour]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_the_contrast_is_that_of_the_standard():
    assert contrast((0, 0, 0), WHITE) == pytest.approx(21)
    assert contrast((0x77, 0x77, 0x77), WHITE) == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("text", TEXTS)
def test_text_can_be_read_in_the_dark_theme(text):
    assert contrast(rgb(getattr(DARK, text)), DARK_GROUND) >= READABLE


@pytest.mark.parametrize("ground", LIGHT_GROUNDS)
@pytest.mark.parametrize("text", TEXTS)
def test_text_can_be_read_in_the_light_theme(text, ground):
    assert contrast(rgb(getattr(LIGHT, text)), ground) >= READABLE


@pytest.mark.parametrize("ground", [BUTTON, BUTTON_PRESSED])
def test_the_primary_button_can_be_read(ground):
    assert contrast(WHITE, rgb(ground)) >= READABLE
