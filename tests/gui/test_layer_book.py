"""Layers of a real viewer follow the scene."""

from types import SimpleNamespace

import numpy as np

from napari_mil.bags import tile_grid
from napari_mil.gui.model import actions
from napari_mil.gui.samples import BAG, sample_path


def test_the_picture_of_the_overlay_is_the_picture_of_the_slide(bench, paint):
    """A slide of solid tiles: overlay alone and slide alone give the same pixels, edges too."""
    shades = np.random.default_rng(0).integers(40, 200, (6, 8), dtype=np.uint8)
    level0 = np.repeat(np.kron(shades, np.ones((64, 64), np.uint8))[..., None], 3, 2)
    path = paint(level0, mpp=0.5, tile=256).path
    subject = bench.open(path)
    bench.classify_tab.tissue_box.choose("whole")
    prediction = bench.classify()
    (overlay,) = bench.overlays
    grid = tile_grid(subject.slide, 64, 0.5)
    assert np.array_equal(grid.coords, prediction.coords)
    values = np.full(overlay.data.shape, np.nan, np.float32)
    for i, (row, column) in enumerate(grid.cells):
        values[row, column] = grid.read(subject.slide, i).mean()
    overlay.visible = False
    above = bench.viewer.add_image(
        values,
        scale=overlay.scale,
        translate=overlay.translate,
        units=overlay.units,
        colormap="gray",
        contrast_limits=(0, 255),
    )
    bench.wait()
    bench.viewer.canvas.overlays.text.visible = False
    below = bench.layer("painted")
    pictures = []
    for shown, hidden in ((below, above), (above, below)):
        shown.visible = True
        hidden.visible = False
        pictures.append(bench.viewer.screenshot(canvas_only=True, flash=False)[..., :3].astype(int))
    below.visible = True
    bench.viewer.layers.remove(above)
    assert (np.abs(pictures[0] - pictures[1]).max(2) > 4).mean() < 0.01


def test_all_layers_share_the_units_of_what_is_shown(bench, slide_path):
    bench.open(slide_path)
    bench.classify()
    assert {str(layer.units[0]) for layer in bench.viewer.layers} == {"micrometer"}
    bench.open(sample_path(BAG))
    assert {str(layer.units[0]) for layer in bench.viewer.layers} == {"pixel"}


def test_layers_that_come_back_are_not_listed_meanwhile(bench, slide_path):
    slide = bench.open(slide_path).key
    bench.classify()
    listed = bench.listed
    bench.open(sample_path(BAG))
    assert bench.listed == ["CMU-1-Small-Region", "mixed-size"]
    bench.session.apply(actions.choose_subject, slide)
    bench.wait()
    assert set(listed) <= set(bench.listed)


def test_one_overlay_is_seen_whatever_is_chosen(bench, slide_path):
    bench.open(slide_path)
    bench.classify("colon-epithelium")
    kinds = bench.inspect_tab.kind_box.keys()
    assert len(kinds) >= 4
    for kind in kinds:
        bench.inspect_tab.kind_box.choose(kind)
        bench.wait()
        assert len(bench.overlays) <= 1
        assert bench.viewer.canvas.overlays.text.visible
        assert "colon-epithelium" in bench.viewer.canvas.overlays.text.text


def test_title_and_colour_bar_and_scale_bar_stand_apart(bench, slide_path):
    bench.open(slide_path)
    bench.classify()
    overlays = bench.viewer.canvas.overlays
    (overlay,) = bench.overlays
    places = [overlays.text.position, overlay.colorbar.position, overlays.scale_bar.position]
    assert len(set(map(str, places))) == 3


def test_a_layer_that_is_not_ours_is_left_alone(bench, slide_path):
    mine = bench.viewer.add_points(np.zeros((1, 2)), name="mine")
    bench.open(slide_path)
    bench.classify()
    bench.session.apply(actions.close_subject, bench.state.current)
    bench.wait()
    assert bench.listed == ["mine"]
    bench.viewer.layers.remove(mine)


def test_the_coarse_layer_below_a_slide_is_in_no_list_and_comes_back(bench, slide_path):
    subject = bench.open(slide_path)
    below = bench.workbench.book.layer("underlay", str(subject.key))
    assert below.visible
    assert bench.listed == ["CMU-1-Small-Region"]
    assert bench.viewer.layers.selection.active is bench.layer("CMU-1-Small-Region")
    bench.viewer.layers.remove(below)
    bench.wait()
    bench.session.apply(actions.select, (0,))
    bench.wait()
    assert bench.state.current_subject is not None
    assert bench.workbench.book.layer("underlay", str(subject.key)) is not below
    bench.viewer.layers.remove(bench.layer("CMU-1-Small-Region"))
    bench.wait()
    assert bench.visible_layers == []


def press(book, viewer, modifiers, places):
    """Press, move and release the mouse at places (y, x) of the canvas, one after the other."""
    event = SimpleNamespace(
        type="mouse_press", button=1, modifiers=modifiers, pos=places[0], position=places[0]
    )
    stroke = book._on_press(viewer, event)
    next(stroke, None)
    event.type = "mouse_move"
    for place in places[1:]:
        event.pos = event.position = place
        next(stroke, None)
    event.type = "mouse_release"
    next(stroke, None)


def test_a_click_a_drag_and_a_box_are_told_apart(bench, slide_path):
    bench.open(slide_path)
    book = bench.workbench.book
    told = []
    listeners = {
        name: lambda *places, name=name: told.append((name, *places))
        for name in ("clicked", "added", "boxed")
    }
    for name, listener in listeners.items():
        getattr(book, name).connect(listener)
    press(book, bench.viewer, (), [(5, 5)])
    press(book, bench.viewer, (), [(5, 5), (90, 90)])
    assert told == [("clicked", (5, 5))]
    press(book, bench.viewer, ("Shift",), [(5, 5)])
    press(book, bench.viewer, ("Shift",), [(5, 5), (90, 90)])
    assert told[1:] == [("added", (5, 5)), ("boxed", (5, 5), (90, 90))]
    for name, listener in listeners.items():
        getattr(book, name).disconnect(listener)
