"""State of adapting the encoder to the slides of the Train tab."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from napari_mil.gui.model.training import Phase


@dataclass(frozen=True)
class Adapting:
    """The user's adapted encoders, and the one that is being made."""

    encoders: tuple[str, ...] = ()
    """Names of those that can be chosen."""
    phase: Phase = Phase.IDLE
    """What the button stands for; it is never paused."""
    name: str = ""
    """Encoder that is being made, or was last."""
    what: str = ""
    """Units that are counted: slides, tiles or epochs."""
    done: int = 0
    total: int = 0
    eta: float | None = None
    loss: float | None = None
    """Loss of the last epoch."""
    remarks: tuple[str, ...] = ()
    """Sentences that the run said."""
    message: str = ""
    cautions: bool = False
    """Whether the message says that something is wrong."""


# Actions


def set_encoders(adapting: Adapting, names: Sequence[str]) -> Adapting:
    """List the adapted encoders that can be chosen."""
    return replace(adapting, encoders=tuple(names))


def set_unfinished(adapting: Adapting, name: str) -> Adapting:
    """Offer to go on with a run; of another folder's slides nothing is said any more."""
    phase = Phase.INTERRUPTED if name else Phase.IDLE
    return Adapting(adapting.encoders, phase, name)


def begin(adapting: Adapting, name: str) -> Adapting:
    """Begin to make an encoder, or go on with it."""
    return Adapting(adapting.encoders, Phase.RUNNING, name)


def count(
    adapting: Adapting, what: str, done: int, total: int, eta: float | None = None
) -> Adapting:
    """Say how far it is."""
    return replace(adapting, what=what, done=done, total=total, eta=eta)


def add_epoch(adapting: Adapting, epoch: int, loss: float | None) -> Adapting:
    """Count an epoch with its loss."""
    return replace(adapting, done=epoch, loss=loss, eta=None)


def add_remark(adapting: Adapting, remark: str) -> Adapting:
    """Add a sentence that the run said."""
    return replace(adapting, remarks=(*adapting.remarks, remark))


def stop(adapting: Adapting) -> Adapting:
    """Wait for the run to end."""
    return replace(adapting, phase=Phase.STOPPING)


def end(adapting: Adapting, phase: Phase, message: str, *, cautions: bool = False) -> Adapting:
    """Say what came of it, and what can be done now."""
    return replace(adapting, phase=phase, message=message, cautions=cautions)
