"""Pictures with legend and scale bar."""

import numpy as np
import pytest
from PIL import Image

from napari_mil.events import CancellationToken
from napari_mil.exports.exporting import export_prediction
from napari_mil.exports.figure import (
    NO_SCALE,
    NO_VALUES,
    PRINT_PX,
    SCREEN_PX,
    _ticks,
    draw_legend,
    draw_slide,
)
from napari_mil.exports.glyphs import Group, cluster_glyph
from napari_mil.exports.maps import ScaleMode
from napari_mil.exports.source import ExportChoices, Grouping, GroupKind, make_source
from tests.exports.answers import answer_on

CANCEL = CancellationToken()


def scale_bar_of(picture):
    """Return the length of the scale bar in pixels: the longest dark run near the lower left."""
    pixels = np.asarray(picture.convert("L")).astype(int)
    corner = pixels[int(pixels.shape[0] * 0.8) :, : pixels.shape[1] // 2]
    longest = 0
    for row in corner < 60:
        edges = np.flatnonzero(np.diff(np.concatenate([[False], row, [False]]).astype(int)))
        longest = max([longest, *np.diff(edges)[::2].tolist()])
    return longest


@pytest.fixture
def white(paint):
    """Return a function that paints an empty slide of a scale."""
    return lambda mpp=0.5: paint(np.full((512, 384, 3), 255, np.uint8), mpp=mpp)


@pytest.mark.parametrize(
    ("name", "width", "dpi"), [("png", SCREEN_PX, 96), ("png-print", PRINT_PX, 300)]
)
def test_pictures_have_the_size_of_a_screen_or_of_a_page(tmp_path, white, name, width, dpi):
    slide = white()
    remarks = export_prediction(answer_on(slide), name, tmp_path / "a.png", pixels=slide)
    assert remarks == ()
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.width == width
        assert picture.info["dpi"] == pytest.approx((dpi, dpi), abs=0.1)


def test_the_scale_bar_has_the_length_that_it_says(white):
    slide = white()
    # At most a quarter of 192 µm is 48 µm, which gives 20 µm.
    picture = draw_slide(make_source(answer_on(slide), slide), 768, 12, CANCEL)
    assert picture.size == (720, 960)
    across = 192 / picture.width
    assert scale_bar_of(picture) == pytest.approx(20 / across, abs=2)


def test_without_a_scale_there_is_no_bar_and_that_is_said(tmp_path, white):
    slide = white(mpp=None)
    prediction = answer_on(slide)
    source = make_source(prediction, slide)
    assert scale_bar_of(draw_slide(source, 400, 12, CANCEL)) == 0
    assert export_prediction(prediction, "png", tmp_path / "a.png", pixels=slide) == (NO_SCALE,)


def test_an_answer_without_values_shows_the_slide_alone(tmp_path, white):
    slide = white()
    bare = answer_on(slide, attention=None, instance_scores=None, unlikeness=None)
    assert draw_legend(make_source(bare, slide), 400, 12) is None
    assert export_prediction(bare, "png", tmp_path / "a.png", pixels=slide) == (NO_VALUES,)


@pytest.mark.parametrize(
    ("scale", "lines"),
    [
        (ScaleMode.RAW, [("1",), ("25.8",), ("50.5",), ("75.2",), ("100",)]),
        (
            ScaleMode.RANK,
            [("0", "1"), ("0.25", "3.2"), ("0.5", "10"), ("0.75", "32"), ("1", "1e+02")],
        ),
        (ScaleMode.LOG, [("1",), ("3.2",), ("10",), ("32",), ("1e+02",)]),
    ],
)
def test_the_legend_has_numbers_that_can_be_read_back(white, scale, lines):
    slide = white()
    prediction = answer_on(slide)
    values = np.logspace(0, 2, prediction.n_instances, dtype=np.float32)[:, None]
    choices = ExportChoices(column="attention", scale=scale)
    source = make_source(answer_on(slide, attention=values), slide, choices)
    assert [tick.lines for tick in _ticks(source.shown)] == lines


def test_the_legends_bar_runs_from_the_lowest_to_the_highest_colour(white):
    slide = white()
    legend = np.asarray(draw_legend(make_source(answer_on(slide), slide), 400, 12)).astype(int)
    row = legend[24]
    white, yellow = row[2], row[-3]
    assert white.min() > 230
    # Yellow lacks blue.
    assert yellow[2] < yellow[0] - 60


def test_names_of_any_length_and_script_are_drawn(tmp_path, white):
    slide = white()
    name = "肿瘤 " + "long " * 80
    prediction = answer_on(slide, classes=("normal", name))
    export_prediction(prediction, "png", tmp_path / "a.png", pixels=slide)
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.width == SCREEN_PX


@pytest.mark.parametrize("n", [1, 12, 48])
def test_the_legend_of_groups_has_a_glyph_for_each(white, n):
    slide = white()
    groups = tuple(Group(str(k + 1), cluster_glyph(k), np.array([k % 48])) for k in range(n))
    grouping = Grouping(GroupKind.CLUSTER, f"{n} clusters", groups)
    source = make_source(answer_on(slide), slide, grouping=grouping)
    legend = np.asarray(draw_legend(source, 600, 12)).astype(int)
    assert legend.shape[1] == 600
    coloured = {tuple(pixel) for pixel in legend.reshape(-1, 3) if np.ptp(pixel) > 40}
    assert len(coloured) >= min(n, 11)
