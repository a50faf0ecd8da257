"""The button that adapts the encoder, by what it stands for."""

import pytest

from napari_mil.gui.model.snapshots.adapt import BUTTONS, AdaptSnapshot
from napari_mil.gui.model.training import Phase
from napari_mil.gui.views.train.adapt_view import AdaptView


@pytest.fixture
def view(qtbot):
    made = AdaptView()
    qtbot.addWidget(made)
    made.show()
    return made


def show(view, phase, **fields):
    view.render(AdaptSnapshot(visible=True, phase=phase, button=BUTTONS[phase], **fields))


@pytest.mark.parametrize(
    ("phase", "signal"),
    [
        (Phase.IDLE, "start_requested"),
        (Phase.RUNNING, "cancel_requested"),
        (Phase.INTERRUPTED, "resume_requested"),
        (Phase.DONE, "start_requested"),
    ],
)
def test_the_button_tells_what_it_stands_for(view, qtbot, phase, signal):
    show(view, phase)
    assert view.button.text() == BUTTONS[phase]
    with qtbot.waitSignal(getattr(view, signal), timeout=1000):
        view.button.click()


def test_progress_is_seen_while_it_runs_alone(view):
    show(view, Phase.RUNNING, progress="Learning: epoch 2 of 4", done=1, total=4)
    assert view.bar.isVisible()
    assert (view.bar.value(), view.bar.maximum()) == (1, 4)
    assert view.progress_text.text() == "Learning: epoch 2 of 4"
    show(view, Phase.DONE, message="It helped.")
    assert not view.bar.isVisible()
    assert not view.progress_text.isVisible()
    assert view.message.text() == "It helped."


def test_a_button_that_cannot_be_pressed_says_why(view):
    show(view, Phase.IDLE, can_press=False, tip="Training runs.")
    assert not view.button.isEnabled()
    assert view.button.toolTip() == "Training runs."
    view.render(AdaptSnapshot())
    assert not view.isVisible()
