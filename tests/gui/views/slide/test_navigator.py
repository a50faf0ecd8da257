"""The navigator follows the view and is dragged."""

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt

from napari_mil.gui.model.snapshots.navigator import NavigatorSnapshot, Preset
from napari_mil.gui.model.subjects import Place
from napari_mil.gui.views.slide.navigator import SMALLEST_MARK, Navigator

PIXELS = np.full((300, 400, 3), 200, np.uint8)


@pytest.fixture
def navigator(qtbot):
    made = Navigator()
    qtbot.addWidget(made)
    made.resize(380, 260)
    made.told = []
    for name in ("pointed", "magnification_chosen", "fit_requested"):
        getattr(made, name).connect(lambda *args, name=name: made.told.append((name, *args)))
    made.render(NavigatorSnapshot(PIXELS, 0.75, Place(0.25, 0.25, 0.5, 0.5), "10×"))
    made.show()
    return made


def test_it_is_hidden_with_nothing_open(navigator):
    navigator.render(NavigatorSnapshot())
    assert not navigator.isVisible()


def test_the_rectangle_covers_the_part_in_view(navigator):
    whole = navigator.thumbnail.picture_rectangle
    assert whole.height() == pytest.approx(0.75 * whole.width())
    mark = navigator.thumbnail.mark
    assert mark.center().x() == pytest.approx(whole.center().x(), abs=1)
    assert mark.width() == pytest.approx(whole.width() / 2)


def test_the_rectangle_is_seen_however_small_the_part_is(navigator):
    navigator.render(NavigatorSnapshot(PIXELS, 0.75, Place(0.5, 0.5, 1e-4, 1e-4)))
    assert navigator.thumbnail.mark.width() == SMALLEST_MARK


def test_a_drag_moves_the_view_and_stays_on_the_picture(navigator, qtbot):
    thumbnail = navigator.thumbnail
    whole = thumbnail.picture_rectangle
    corner = QPoint(int(whole.left()), int(whole.top()))
    qtbot.mouseClick(thumbnail, Qt.MouseButton.LeftButton, pos=whole.center().toPoint())
    assert navigator.told[0][1:] == pytest.approx((0.5, 0.5), abs=0.02)
    navigator.told.clear()
    qtbot.mouseClick(thumbnail, Qt.MouseButton.LeftButton, pos=corner - QPoint(5, 0))
    assert navigator.told[0][1] == 0
    navigator.told.clear()
    qtbot.mouseClick(thumbnail, Qt.MouseButton.RightButton, pos=corner)
    assert navigator.told == []


def test_arrow_keys_move_the_view_by_a_quarter_of_itself(navigator, qtbot):
    qtbot.keyClick(navigator.thumbnail, Qt.Key.Key_Right)
    assert navigator.told == [("pointed", 0.625, 0.5)]


def test_presets_are_told_and_say_why_they_cannot_be_chosen(navigator, qtbot):
    presets = (Preset(10.0), Preset(20.0, "No scale."))
    navigator.render(NavigatorSnapshot(PIXELS, 0.75, None, "", presets))
    ten, twenty = navigator.preset_buttons
    ten.click()
    twenty.click()
    navigator.fit_button.click()
    assert navigator.told == [("magnification_chosen", 10.0), ("fit_requested",)]
    assert twenty.toolTip() == "No scale."


def test_pixels_that_changed_in_their_array_are_drawn_anew(navigator):
    def middle():
        image = navigator.thumbnail.grab().toImage()
        return image.pixelColor(image.width() // 2, image.height() // 2).red()

    assert middle() == pytest.approx(200, abs=8)
    before = PIXELS.copy()
    PIXELS[:] = 90
    try:
        snapshot = NavigatorSnapshot(PIXELS, 0.75, Place(0.25, 0.25, 0.5, 0.5))
        navigator.render(snapshot)
        assert middle() == pytest.approx(200, abs=8)
        navigator.render(snapshot, anew=True)
        assert middle() == pytest.approx(90, abs=8)
    finally:
        PIXELS[:] = before
