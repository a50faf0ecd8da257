"""The one overlay of a scene, and its legend."""

from dataclasses import replace

import numpy as np
import pytest

from napari_mil.bags.layout import Layout
from napari_mil.exports.maps import ScaleMode
from napari_mil.gui.model import actions
from napari_mil.gui.model.answers import Linkage
from napari_mil.gui.model.display import Kind
from napari_mil.gui.model.layer_specs import DARKENING_NAME
from napari_mil.gui.model.overlays import _coarse_map
from napari_mil.gui.model.scene import scene
from tests.gui.model import builders as build

MALIGNANCY = build.card()


def test_a_run_shows_tiles_it_has_not_come_to_as_the_nearest_it_has():
    layout = build.grid_layout(4, 6)
    values = np.full(24, np.nan, np.float32)
    values[[0, 23]] = (0.2, 0.8)
    image, _ = _coarse_map(layout, values, ScaleMode.RAW, Kind.SCORE)
    assert image[0, 0] == image[1, 1] == np.float32(0.2)
    assert image[3, 5] == image[2, 4] == np.float32(0.8)
    assert not np.isnan(image).any()


def test_cells_without_a_tile_stay_empty_while_a_run_fills_the_others():
    cells = np.array([[0, 0], [0, 1], [2, 2]])
    layout = Layout(cells[:, ::-1] * 10.0, cells, (3, 3), 10.0, 10.0)
    image, _ = _coarse_map(layout, np.array([0.5, np.nan, np.nan], "f4"), ScaleMode.RAW, Kind.SCORE)
    assert (~np.isnan(image)).sum() == 3


def shown(state):
    """Return the overlay and the legend of a state."""
    made = scene(state)
    (layer,) = [layer for layer in made.layers if layer.key in (("overlay",), ("groups",))]
    return layer, made.legend.text


def test_colours_run_over_the_window_that_was_set_for_the_map_that_is_shown():
    subject = build.slide_subject()
    state = build.answered(build.state_of(subject), build.answer(subject, build.card()))
    state = actions.choose_scale(actions.choose_kind(state, Kind.ATTENTION), ScaleMode.RAW)
    whole = shown(state)[0].limits
    state = actions.set_window(state, 0.1, 0.2)
    assert shown(state)[0].limits == (0.1, 0.2)
    assert shown(actions.choose_scale(state, ScaleMode.RANK))[0].limits == (0, 1)
    assert shown(actions.reset_window(state))[0].limits == whole
    assert actions.set_window(state, 0.3, 0.3) is state


def test_as_in_the_papers_attention_darkens_what_has_little_of_it():
    subject = build.slide_subject()
    given = build.answer(subject, build.card())
    state = actions.choose_kind(build.answered(build.state_of(subject), given), Kind.ATTENTION)
    layer, words = shown(actions.show_as_in_papers(state, True))
    attention = given.columns["attention"]
    assert layer.colormap == DARKENING_NAME
    assert layer.limits == pytest.approx((attention.min(), attention.max()))
    assert words.startswith("attention × pixels")


def test_as_in_the_papers_scores_of_overlapping_tiles_are_averaged_in_their_place():
    subject = build.slide_subject()
    apart = build.grid_layout(1, 3, size=300.0)
    layout = replace(apart, tile_size0=450.0)
    given = build.answer(subject, build.card(aggregator="dsmil"), layout=layout)
    state = actions.choose_kind(build.answered(build.state_of(subject), given), Kind.SCORE)
    plain, _ = shown(state)
    layer, words = shown(actions.show_as_in_papers(state, True))
    key = state.column.key
    values = given.columns[key]
    assert layer.data.shape == (4, 12)
    # A quarter of a stride beyond the cell belongs to the neighbour too.
    assert layer.data[0, 3] == pytest.approx(values[:2].mean())
    assert layer.data[0, 1] == pytest.approx(values[0])
    assert "mean where tiles overlap" in words
    # Both cover the same part of the slide.
    for axis in (0, 1):
        start = plain.affine.translate[axis] - plain.affine.scale[axis] / 2
        other = layer.affine.translate[axis] - layer.affine.scale[axis] / 2
        assert start == pytest.approx(other)


def test_a_group_that_is_switched_off_is_not_drawn():
    subject = build.slide_subject()
    given = build.answer(subject, build.card())
    given = replace(given, trees={Linkage.WARD: build.tree(len(given.layout))})
    state = build.answered(build.state_of(subject), given)
    state = actions.choose_clusters(actions.choose_kind(state, Kind.CLUSTERS), n_clusters=2)
    drawn = shown(state)[0].data[..., 3] > 0
    state = actions.switch_group(state, "1")
    rest = shown(state)[0].data[..., 3] > 0
    assert 0 < rest.sum() < drawn.sum()
    assert (shown(actions.switch_group(state, "1"))[0].data[..., 3] > 0).sum() == drawn.sum()
