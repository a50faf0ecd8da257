"""Small widgets that several tabs use."""

import pytest
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import QApplication, QLabel, QSlider, QSpinBox, QWidget

from napari_mil.exports.glyphs import Glyph
from napari_mil.gui.model.snapshots.choices import Choice, Choices
from napari_mil.gui.views.colours import DARK, LIGHT
from napari_mil.gui.views.widgets import (
    LONGEST_TEXT,
    ChoiceBox,
    GroupLegend,
    ProbabilityBar,
    Swatch,
    column,
    elided,
    elided_middle,
    scrolling,
    secondary,
    set_words,
)

CHOICES = Choices((Choice("a", "first"), Choice("b", "second"), Choice("c", "third", "Why.")), "a")


@pytest.fixture
def box(qtbot):
    made = ChoiceBox("method")
    qtbot.addWidget(made)
    made.told = []
    made.chosen.connect(made.told.append)
    made.render(CHOICES)
    return made


def turn_wheel(widget):
    """Turn the wheel over a widget; who ignores it passes it on to its parent, as Qt does."""
    while widget is not None and not send_wheel(widget):
        widget = widget.parentWidget()


def send_wheel(widget):
    middle = QPointF(widget.rect().center())
    event = QWheelEvent(
        middle,
        QPointF(widget.mapToGlobal(widget.rect().center())),
        QPoint(),
        QPoint(0, -120),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(widget, event)
    return event.isAccepted()


def test_a_box_shows_its_choices_without_telling_them(box):
    assert box.currentText() == "first"
    box.render(Choices(CHOICES.entries, "b"))
    assert box.currentText() == "second"
    assert box.key == "b"
    box.render(Choices(CHOICES.entries[:1], "a"))
    assert box.told == []


def test_a_choice_is_told_by_its_key(box):
    box.choose("b")
    assert box.told == ["b"]


def test_a_key_that_is_not_offered_shows_nothing_as_chosen(box):
    box.render(Choices(CHOICES.entries, "gone"))
    assert box.currentIndex() == -1
    assert box.told == []


def test_a_disabled_entry_carries_its_reason(box):
    assert box.itemData(2, Qt.ItemDataRole.ToolTipRole) == "third: Why."
    assert not box.model().item(2).isEnabled()
    assert box.itemData(0, Qt.ItemDataRole.ToolTipRole) == "first"
    assert box.keys() == ["a", "b"]


def test_a_disabled_box_carries_its_reason(box):
    box.render(Choices(CHOICES.entries, "a", "Not now."))
    assert not box.isEnabled()
    assert box.toolTip() == "Not now."
    box.render(CHOICES)
    assert box.isEnabled()
    assert box.toolTip() == ""


def test_a_choice_that_was_refused_is_shown_as_it_was(box):
    box.choose("b")
    box.render(CHOICES)
    assert box.currentText() == "first"


def test_a_long_entry_is_elided_in_the_middle_and_whole_in_its_tooltip(box):
    name = "TCGA-3C-AALI-01Z-00-DX1.F6E9A5DF-D8FB-45CF-B4BD-C6B76294C291.svs"
    box.render(Choices((Choice("x", name),), "x"))
    assert len(box.currentText()) <= LONGEST_TEXT
    assert box.currentText().startswith("TCGA-3C")
    assert box.currentText().endswith("C291.svs")
    assert box.itemData(0, Qt.ItemDataRole.ToolTipRole) == name


@pytest.mark.parametrize("n", [0, LONGEST_TEXT - 1, LONGEST_TEXT])
def test_a_text_that_fits_is_whole(n):
    assert elided_middle("x" * n) == "x" * n


def test_a_box_does_not_grow_with_its_texts(qtbot, box):
    before = box.sizeHint().width()
    box.render(Choices((Choice("x", "a much longer text than all the others"),), "x"))
    assert box.sizeHint().width() == before


@pytest.fixture
def area(qtbot):
    content = QWidget()
    number = QSpinBox()
    number.setValue(50)
    slider = QSlider(Qt.Orientation.Horizontal)
    slider.setValue(50)
    choice = ChoiceBox("choice")
    choice.render(CHOICES)
    filler = QWidget()
    filler.setMinimumHeight(2000)
    content.setLayout(column(number, slider, choice, filler))
    made = scrolling(content)
    qtbot.addWidget(made)
    made.resize(200, 200)
    made.show()
    qtbot.waitExposed(made)
    made.boxes = {"number": number, "slider": slider, "choice": choice}
    return made


@pytest.mark.parametrize("name", ["number", "slider", "choice"])
def test_the_wheel_over_a_box_without_focus_scrolls(area, name):
    box = area.boxes[name]
    area.setFocus()
    box.clearFocus()
    before = box.currentIndex() if name == "choice" else box.value()
    turn_wheel(box)
    assert (box.currentIndex() if name == "choice" else box.value()) == before
    assert area.verticalScrollBar().value() > 0


def test_the_wheel_over_a_box_with_focus_changes_it(area, qtbot):
    box = area.boxes["number"]
    area.activateWindow()
    box.setFocus()
    qtbot.waitUntil(box.hasFocus)
    turn_wheel(box)
    assert box.value() == 49
    assert area.verticalScrollBar().value() == 0


def test_words_are_seen_while_there_are_any(qtbot):
    label = QLabel()
    qtbot.addWidget(label)
    set_words(label, "something")
    assert label.isVisible()
    assert label.text() == "something"
    set_words(label, "")
    assert not label.isVisible()


def test_an_elided_line_has_the_whole_in_its_tooltip(qtbot):
    label = elided("x" * 500)
    qtbot.addWidget(label)
    assert label.toolTip() == "x" * 500
    assert label.minimumSizeHint().width() < 200


def test_a_legend_shows_groups_with_their_numbers_and_hides_without(qtbot):
    legend = GroupLegend()
    qtbot.addWidget(legend)
    legend.render([("1", Glyph("#4477AA"), 7), ("2", Glyph("#EE6677", "dots"), 5)])
    assert legend.isVisible()
    legend.render([("high", Glyph("#4477AA"), 3)])
    QApplication.processEvents()
    seen = [each for each in legend.findChildren(QLabel) if not each.isHidden()]
    assert [each.text() for each in seen] == ["high: 3"]
    legend.render([])
    assert not legend.isVisible()


def test_a_swatch_is_drawn_in_the_colour_of_its_group(qtbot):
    swatch = Swatch(Glyph("#ff0000"))
    qtbot.addWidget(swatch)
    swatch.resize(14, 14)
    colour = swatch.grab().toImage().pixelColor(7, 7)
    assert colour.red() > 150
    assert colour.red() > 1.5 * colour.blue()


@pytest.mark.parametrize("probability", [0.0, 0.5, 1.0])
def test_a_bar_is_filled_as_far_as_its_probability(qtbot, probability):
    bar = ProbabilityBar(probability, wins=True)
    qtbot.addWidget(bar)
    bar.resize(200, 10)
    image = bar.grab().toImage()
    scale = image.width() / 200
    row = [image.pixelColor(round(x * scale), round(5 * scale)) for x in range(5, 195)]
    where = [colour for colour in row if colour.green() > colour.red() + 60]
    assert len(where) == pytest.approx(190 * probability, abs=3)


def test_a_toned_text_follows_the_theme(qtbot):
    parent = QWidget()
    qtbot.addWidget(parent)
    label = secondary("facts")
    parent.setLayout(column(label))
    parent.show()
    parent.setStyleSheet("QWidget { background: black; color: white; }")
    assert DARK.secondary in label.styleSheet()
    parent.setStyleSheet("QWidget { background: white; color: black; }")
    assert LIGHT.secondary in label.styleSheet()
