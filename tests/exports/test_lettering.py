"""Text and scale bars of pictures."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ImageFont

from napari_mil.exports.lettering import bar_length, drawable, fitted, font_of, length_words


@given(st.floats(1e-3, 1e6))
def test_a_scale_bar_is_the_longest_round_one_that_fits(longest):
    length = bar_length(longest)
    assert length <= longest * (1 + 1e-6)
    assert length * 2.5 > longest * (1 - 1e-6)
    assert f"{length:e}"[0] in "125"


@pytest.mark.parametrize(
    ("um", "words"), [(200, "200 µm"), (0.5, "0.5 µm"), (1000, "1 mm"), (2500, "2.5 mm")]
)
def test_lengths_have_the_unit_people_read(um, words):
    assert length_words(um) == words


@given(st.text(min_size=1, max_size=80), st.integers(20, 400))
def test_text_fits_and_keeps_its_ends(text, width):
    font = font_of(12)
    shown = fitted(text, font, width)
    assert font.getlength(shown) <= width or shown in ("…", "...")


def test_a_long_name_is_shortened_in_the_middle():
    font = font_of(12)
    shown = fitted("a-very-long-name-of-a-slide-0815", font, 120)
    assert shown.startswith("a-")
    assert shown.endswith("15")
    assert "…" in shown or "..." in shown


def test_pillows_own_font_gets_letters_that_it_has():
    font = ImageFont.load_default(12)
    assert drawable("5 µm × 3", font) == "5 um x 3"
    assert drawable("肿瘤", font) == "??"
