"""The Classify tab: what can be chosen, how far it is, what came out."""

from dataclasses import replace

import pytest

from napari_mil.gui.model.snapshots.choices import Choice, Choices
from napari_mil.gui.model.snapshots.classify import CardSnapshot, ClassifySnapshot
from napari_mil.gui.model.subjects import TissueChoice
from napari_mil.gui.views.classify_tab import ClassifyTab

SIGNALS = (
    "open_requested",
    "classify_requested",
    "cancel_requested",
    "subject_chosen",
    "classifier_chosen",
    "tissue_chosen",
    "tiles_chosen",
    "device_chosen",
    "about_requested",
)
REASON = "It takes folders of images, not slides."
READY = ClassifySnapshot(
    subjects=Choices((Choice(1, "a.svs"), Choice(2, "b.svs")), 1),
    classifiers=Choices(
        (Choice("malignancy", "malignancy"), Choice("grade", "grade"), Choice("p", "p", REASON)),
        "malignancy",
    ),
    classifier_line="Normal or tumour. Tiles of 256 px.",
    tissue=Choices((Choice(TissueChoice.DETECT, "Detect"), Choice(TissueChoice.WHOLE, "Whole"))),
    tiles=Choices((Choice("scale", "by scale"), Choice(0, "level 0")), "scale"),
    devices=Choices((Choice("auto", "Auto"), Choice("cpu", "CPU")), "auto"),
)
RUNNING = replace(READY, running=True, done=3, total=12, progress="3 of 12 tiles")
CARD = CardSnapshot(
    "tumour", "a.svs · malignancy", "malignancy", (("tumour", 0.8, True),), "", (), "Out of date."
)


@pytest.fixture
def tab(qtbot):
    made = ClassifyTab()
    qtbot.addWidget(made)
    made.show()
    made.told = []
    for name in SIGNALS:
        getattr(made, name).connect(lambda *args, name=name: made.told.append((name, *args)))
    return made


def test_rendering_tells_nothing(tab):
    for snapshot in (READY, RUNNING, replace(READY, card=CARD, message="Cancelled.")):
        tab.render(snapshot)
    assert tab.told == []


def test_choices_are_told_by_their_keys(tab):
    tab.render(READY)
    tab.subject_box.choose(2)
    tab.classifier_box.choose("grade")
    tab.tissue_box.choose(TissueChoice.WHOLE)
    tab.tiles_box.choose(0)
    tab.device_box.choose("cpu")
    tab.open_button.click()
    assert tab.told == [
        ("subject_chosen", 2),
        ("classifier_chosen", "grade"),
        ("tissue_chosen", TissueChoice.WHOLE),
        ("tiles_chosen", 0),
        ("device_chosen", "cpu"),
        ("open_requested",),
    ]


def test_a_classifier_that_does_not_fit_says_why_and_cannot_be_chosen(tab):
    from qtpy.QtCore import Qt

    tab.render(READY)
    box = tab.classifier_box
    assert box.keys() == ["malignancy", "grade"]
    assert not box.model().item(2).isEnabled()
    assert REASON in box.itemData(2, Qt.ItemDataRole.ToolTipRole)


def test_the_button_is_the_way_in_and_the_way_out(tab):
    tab.render(READY)
    assert tab.button.text() == "Classify"
    assert not tab.bar.isVisible()
    tab.button.click()
    tab.render(RUNNING)
    assert tab.button.text() == "Cancel"
    tab.button.click()
    tab.render(replace(RUNNING, cancelling=True))
    assert tab.button.text() == "Cancelling…"
    tab.button.click()
    assert tab.told == [("classify_requested",), ("cancel_requested",)]


def test_how_far_it_is_is_seen_as_a_bar_and_in_words(tab):
    tab.render(RUNNING)
    assert tab.bar.isVisible()
    assert (tab.bar.maximum(), tab.bar.value()) == (12, 3)
    assert tab.progress_text.text() == "3 of 12 tiles"
    tab.render(replace(RUNNING, done=0, total=0, progress="Looking for tissue…"))
    assert (tab.bar.minimum(), tab.bar.maximum()) == (0, 0), "it moves while nothing is counted"
    tab.render(READY)
    assert not tab.bar.isVisible()
    assert not tab.progress_text.isVisible()


def test_where_nothing_can_be_classified_the_button_says_why(tab):
    tab.render(replace(READY, reason=REASON))
    assert not tab.button.isEnabled()
    assert tab.button.toolTip() == REASON
    tab.render(READY)
    assert tab.button.isEnabled()
    assert tab.button.toolTip() == "Alt+R"


def test_why_the_last_run_came_to_nothing_is_seen_until_the_next(tab):
    tab.render(replace(READY, message="Cancelled."))
    assert tab.message.isVisible()
    assert tab.message.text() == "Cancelled."
    tab.render(RUNNING)
    assert not tab.message.isVisible()


def test_an_answer_that_is_out_of_date_can_be_renewed(tab):
    tab.render(replace(READY, card=CARD))
    assert tab.card.isVisible()
    tab.card.renew_button.click()
    assert tab.told == [("classify_requested",)]
    tab.render(RUNNING)
    assert not tab.card.isVisible()
