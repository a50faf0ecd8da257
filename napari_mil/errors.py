"""Errors a user can meet.

Every message is one sentence that says what happened, to which file or value, and what to do.
The command line prints it after ``napari-mil: `` and exits with 2; the window shows it as a notification.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Remedy(StrEnum):
    """What a user can do about a fault; each face says it in words of its own."""

    GIVE_SCALE = "give its µm per pixel"
    TAKE_LEVEL = "take tiles of a level"
    SMALLER_TILES = "use smaller tiles"
    WHOLE_IMAGE = "use the whole image"
    DRAW_TISSUE = "draw its tissue"


class NapariMilError(Exception):
    """Base of every error whose message is written for the user."""

    def worded(self, words: Mapping[Remedy, str]) -> str:
        """Return the message with the remedies in the words of a face."""
        return str(self)


class RemediedError(NapariMilError):
    """Base of errors that know what the user can do.

    Parameters
    ----------
    problem
        What happened, to which file, without a full stop.
    *remedies
        What can be done, the best first.
    """

    def __init__(self, problem: str, *remedies: Remedy) -> None:
        super().__init__(problem, *remedies)
        self.problem = problem
        self.remedies = remedies

    def __str__(self) -> str:
        return self.worded({})

    def worded(self, words: Mapping[Remedy, str]) -> str:
        """See `NapariMilError`."""
        return f"{self.problem}; {', or '.join(words.get(way, str(way)) for way in self.remedies)}."


class UnreadableSlideError(NapariMilError):
    """Raised when a path holds no slide, or a slide whose pixels cannot be read."""


class MissingMppError(RemediedError):
    """Raised when tiles are asked for at a scale and the slide does not say its own."""


class ResolutionError(NapariMilError):
    """Raised when tiles are asked for at a scale that the slide does not hold."""


class NoTissueError(RemediedError):
    """Raised when no tile of the grid lies on tissue."""


class UnknownNameError(NapariMilError):
    """Raised when an encoder, an aggregator or a classifier of that name does not exist."""


class BagError(NapariMilError):
    """Raised when a bag is empty or of another shape than the aggregator takes."""


class CheckpointError(NapariMilError):
    """Raised when a checkpoint of another project cannot be opened, is not recognised or is not safe to open."""


class OptionError(NapariMilError):
    """Raised when an option does not exist, is out of range or contradicts another."""


class ClassifierError(NapariMilError):
    """Raised when a classifier bundle is damaged or does not fit what it is asked to classify."""


class AnnotationError(NapariMilError):
    """Raised when a file of annotated regions is damaged or of no known format, or cannot be written."""


class TrainingError(NapariMilError):
    """Raised when a cohort cannot be trained on, a run cannot be continued, or training diverges."""


class OutputError(NapariMilError):
    """Raised when results cannot be written or read back."""


class CancelledError(NapariMilError):
    """Raised inside a job once its cancellation token is set."""
