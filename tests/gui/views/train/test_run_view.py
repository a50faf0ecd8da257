"""The buttons of a run, by what they stand for, and what is said of it."""

import pytest

from napari_mil.gui.model.snapshots.train import BUTTONS, RunSnapshot
from napari_mil.gui.model.training import Phase
from napari_mil.gui.views.train.run_view import RunView


@pytest.fixture
def view(qtbot):
    made = RunView()
    qtbot.addWidget(made)
    made.show()
    return made


def show(view, phase, **fields):
    view.render(RunSnapshot(phase=phase, button=BUTTONS[phase], **fields))


@pytest.fixture
def no_double_clicks(monkeypatch):
    monkeypatch.setattr(
        "napari_mil.gui.views.train.run_view.QApplication.doubleClickInterval", lambda: 0
    )


@pytest.mark.parametrize(
    ("phase", "signal"),
    [
        (Phase.IDLE, "start_requested"),
        (Phase.RUNNING, "pause_requested"),
        (Phase.PAUSED, "go_on_requested"),
        (Phase.INTERRUPTED, "resume_requested"),
        (Phase.DONE, "setup_requested"),
    ],
)
def test_the_first_button_tells_what_it_stands_for(view, qtbot, no_double_clicks, phase, signal):
    show(view, phase)
    assert view.button.text() == BUTTONS[phase]
    with qtbot.waitSignal(getattr(view, signal), timeout=1000):
        view.button.click()


@pytest.mark.parametrize(
    ("phase", "signal"),
    [
        (Phase.RUNNING, "cancel_requested"),
        (Phase.PAUSED, "cancel_requested"),
        (Phase.INTERRUPTED, "setup_requested"),
        (Phase.DONE, "evaluate_requested"),
    ],
)
def test_the_second_button_tells_what_it_stands_for(view, qtbot, phase, signal):
    show(view, phase, second="Second", second_tip="why")
    assert view.cancel_button.text() == "Second"
    assert view.cancel_button.toolTip() == "why"
    with qtbot.waitSignal(getattr(view, signal), timeout=1000):
        view.cancel_button.click()


def test_a_double_click_on_start_does_not_pause(view, qtbot):
    show(view, Phase.IDLE)
    view.start_requested.connect(lambda: show(view, Phase.RUNNING))
    with qtbot.assertNotEmitted(view.pause_requested):
        view.button.click()
        view.button.click()
    assert view.phase is Phase.RUNNING


def test_a_run_that_stops_cannot_be_pressed(view, qtbot):
    show(view, Phase.STOPPING, can_press=False, second="Cancel")
    assert not view.button.isEnabled()
    assert not view.cancel_button.isEnabled()
    with qtbot.assertNotEmitted(view.cancel_requested):
        view.press()
        view.cancel_button.click()


def test_a_key_presses_only_a_button_that_is_seen(view, qtbot):
    view.render(RunSnapshot())
    assert not view.button.isVisible()
    with qtbot.assertNotEmitted(view.start_requested):
        view.press()
    show(view, Phase.IDLE)
    with qtbot.waitSignal(view.start_requested, timeout=1000):
        view.press()


def test_progress_is_seen_while_it_runs_and_not_after(view):
    show(view, Phase.RUNNING, progress="Epoch 2 of 5", done=2, total=5, has_curves=True)
    assert view.bar.isVisible()
    assert (view.bar.value(), view.bar.maximum()) == (2, 5)
    assert view.progress_text.text() == "Epoch 2 of 5"
    assert view.curves_button.isVisible()
    show(view, Phase.DONE)
    assert not view.bar.isVisible()
    assert not view.progress_text.isVisible()
    assert not view.curves_button.isVisible()


def test_before_anything_is_counted_the_bar_only_moves(view):
    show(view, Phase.RUNNING, progress="Starting…")
    assert (view.bar.minimum(), view.bar.maximum()) == (0, 0)


def test_a_message_has_the_tone_of_what_it_says_and_goes_when_it_is_over(view):
    show(view, Phase.IDLE, message="Learning rate is a number above 0, not 'abc'.")
    assert view.message.isVisible()
    assert view.message.tone == "caution"
    show(view, Phase.DONE, message="Cancelled.", cautions=False)
    assert view.message.tone == "secondary"
    show(view, Phase.IDLE)
    assert not view.message.isVisible()


@pytest.mark.parametrize(
    ("button", "signal"),
    [("curves_button", "curves_requested"), ("details_button", "details_requested")],
)
def test_curves_and_details_can_be_asked_for(view, qtbot, button, signal):
    show(view, Phase.RUNNING, has_curves=True, has_details=True)
    assert getattr(view, button).isVisible()
    with qtbot.waitSignal(getattr(view, signal), timeout=1000):
        getattr(view, button).click()


def test_what_runs_is_said_where_the_form_made_room(view):
    show(view, Phase.RUNNING, summary="gated-abmil · 5 epochs")
    assert view.summary.text() == "gated-abmil · 5 epochs"
    assert view.summary.isVisible()
    show(view, Phase.IDLE)
    assert not view.summary.isVisible()
