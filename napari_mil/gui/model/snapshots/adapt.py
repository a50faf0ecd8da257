"""What the Train tab shows of adapting the encoder."""

from __future__ import annotations

from dataclasses import dataclass

from napari_mil.encoders.cards import DEFAULT_ENCODER
from napari_mil.gui.model.adapting import Adapting
from napari_mil.gui.model.session import SessionState
from napari_mil.gui.model.training import Phase
from napari_mil.gui.model.words import time_left
from napari_mil.training.cohorts.cohort import FEATURES

BUTTONS = {
    Phase.IDLE: "Adapt the encoder to these slides",
    Phase.RUNNING: "Cancel adapting",
    Phase.STOPPING: "Stopping…",
    Phase.INTERRUPTED: "Go on adapting the encoder",
    Phase.DONE: "Adapt the encoder to these slides again",
}
ABOUT = (
    f"Lets {DEFAULT_ENCODER} learn from tiles of these slides, without their labels, and says on "
    "held-out slides whether that helped. It takes minutes; the encoder can then be chosen above."
)
TRAINING_RUNS = "Training runs; wait for it, or cancel it."
ONLY_FEATURES = "The files hold features already; an encoder is adapted to slides or images."
SHOWN_REMARKS = 2
"""Remarks of the run that are shown, the last ones."""


@dataclass(frozen=True)
class AdaptSnapshot:
    """The button that adapts the encoder, and what came of it."""

    visible: bool = False
    phase: Phase = Phase.IDLE
    button: str = ""
    can_press: bool = True
    tip: str = ""
    """What the button does, or why it cannot."""
    progress: str = ""
    done: int = 0
    total: int = 0
    message: str = ""
    cautions: bool = False


def adapt_snapshot(state: SessionState) -> AdaptSnapshot:
    """Return what the Train tab shows of adapting the encoder."""
    adapting = state.adapting
    training = state.training
    busy = adapting.phase.is_busy
    visible = busy or (training.is_trainable and training.phase is Phase.IDLE)
    reason = ""
    if not busy and training.phase.is_busy:
        reason = TRAINING_RUNS
    elif not busy and training.cohort is not None and training.cohort.kinds == (FEATURES,):
        reason = ONLY_FEATURES
    return AdaptSnapshot(
        visible=visible,
        phase=adapting.phase,
        button=BUTTONS[adapting.phase],
        can_press=adapting.phase is not Phase.STOPPING and not reason,
        tip=reason or ("" if busy else ABOUT),
        progress=_progress(adapting),
        done=adapting.done,
        total=adapting.total,
        message="\n".join(filter(None, (*adapting.remarks[-SHOWN_REMARKS:], adapting.message))),
        cautions=adapting.cautions,
    )


def _progress(adapting: Adapting) -> str:
    """Return how far it is, in one line."""
    if not adapting.phase.is_busy:
        return ""
    if not adapting.what:
        return f"Adapting {adapting.name}…"
    left = time_left(adapting.eta)
    if adapting.what == "epochs":
        number = min(adapting.done + 1, adapting.total)
        loss = "" if adapting.loss is None else f" · loss {adapting.loss:.3g}"
        return f"Learning: epoch {number} of {adapting.total}{loss}"
    unit = adapting.what.rstrip("s")
    number = min(adapting.done + 1, adapting.total)
    return f"Reading: {unit} {number} of {adapting.total}{left or '…'}"
