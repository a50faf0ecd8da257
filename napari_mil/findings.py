"""What scans, readers and plans notice on the way: facts with a kind, not sentences to parse."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class FindingKind(StrEnum):
    """Kind of what was noticed."""

    SKIPPED = "skipped"
    """A file or row is not used."""
    COPY = "copy"
    """A bag has the same content as another."""
    PATIENT_CONFLICT = "patient conflict"
    """Bags of one patient have several labels or stand in several splits."""
    LISTED_TWICE = "listed twice"
    """A table names a bag in several rows."""
    UNLISTED = "unlisted"
    """Files beside a table are not in it."""
    ROUNDED = "rounded"
    """Coordinates were not whole and were rounded."""
    UNCERTAIN_ENCODER = "uncertain encoder"
    """A file does not say who made its features, or says it in a way that was guessed."""
    UNCERTAIN_SCALE = "uncertain scale"
    """A scale is missing, implausible, assumed or corrected."""
    UNCERTAIN_PLACE = "uncertain place"
    """Coordinates or the size of a tile are missing or were guessed."""
    LEFT_OUT = "left out"
    """Part of a file is not used."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was noticed."""

    kind: FindingKind
    path: Path
    """File or folder it is about."""
    text: str
    """One sentence for the user, without the name of the file."""

    def __iter__(self) -> Iterator[Path | str]:
        """Unpack as (path, text), the contract of `Cohort.skipped` and `Cohort.warnings`."""
        yield self.path
        yield self.text
