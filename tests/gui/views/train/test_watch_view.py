"""The watched bag: which one, which epoch, what its model said."""

import pytest
from qtpy.QtCore import Qt

from napari_mil.exports.glyphs import MASK_GLYPHS
from napari_mil.gui.model.snapshots.choices import Choice, Choices
from napari_mil.gui.model.snapshots.train import BUSY, WatchSnapshot
from napari_mil.gui.views.train.watch_view import WatchView

BAGS = Choices((Choice("", "none"), Choice("a.tiff", "a.tiff (left)")), "")


@pytest.fixture
def view(qtbot):
    made = WatchView()
    qtbot.addWidget(made)
    made.show()
    return made


def watching(**fields):
    return WatchSnapshot(visible=True, bags=BAGS, **fields)


def test_without_slides_there_is_nothing_to_watch(view):
    view.render(WatchSnapshot())
    assert not view.isVisible()
    view.render(watching())
    assert view.isVisible()


def test_a_bag_is_told_by_its_path(view, qtbot):
    view.render(watching())
    with qtbot.waitSignal(view.bag_chosen, timeout=1000) as told:
        view.bag_box.choose("a.tiff")
    assert told.args == ["a.tiff"]


def test_while_it_runs_no_other_bag_can_be_chosen(view):
    view.render(WatchSnapshot(visible=True, bags=Choices(BAGS.entries, "a.tiff", BUSY)))
    assert not view.bag_box.isEnabled()
    assert view.bag_box.toolTip() == BUSY


def test_before_the_first_epoch_the_slider_stands_still(view):
    view.render(watching(facts="Its overlay comes with the first epoch."))
    assert not view.epoch_slider.isEnabled()
    assert view.epoch_label.text() == "–"
    assert view.facts.text() == "Its overlay comes with the first epoch."


def test_the_slider_follows_the_training_without_telling_it(view, qtbot):
    with qtbot.assertNotEmitted(view.epoch_chosen):
        view.render(watching(first=3, last=9, shown=9))
    slider = view.epoch_slider
    assert (slider.minimum(), slider.maximum(), slider.value()) == (3, 9, 9)
    assert view.epoch_label.text() == "9"
    with qtbot.waitSignal(view.epoch_chosen, timeout=1000) as told:
        slider.setValue(4)
    assert told.args == [4]


def test_steps_go_to_the_epoch_before_and_after_and_not_beyond(view):
    told = []
    view.epoch_chosen.connect(told.append)
    view.render(watching(first=1, last=3, shown=2))
    view.step(-1)
    view.step(1)
    view.step(1)
    view.step(1)
    assert told == [1, 2, 3]
    view.render(watching())
    view.step(-1)
    assert told == [1, 2, 3]


def test_masked_tiles_are_told_apart_in_a_legend(view):
    masks = (("high", MASK_GLYPHS["high"], 2),)
    view.render(watching(first=1, last=2, shown=1, masks=masks))
    assert view.mask_legend.isVisible()
    view.render(watching(first=1, last=2, shown=1))
    assert not view.mask_legend.isVisible()


def test_epochs_are_played_one_after_the_other_from_the_first_again(view, qtbot):
    view._playing.setInterval(20)
    view.render(watching(first=2, last=5, shown=5))
    told = []
    view.epoch_chosen.connect(told.append)
    qtbot.mouseClick(view.play_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not view.play_button.isChecked())
    assert told == [2, 3, 4, 5]
    assert view.play_button.text() == "▸ Play"


def test_playing_stops_where_it_is_when_it_is_clicked_again(view, qtbot):
    view.render(watching(first=1, last=9, shown=3))
    told = []
    view.epoch_chosen.connect(told.append)
    qtbot.mouseClick(view.play_button, Qt.MouseButton.LeftButton)
    view._play_on()
    qtbot.mouseClick(view.play_button, Qt.MouseButton.LeftButton)
    assert not view._playing.isActive()
    assert told == [4]


def test_one_epoch_cannot_be_played(view):
    view.render(watching(first=1, last=1, shown=1))
    assert not view.play_button.isEnabled()
