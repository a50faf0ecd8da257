"""Bags that a classifier has seen in training, told by their content."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from napari_mil.inference.card import ClassifierCard


@dataclass(frozen=True)
class SeenBefore:
    """How many of some bags were training data of a classifier."""

    classifier: str
    """Name of the classifier."""
    seen: int
    total: int
    is_known: bool
    """Whether the bundle says what it was trained on."""

    @property
    def remark(self) -> str:
        """One sentence, or nothing where no bag is known to have been seen."""
        if not self.seen:
            return ""
        if self.total == 1:
            return (
                f"It was training data of {self.classifier}: "
                "the answer says little about how it does on new ones."
            )
        return (
            f"{self.seen} of {self.total} bags were training data of {self.classifier}: "
            "figures on them say little about new ones."
        )


def bags_seen_before(card: ClassifierCard, contents: Collection[str]) -> SeenBefore:
    """Count the bags that a classifier was trained on.

    Parameters
    ----------
    card
        Holds fingerprints of the classifier's training bags.
    contents
        Fingerprints of the contents of some bags; empty ones are of no known bag.
    """
    trained_on = set(card.training.bag_fingerprints)
    seen = sum(content in trained_on for content in contents if content)
    return SeenBefore(card.name, seen, len(contents), bool(trained_on))
