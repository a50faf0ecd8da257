"""The card of drawn shapes."""

from napari_mil.gui.model.snapshots.choices import Choice, Choices
from napari_mil.gui.model.snapshots.train import RegionsSnapshot
from napari_mil.gui.views.train.regions_view import RegionsView

CLASSES = Choices((Choice("left", "left"), Choice("right", "right")), "right")


def test_shapes_can_be_kept_as_a_class_while_a_run_is_set_up(qtbot):
    view = RegionsView()
    qtbot.addWidget(view)
    view.show()
    view.render(RegionsSnapshot(visible=True, line="Shapes over region.", classes=CLASSES))
    assert view.isVisible()
    assert view.line.text() == "Shapes over region."
    assert view.class_box.currentText() == "right"
    with qtbot.waitSignal(view.class_chosen, timeout=1000) as told:
        view.class_box.choose("left")
    assert told.args == ["left"]
    with qtbot.waitSignal(view.keep_requested, timeout=1000):
        view.button.click()
    view.render(RegionsSnapshot())
    assert not view.isVisible()
