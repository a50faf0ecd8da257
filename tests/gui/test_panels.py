"""Panels below the canvas of the real window."""

import numpy as np
from PIL import Image
from qtpy.QtCore import QPointF, Qt

from napari_mil.gui.model.panels import Panel


def centre_of(listed, row):
    return listed.visualItemRect(listed.item(row)).center()


def test_the_gallery_shows_the_highest_tiles_and_selects_what_is_clicked(bench, slide_path):
    bench.open(slide_path)
    prediction = bench.classify("breast-malignancy")
    view = bench.show_panel(Panel.GALLERY)
    order = np.argsort(-prediction.attention[:, 0], kind="stable")
    shown = [view.list.item(k).data(Qt.ItemDataRole.UserRole) for k in range(view.list.count())]
    assert shown == order[: len(shown)].tolist()
    bench.qtbot.mouseClick(
        view.list.viewport(), Qt.MouseButton.LeftButton, pos=centre_of(view.list, 1)
    )
    assert bench.state.selection.instances == (shown[1],)
    bench.qtbot.mouseClick(
        view.list.viewport(),
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.ControlModifier,
        centre_of(view.list, 2),
    )
    assert bench.state.selection.instances == (shown[1], shown[2])
    assert bench.inspect_tab.instance.title.text() == f"Tile {shown[2]} and 1 more"


def test_a_tile_that_is_selected_on_the_slide_is_marked_in_the_gallery(bench, slide_path):
    bench.open(slide_path)
    bench.classify("breast-malignancy")
    view = bench.show_panel(Panel.GALLERY)
    bench.workbench.inspection.step(1)
    bench.wait()
    (marked,) = view.list.selectedItems()
    assert marked.data(Qt.ItemDataRole.UserRole) == bench.state.selection.instance
    view.which_box.choose("nearest")
    bench.wait()
    first = view.list.item(0)
    assert first.data(Qt.ItemDataRole.UserRole) == bench.state.selection.instance
    assert first.text() == "selected"
    assert view.list.item(1).text().endswith("alike")


def test_the_gallery_is_saved_as_one_picture(bench, slide_path, tmp_path, monkeypatch):
    bench.open(slide_path)
    bench.classify("breast-malignancy")
    view = bench.show_panel(Panel.GALLERY)
    target = tmp_path / "gallery.png"
    monkeypatch.setattr(
        bench.workbench.gallery, "_ask_for_picture", lambda name: tmp_path / "gallery.png"
    )
    bench.qtbot.mouseClick(view.save_button, Qt.MouseButton.LeftButton)
    bench.wait()
    with Image.open(target) as sheet:
        assert sheet.width > 800
    assert str(target) in bench.notices[0]


def test_a_panel_that_was_closed_opens_again(bench, slide_path):
    bench.open(slide_path)
    bench.classify("breast-malignancy")
    view = bench.show_panel(Panel.GALLERY)
    view.parent().close()
    bench.wait_until(lambda: Panel.GALLERY not in bench.state.panels)
    again = bench.show_panel(Panel.GALLERY)
    assert again.list.count() > 0


def test_a_branch_of_the_tree_selects_the_same_tiles_on_the_slide(bench, slide_path):
    bench.open(slide_path)
    prediction = bench.classify("breast-malignancy")
    view = bench.show_panel(Panel.TREE)
    assert view.plot.isVisible()
    bench.qtbot.mouseClick(view.colour_box, Qt.MouseButton.LeftButton)
    view.cluster_slider.setValue(5)
    bench.wait()
    (overlay,) = bench.overlays
    assert overlay.name.startswith("clusters")
    cluster = view.plot._drawing.clusters[2]
    box = view.plot.getPlotItem().vb
    point = box.mapViewToScene(QPointF(cluster.middle, cluster.height / 2)).toPoint()
    bench.qtbot.mouseClick(view.plot.viewport(), Qt.MouseButton.LeftButton, pos=point)
    selected = bench.state.selection.instances
    assert len(selected) == cluster.size
    bench.wait()
    assert f"Tree: cluster {cluster.name} of 5 (Ward)" in bench.inspect_tab.instance.rows.text()
    tree = bench.state.shown_answer.trees["ward"]
    assert len(set(tree.cut(5)[list(selected)])) == 1
    view.merge_slider.setValue(prediction.n_instances // 2)
    bench.wait()
    assert bench.state.merged == prediction.n_instances // 2
    (overlay,) = bench.overlays
    assert overlay.name.startswith("clusters")
