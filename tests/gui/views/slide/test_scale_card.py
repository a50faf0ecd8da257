"""The card of the scale: what is entered, for which slides."""

import pytest

from napari_mil.gui.model.scales import ScaleScope
from napari_mil.gui.model.snapshots.choices import Choice, Choices
from napari_mil.gui.model.snapshots.slide import SlideSnapshot
from napari_mil.gui.views.slide.scale_card import ScaleCard

FILE = Choice(ScaleScope.FILE, "this file")
SCANNER = Choice(ScaleScope.SCANNER, "this scanner")
UNKNOWN_SCANNER = Choice(ScaleScope.SCANNER, "this scanner", "The file does not name it.")


@pytest.fixture
def card(qtbot):
    made = ScaleCard()
    qtbot.addWidget(made)
    made.show()
    made.told = []
    made.mpp_entered.connect(lambda *args: made.told.append(args))
    made.own_scale_requested.connect(lambda: made.told.append("own"))
    return made


def of_slide(**fields):
    facts = {"has_scale": True, "mpp": 0.5, "scopes": (FILE, SCANNER)}
    return SlideSnapshot(Choices(), **{**facts, **fields})


def test_a_scale_is_told_once_it_is_another_and_applied(card):
    card.render(of_slide())
    assert not card.apply_button.isEnabled()
    card.field.setValue(0.25)
    assert card.told == []
    card.apply_button.click()
    assert card.told == [(0.25, ScaleScope.FILE)]


def test_the_same_scale_can_be_given_to_all_slides_of_the_scanner(card):
    card.render(of_slide())
    card.scope_box.choose(ScaleScope.SCANNER)
    card.apply_button.click()
    assert card.told == [(0.5, ScaleScope.SCANNER)]


def test_a_scanner_that_the_file_does_not_name_cannot_be_chosen(card):
    card.render(of_slide())
    card.scope_box.choose(ScaleScope.SCANNER)
    card.render(of_slide(scopes=(FILE, UNKNOWN_SCANNER)))
    assert card.scope_box.keys() == [ScaleScope.FILE]
    card.field.setValue(0.25)
    card.apply_button.click()
    assert card.told == [(0.25, ScaleScope.FILE)]


def test_an_entered_scale_can_be_forgotten(card):
    card.render(of_slide())
    assert not card.own_button.isVisible()
    card.render(of_slide(is_entered=True))
    card.own_button.click()
    assert card.told == ["own"]


def test_what_is_being_entered_survives_other_changes(card):
    card.render(of_slide())
    card.field.setValue(0.3)
    card.render(of_slide(detects_tissue=True))
    assert card.field.value() == 0.3


def test_a_scale_that_cannot_be_is_not_applied_and_says_what_can(card):
    card.render(of_slide(mpp=None, mpp_origin="The file does not say."))
    assert card.field.text() == "unknown"
    assert card.origin.text() == "The file does not say."
    card.field.setValue(0.0001)
    assert not card.apply_button.isEnabled()
    assert "lies between" in card.apply_button.toolTip()
