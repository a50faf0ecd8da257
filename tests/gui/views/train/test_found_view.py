"""What a person sees of a folder, and what the buttons ask for."""

import pytest

from napari_mil.gui.model.snapshots.train import BUSY, EMPTY, FoundSnapshot
from napari_mil.gui.views.train.found_view import FoundView


@pytest.fixture
def view(qtbot):
    made = FoundView()
    qtbot.addWidget(made)
    made.show()
    return made


def test_before_a_folder_is_chosen_it_says_what_can_be(view):
    view.render(FoundSnapshot(), "")
    assert view.classes.text() == EMPTY
    for widget in (view.facts, view.remark, view.patients, view.pattern_button, view.looking):
        assert not widget.isVisible()
    assert not view.details_button.isVisible()


def test_what_was_found_is_seen_in_lines(view):
    view.render(
        FoundSnapshot(
            facts="bags: 20 bags · 1 skipped",
            classes="feature files · benign 10",
            remark="Skipped: broken.npy.",
            has_details=True,
            patients="Patients unknown.",
        ),
        "",
    )
    seen = [view.facts, view.classes, view.remark, view.patients]
    assert [label.text() for label in seen if label.isVisible()] == [
        "bags: 20 bags · 1 skipped",
        "feature files · benign 10",
        "Skipped: broken.npy.",
        "Patients unknown.",
    ]
    assert view.details_button.isVisible()


def test_while_training_runs_no_other_folder_can_be_chosen(view):
    buttons = (view.folder_button, view.table_button, view.run_button)
    view.render(FoundSnapshot(), BUSY)
    assert not any(button.isEnabled() for button in buttons)
    assert {button.toolTip() for button in buttons} == {BUSY}
    view.render(FoundSnapshot(), "")
    assert all(button.isEnabled() for button in buttons)


@pytest.mark.parametrize(
    ("button", "signal"),
    [
        ("folder_button", "folder_requested"),
        ("table_button", "table_requested"),
        ("run_button", "run_requested"),
        ("details_button", "details_requested"),
        ("stop_button", "cancel_requested"),
    ],
)
def test_every_button_tells_what_it_stands_for(view, qtbot, button, signal):
    view.render(FoundSnapshot(has_details=True, looking="Looking at bags…"), "")
    assert getattr(view, button).isVisible()
    with qtbot.waitSignal(getattr(view, signal), timeout=1000):
        getattr(view, button).click()


def test_the_pattern_that_is_offered_is_the_one_that_is_taken(view, qtbot):
    view.render(FoundSnapshot(patients="Two parts.", pattern="[^_]+(?=_)"), "")
    assert view.pattern_button.isVisible()
    assert "[^_]+(?=_)" in view.pattern_button.toolTip()
    with qtbot.waitSignal(view.pattern_accepted, timeout=1000) as told:
        view.pattern_button.click()
    assert told.args == ["[^_]+(?=_)"]


def test_while_a_folder_is_looked_at_it_can_be_stopped(view):
    view.render(FoundSnapshot(looking="Looking at bags: bag 3 of 20…"), "")
    assert view.looking.isVisible()
    assert view.looking.text() == "Looking at bags: bag 3 of 20…"
    assert view.stop_button.isVisible()
    view.render(FoundSnapshot(), "")
    assert not view.stop_button.isVisible()
