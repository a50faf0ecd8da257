"""Errors a user can meet.

Every message is one sentence that says what happened, to which file or value, and what to do.
The command line prints it after ``napari-mil: `` and exits with 2; the window shows it as a
notification.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Remedy(StrEnum):
    """What a user can do about a fault.

    The values are neutral; the window and the command line have words of their own for them.
    """

    GIVE_SCALE = "give its µm per pixel"
    TAKE_LEVEL = "take tiles of a level"
    FINER_SCAN = "open a finer scan"
    SMALLER_TILES = "use smaller tiles"
    WHOLE_IMAGE = "use the whole image"
    DRAW_TISSUE = "draw its tissue"


class NapariMilError(Exception):
    """Base of every error whose message is written for the user."""

    def worded(self, words: Mapping[Remedy, str]) -> str:
        """Return the message with remedies in these words.

        Parameters
        ----------
        words
            Words by remedy; a remedy without any keeps its neutral ones.
        """
        return str(self)


class RemediedError(NapariMilError):
    """Base of errors that know what the user can do.

    Parameters
    ----------
    problem
        What happened, to which file, without a full stop.
    *remedies
        What can be done, the best first; a sentence of its own needs no words of the face.
    """

    def __init__(self, problem: str, *remedies: Remedy | str) -> None:
        super().__init__(problem, *remedies)
        self.problem = problem
        self.remedies = remedies

    def __str__(self) -> str:
        return self.worded({})

    def worded(self, words: Mapping[Remedy, str]) -> str:
        """Return the message with remedies in these words; see `NapariMilError.worded`."""
        told = (
            words.get(remedy, str(remedy)) if isinstance(remedy, Remedy) else remedy
            for remedy in self.remedies
        )
        remedies = ", or ".join(told)
        return f"{self.problem}; {remedies}."


class UnreadableSlideError(NapariMilError):
    """Raised when a path holds no slide or its pixels are unreadable."""


class MissingMppError(RemediedError):
    """Raised when a scale is needed and the slide says none."""


class ResolutionError(RemediedError):
    """Raised when the slide does not hold the scale asked for."""


class NoTissueError(RemediedError):
    """Raised when no tile of the grid lies on tissue."""


class UnknownNameError(NapariMilError):
    """Raised when no encoder, aggregator or classifier has that name."""


class BagError(NapariMilError):
    """Raised when a bag is empty or of another shape."""


class CheckpointError(NapariMilError):
    """Raised when another project's checkpoint cannot be opened.

    The file is missing, damaged, of no known project, or not safe to open.
    """


class OptionError(NapariMilError):
    """Raised when an option is unknown, out of range or contradictory."""


class ClassifierError(NapariMilError):
    """Raised when a classifier bundle is damaged or does not fit."""


class AnnotationError(NapariMilError):
    """Raised when a file of annotated regions fails to read or write."""


class NoAnnotationsError(AnnotationError):
    """Raised when a file of the ending of annotations is about something else."""


class TrainingError(NapariMilError):
    """Raised when a training cannot start, continue or converge.

    The cohort cannot be trained on, the run cannot be continued, or the loss diverges.
    """


class OutputError(NapariMilError):
    """Raised when results cannot be written or read back."""


class CancelledError(NapariMilError):
    """Raised inside a job once its cancellation token is set.

    Parameters
    ----------
    kept
        What is on disk, as a clause; empty where the job does not know.
    """

    def __init__(self, kept: str = "") -> None:
        super().__init__(f"Cancelled; {kept}." if kept else "Cancelled.")
        self.kept = kept


def short_cause(error: BaseException, longest: int = 200) -> str:
    """Return what a library's error says, on one line; its type where it says nothing."""
    return " ".join(str(error).split())[:longest].rstrip(".") or type(error).__name__
