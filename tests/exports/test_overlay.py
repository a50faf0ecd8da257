"""Values of tiles over the slide: planted answers are found where they were planted."""

import numpy as np
import pytest

from napari_mil.events import CancellationToken
from napari_mil.exports.colours import shade
from napari_mil.exports.glyphs import Glyph, Group
from napari_mil.exports.overlay import is_dark, overview, with_instances
from napari_mil.exports.source import ExportChoices, Grouping, GroupKind, make_source
from tests.exports.answers import answer, answer_on

WHITE = np.full((512, 384, 3), 255, np.uint8)


def drawn(source, size):
    picture = overview(source, size, CancellationToken())
    return picture, with_instances(picture, source)


@pytest.mark.parametrize("downsamples", [(1,), (1, 4)])
@pytest.mark.parametrize("longest", [128, 512, 1000])
def test_a_planted_tile_is_coloured_where_it_lies(paint, downsamples, longest):
    slide = paint(WHITE, downsamples)
    prediction = answer_on(slide)
    scores = np.zeros((prediction.n_instances, 2), np.float32)
    scores[9] = (0, 1)
    source = make_source(answer_on(slide, instance_scores=scores), slide)
    _, coloured = drawn(source, (longest, longest))
    height, width = coloured.shape[:2]
    assert max(height, width) == longest
    x, y = prediction.coords[9] * width / 384
    hot = np.abs(coloured.astype(int) - coloured[0, 0]).sum(2) > 60
    rows, columns = np.nonzero(hot)
    side = 64 * width / 384
    assert rows.min() == pytest.approx(y, abs=1)
    assert columns.min() == pytest.approx(x, abs=1)
    assert rows.max() + 1 == pytest.approx(y + side, abs=1)
    assert columns.max() + 1 == pytest.approx(x + side, abs=1)


def test_beside_the_tiles_the_slide_stays_as_it_is(paint, noise):
    slide = paint(noise)
    whole = answer_on(slide)
    kept = np.arange(whole.n_instances) != 3
    source = make_source(
        answer_on(
            slide,
            coords=whole.coords[kept],
            instance_scores=whole.instance_scores[kept],
            attention=None,
            unlikeness=None,
        ),
        slide,
    )
    picture, coloured = drawn(source, (467, 601))
    x, y = whole.coords[3]
    tile = np.s_[y : y + 64, x : x + 64]
    assert np.array_equal(coloured[tile], picture.pixels[tile])
    assert np.array_equal(picture.pixels, noise)
    assert not np.array_equal(coloured, noise)


def test_the_colour_is_that_of_the_value(paint):
    slide = paint(WHITE)
    source = make_source(answer_on(slide), slide, ExportChoices(column="score_tumour"))
    _, coloured = drawn(source, (384, 512))
    x, y = source.corners[7] + 32
    ink = shade(source.shown.values[7:8], 0, 1)[0]
    expected = 255 * (1 - ink[3]) + ink[:3] * ink[3]
    assert np.abs(coloured[y, x] - expected).max() <= 1


def test_without_a_slide_tiles_lie_on_white():
    source = make_source(answer())
    picture, coloured = drawn(source, (300, 300))
    assert (picture.pixels == 255).all()
    assert picture.pixels.shape == (200, 300, 3)
    assert (coloured != 255).any()


def test_only_the_stored_part_of_a_sparse_slide_is_shown(paint, monkeypatch):
    pixels = WHITE.copy()
    pixels[220:260, 150:200] = 0
    slide = paint(pixels)
    monkeypatch.setattr(slide._backend, "bounds", (100, 200, 200, 100))
    source = make_source(answer_on(slide), slide)
    picture = overview(source, (200, 200), CancellationToken())
    assert picture.area == (100, 200, 200, 100)
    assert picture.pixels.shape == (100, 200, 3)
    rows, columns = np.nonzero(picture.pixels[..., 0] < 128)
    assert (rows.min(), rows.max() + 1) == pytest.approx((20, 60), abs=1)
    assert (columns.min(), columns.max() + 1) == pytest.approx((50, 100), abs=1)


def test_brightfield_is_not_dark(paint, noise):
    slide = paint(noise)
    assert not is_dark(make_source(answer_on(slide), slide))
    assert not is_dark(make_source(answer()))


def test_groups_are_shown_instead_of_values_each_in_its_pattern(paint):
    slide = paint(WHITE)
    groups = (
        Group("1", Glyph("#FF0000"), np.array([0, 7])),
        Group("2", Glyph("#0000FF", "frame"), np.array([9])),
    )
    grouping = Grouping(GroupKind.CLUSTER, "2 clusters", groups)
    source = make_source(answer_on(slide), slide, grouping=grouping)
    _, coloured = drawn(source, (384, 512))
    x, y = source.corners[7]
    filled = coloured[y : y + 64, x : x + 64]
    assert (filled == filled[0, 0]).all()
    assert filled[0, 0, 0] == 255 > filled[0, 0, 1]
    x, y = source.corners[9]
    framed = coloured[y : y + 64, x : x + 64]
    assert framed[0, 0, 2] == 255 > framed[0, 0, 0]
    assert (framed[32, 32] == 255).all()
    x, y = source.corners[4]
    assert (coloured[y : y + 64, x : x + 64] == 255).all()
