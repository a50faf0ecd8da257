import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from napari_mil.annotations.reading import read_annotations
from napari_mil.annotations.regions import Region, tile_cover
from tests.annotations.documents import feature, polygon, write_document


def test_rings_that_cross_themselves_are_mended(tmp_path):
    bow_tie = polygon([[0, 0], [10, 10], [10, 0], [0, 10], [0, 0]])
    (region,) = read_annotations(write_document(tmp_path, feature(bow_tie))).regions
    assert region.area.is_valid
    assert region.area.area == 50


@given(
    left=st.floats(-50, 150),
    top=st.floats(-50, 150),
    width=st.floats(1, 200),
    height=st.floats(1, 200),
    side=st.sampled_from([7.0, 16.0, 33.3]),
)
def test_the_covered_share_of_all_tiles_adds_up_to_the_area(left, top, width, height, side):
    corners = (
        np.stack(np.meshgrid(np.arange(-10, 60), np.arange(-10, 60)), -1).reshape(-1, 2) * side
    )
    region = Region(shapely.box(left, top, left + width, top + height), "a")
    cover = tile_cover([region, region], corners, side)
    assert cover.min() >= 0
    assert cover.max() <= 1 + 1e-9
    assert cover.sum() * side**2 == pytest.approx(width * height, rel=1e-6)
