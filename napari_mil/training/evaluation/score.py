"""Figures of a classifier on a labelled cohort, with where they come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from napari_mil.findings import Finding
from napari_mil.inference.likeness import FALSE_ALARMS
from napari_mil.inference.seen_before import SeenBefore
from napari_mil.training.evaluation.answers import Answers
from napari_mil.training.evaluation.intervals import sources
from napari_mil.training.evaluation.metrics import Estimate

SCHEMA = "napari-mil/score/1"


@dataclass(frozen=True)
class Likeness:
    """How unlike the classifier's training data the bags of a cohort are."""

    n_known: int
    """Bags of which it can be told; 0 where the bundle cannot tell."""
    n_unlike: int
    """Bags beyond the limit that 5 % of training-like bags exceed."""
    median: float
    """Median over bags; 1 is the limit; NaN where nothing is known."""

    @property
    def words(self) -> str:
        """One sentence; empty where nothing is known."""
        if not self.n_known:
            return ""
        return (
            f"{self.n_unlike} of {self.n_known} bags are unlike what the classifier was trained "
            f"on (about {FALSE_ALARMS * self.n_known:.0f} would be by chance); "
            f"their median lies at {self.median:.2f} times the limit."
        )


@dataclass(frozen=True)
class Score:
    """Figures of a classifier on a labelled cohort, with where they come from."""

    classifier: str
    fingerprint: str
    """Fingerprint of the classifier."""
    cohort: str
    """Name of the cohort's folder."""
    classes: tuple[str, ...]
    n_bags: int
    n_patients: int
    unit: str
    """What an interval draws as a whole, in words; see `Cohort.unit`."""
    selection: str
    """Where temperature and threshold come from, in words."""
    metrics: Mapping[str, Estimate]
    """Figures at the classifier's own threshold."""
    calibration: Mapping[str, float]
    """Expected calibration error before and after the classifier's temperature."""
    likeness: Likeness
    seen: SeenBefore
    failed: tuple[Finding, ...]
    """Bags that could not be classified, with the reason."""
    remarks: tuple[str, ...]
    """Sentences that a reader of the figures should know."""
    bag_remarks: tuple[Finding, ...]
    """Sentences on single bags."""
    answers: Answers = field(compare=False)

    @property
    def label(self) -> str:
        """Classifier and cohort, in a few words."""
        label = f"{self.classifier} on {self.n_bags} bags of {self.cohort}"
        if self.seen.seen:
            label += f", {self.seen.seen} of which it was trained on"
        return label

    @property
    def headline(self) -> str:
        """The figure to quote, with its interval and where it comes from."""
        area = self.metrics["auc" if "auc" in self.metrics else "auc_macro"]
        if np.isnan(area.mean):
            accuracy = self.metrics.get("accuracy") or self.metrics["accuracy_macro"]
            return f"accuracy {accuracy.words}, {self.label}"
        return f"AUC {area.words}, {self.label}"

    def as_dict(self) -> dict[str, Any]:
        """Return the content of ``score.json``."""
        seen = self.seen
        return {
            "schema": SCHEMA,
            "headline": self.headline,
            "classifier": self.classifier,
            "classifier fingerprint": self.fingerprint,
            "cohort": self.cohort,
            "classes": list(self.classes),
            "bags": self.n_bags,
            "patients": self.n_patients,
            "unit": self.unit,
            "selection": self.selection,
            "metrics": {name: value.as_dict() for name, value in self.metrics.items()},
            "interval methods": sources(value.method for value in self.metrics.values()),
            "calibration": {name: round(value, 4) for name, value in self.calibration.items()},
            "unlike the training data": {
                "bags of which it can be told": self.likeness.n_known,
                "bags beyond the limit": self.likeness.n_unlike,
                "median": None if not self.likeness.n_known else round(self.likeness.median, 4),
            },
            "training data of the classifier": seen.seen if seen.is_known else None,
            "failed": [{"bag": finding.path.name, "why": finding.text} for finding in self.failed],
            "remarks": list(self.remarks),
            "remarks on bags": [
                {"bag": finding.path.name, "remark": finding.text} for finding in self.bag_remarks
            ],
        }
