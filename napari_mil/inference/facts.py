"""What a bundle says about its encoder, its aggregator and its training, as types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class EncoderRef:
    """Encoder that a classifier was trained on."""

    name: str
    fingerprint: str
    trained: bool = False
    """Whether its weights lie in the bundle: a network trained together with the aggregator."""
    maps: bool = False
    """Whether it gives feature maps instead of vectors."""


@dataclass(frozen=True)
class AggregatorRef:
    """Aggregator of a classifier."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    """Options it was made with; the others have their defaults."""


@dataclass(frozen=True)
class SplitCounts:
    """Numbers of bags in each part of a training cohort."""

    training: int
    validation: int
    test: int


@dataclass(frozen=True)
class StartFacts:
    """Classifier that a training started from."""

    name: str
    """Name of a shipped classifier; the user's own are not named."""
    fingerprint: str


@dataclass(frozen=True)
class TrainingFacts:
    """How a classifier was trained: counts and settings; no file name, no path, no patient."""

    bags: int | None = None
    bags_of_each_class: Mapping[str, int] = field(default_factory=dict)
    patients: int | None = None
    patients_known: bool = True
    """Whether the cohort said who its patients are; otherwise each bag counted as one."""
    instances: int | None = None
    split: SplitCounts | None = None
    left_out: int = 0
    """Bags that could not be encoded."""
    cohort_fingerprint: str = ""
    bag_fingerprints: tuple[str, ...] = ()
    """Content ids of the bags, sorted: they tell whether a bag was trained on, not what it is."""
    epoch_kept: int | None = None
    """Counted from 1."""
    epochs_trained: int | None = None
    chosen_by: str = ""
    """What chose the epoch."""
    recipe: str = ""
    """Published way to train."""
    embedding: str = ""
    """``features``, or how a network was trained: ``joint``, in ``chunks`` or ``frozen``."""
    started_from: StartFacts | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the training configuration that decide the result."""
    torch: str = ""
    """Version of torch."""
    notes: Mapping[str, Any] = field(default_factory=dict)
    """Further figures by name, for people."""
