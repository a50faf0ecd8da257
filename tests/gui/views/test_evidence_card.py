import pytest

from napari_mil.gui.model.snapshots.inspect import EvidenceSnapshot
from napari_mil.gui.views.evidence_card import EvidenceCard


@pytest.fixture
def view(qtbot):
    made = EvidenceCard()
    qtbot.addWidget(made)
    return made


def test_before_it_is_asked_there_is_one_button(view):
    view.render(EvidenceSnapshot(visible=True))
    assert not view.ask_button.isHidden()
    assert view.select_button.isHidden()
    assert not view.drop_button.isEnabled()


def test_why_it_cannot_be_asked_stands_in_the_tooltip(view):
    view.render(EvidenceSnapshot(visible=True, ask="Classify again."))
    assert not view.ask_button.isEnabled()
    assert view.ask_button.toolTip() == "Classify again."


def test_what_was_found_and_what_becomes_of_the_answer_are_shown(view, qtbot):
    view.render(
        EvidenceSnapshot(
            visible=True,
            is_asked=True,
            sufficient="2 tiles of 6 give the same answer: tumour.",
            what_if="Without 1 of 6 tiles: tumour 0.90 → 0.20",
            can_change=True,
            can_undo=True,
        )
    )
    assert view.ask_button.isHidden()
    assert view.sufficient.text().startswith("2 tiles")
    assert view.undo_button.isEnabled()
    assert not view.redo_button.isEnabled()
    with qtbot.waitSignal(view.drop_requested):
        view.drop_button.click()
