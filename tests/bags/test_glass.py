import numpy as np
import pytest

from napari_mil.bags.glass import find_glass
from tests.bags.tissue.pictures import (
    GLASS,
    bare_glass,
    dimmed,
    faded,
    greyed,
    sample,
    tinted,
    vignetted,
)


def glass_of(picture, smallest_share=0.05):
    shape = picture.shape[:2]
    return find_glass(picture, np.zeros(shape, bool), smallest_share * shape[0] * shape[1])


@pytest.mark.parametrize("change", [lambda p: p, dimmed, tinted, greyed, faded])
def test_glass_is_found_with_its_colour(change):
    picture = change(sample())
    found = glass_of(picture)
    assert found.area.mean() > 0.3
    corner = picture[500:700, 20:100].reshape(-1, 3)
    assert found.colour == pytest.approx(np.median(corner, 0), abs=3)


def test_the_colour_beside_tissue_follows_a_vignette():
    found = glass_of(vignetted(sample()))
    centre = found.nearest_colour[370, 130].mean()
    corner = found.nearest_colour[740, 553].mean()
    assert corner < 0.8 * centre


def test_tissue_alone_shows_no_glass():
    assert glass_of(np.ascontiguousarray(sample()[560:740, 215:400])) is None


def test_a_lumen_is_no_evidence_of_glass():
    tissue = np.ascontiguousarray(sample()[560:740, 215:400])
    row, column = np.mgrid[:180, :185]
    lumen = (row - 90) ** 2 + (column - 90) ** 2 < 20**2
    with_lumen = np.where(lumen[..., None], GLASS, tissue).astype(np.uint8)
    assert glass_of(with_lumen) is None
    assert glass_of(with_lumen, smallest_share=0.01) is not None


def test_saturated_smooth_colour_is_no_glass():
    assert glass_of(np.full((200, 300, 3), (205, 120, 180), np.uint8)) is None


def test_bare_glass_is_grey():
    found = glass_of(bare_glass())
    assert found.area.all()
    assert found.is_grey
    assert not glass_of(sample()).is_grey
    assert glass_of(greyed(sample())).is_grey


def test_a_picture_of_canvas_alone_shows_no_glass():
    picture = np.full((60, 80, 3), 255, np.uint8)
    assert find_glass(picture, np.ones((60, 80), bool), 10) is None
