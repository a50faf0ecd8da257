"""Facts of a bundle: its encoder, aggregator and training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class EncoderRef:
    """Encoder that a classifier was trained on."""

    name: str
    fingerprint: str
    trained: bool = False
    """Whether it was trained together with the aggregator; its weights then lie in the bundle."""
    maps: bool = False
    """Whether it gives feature maps instead of vectors."""
    adapted_from: str = ""
    """Embedded encoder whose network was adapted beforehand, or an empty string.

    The adapted weights lie in the bundle as well, so that it can travel.
    """

    def facts(self) -> dict[str, Any]:
        """Return what decides an answer, by name."""
        facts = asdict(self)
        if not self.adapted_from:
            # Ids of bundles from before encoders could be adapted stay as they are.
            del facts["adapted_from"]
        return facts


@dataclass(frozen=True)
class AggregatorRef:
    """Aggregator of a classifier."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    """Options given; the others have their defaults."""


@dataclass(frozen=True)
class SplitCounts:
    """Numbers of bags in each part of a training cohort."""

    training: int
    validation: int
    test: int


@dataclass(frozen=True)
class StartFacts:
    """Classifier that training started from."""

    name: str
    """Name of a shipped classifier; others are not named."""
    fingerprint: str


@dataclass(frozen=True)
class TrainingFacts:
    """How a classifier was trained: counts and settings.

    No file name, path or patient is kept.
    """

    bags: int | None = None
    bags_of_each_class: Mapping[str, int] = field(default_factory=dict)
    patients: int | None = None
    patients_known: bool = True
    """Whether patients were known; otherwise each bag counted as one."""
    instances: int | None = None
    split: SplitCounts | None = None
    left_out: int = 0
    """Bags that could not be encoded."""
    cohort_fingerprint: str = ""
    bag_fingerprints: tuple[str, ...] = ()
    """Sorted content ids of the bags that trained and chose.

    They tell whether a bag was trained on, not what it is.
    """
    epoch_kept: int | None = None
    """Epoch whose weights were kept, counted from 1."""
    epochs_trained: int | None = None
    chosen_by: str = ""
    """Criterion that chose the epoch."""
    recipe: str = ""
    """Published recipe of the training."""
    embedding: str = ""
    """``features``, or the training of the network.

    One of ``joint``, ``chunks`` and ``frozen``.
    """
    started_from: StartFacts | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Configuration fields that decide the result."""
    torch: str = ""
    """Version of torch."""
    cautions: tuple[str, ...] = ()
    """Sentences that a reader of the figures should know."""
    notes: Mapping[str, Any] = field(default_factory=dict)
    """Further figures by name, for people."""
