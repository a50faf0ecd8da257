"""Answers for labelled bags: out of fold in every repeat, or of one classifier.

An evaluation and a score come to the same thing here; figures, curves and tables are made of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property

import numpy as np
from scipy.special import expit, softmax

from napari_mil.training.cohorts.cohort import Cohort, CohortBag


class Link(StrEnum):
    """How logits become probabilities; the words of a classifier's card."""

    SIGMOID = "sigmoid"
    SOFTMAX = "softmax"
    MULTI_LABEL = "multi-label"


@dataclass(frozen=True)
class LabelledBag:
    """Bag of a cohort, as a table names it."""

    path: str
    """Path below the cohort's folder, with ``/``; absolute where it lies elsewhere."""
    patient: str
    labels: tuple[str, ...]
    """Its classes: one, or any number where bags have several."""


@dataclass(frozen=True, eq=False)
class Answers:
    """Answers for B bags in R repeats, of C logits each."""

    classes: tuple[str, ...]
    """Names of the classes; one sigmoid unit has two, the negative first."""
    link: Link
    bags: tuple[LabelledBag, ...]
    groups: tuple[str, ...]
    """What an interval draws as a whole, of each bag: patients, and those that share a bag."""
    uncalibrated: np.ndarray
    """Logits as the network gave them, float64 (R, B, C)."""
    temperature: np.ndarray
    """Divisor of the logits of each bag, float64 (R, B)."""
    threshold: np.ndarray
    """Probability from which `predicted` gives a class, float64 (R, B)."""
    validation_threshold: np.ndarray | None = None
    """Threshold that is best on the validation bags of the fold, (R, B); None where none is."""
    fold_of: np.ndarray | None = None
    """Fold in which each bag was tested, int (R, B); None where one classifier answered all."""
    unlike: np.ndarray | None = None
    """How unlike the classifier's training data each bag is, float (B,); 1 is the limit."""

    @property
    def repeats(self) -> int:
        """Number of repeats, R."""
        return len(self.uncalibrated)

    @property
    def multi_label(self) -> bool:
        """Whether bags have any number of classes."""
        return self.link is Link.MULTI_LABEL

    @cached_property
    def targets(self) -> np.ndarray:
        """Class indices int64 (B,), or 0 and 1 float32 (B, C) where bags have several classes."""
        place = {name: k for k, name in enumerate(self.classes)}
        if not self.multi_label:
            return np.array([place[bag.labels[0]] for bag in self.bags], np.int64)
        several = np.zeros((len(self.bags), len(self.classes)), np.float32)
        for b, bag in enumerate(self.bags):
            several[b, [place[name] for name in bag.labels]] = 1
        return several

    @cached_property
    def logits(self) -> np.ndarray:
        """Logits after temperature, float64 (R, B, C)."""
        return self.uncalibrated / self.temperature[..., None]

    @cached_property
    def probabilities(self) -> np.ndarray:
        """Probability of every class after temperature, float64 (R, B, number of classes)."""
        return per_class(self.logits, self.link)

    @property
    def uncalibrated_probabilities(self) -> np.ndarray:
        """Probability of every class before temperature, float64 (R, B, number of classes)."""
        return per_class(self.uncalibrated, self.link)

    @cached_property
    def predicted(self) -> np.ndarray:
        """Classes that are given, bool (R, B, number of classes)."""
        return given_classes(self.probabilities, self.threshold, self.link)

    @property
    def judged(self) -> np.ndarray:
        """Logits that figures are made of, (R, B, C): of two exclusive classes, one."""
        return one_of_two(self.logits, self.link)

    @property
    def judged_uncalibrated(self) -> np.ndarray:
        """Logits before temperature that figures are made of; see `judged`."""
        return one_of_two(self.uncalibrated, self.link)

    def only(self, numbers: np.ndarray) -> Answers:
        """Return the answers for some of the bags, by their numbers, int (n,)."""
        return replace(
            self,
            bags=tuple(self.bags[b] for b in numbers),
            groups=tuple(self.groups[b] for b in numbers),
            uncalibrated=self.uncalibrated[:, numbers],
            temperature=self.temperature[:, numbers],
            threshold=self.threshold[:, numbers],
            validation_threshold=_columns(self.validation_threshold, numbers),
            fold_of=_columns(self.fold_of, numbers),
            unlike=None if self.unlike is None else self.unlike[numbers],
        )


def per_class(logits: np.ndarray, link: Link) -> np.ndarray:
    """Return the probability of every class: of one sigmoid unit, (1 - p, p).

    Parameters
    ----------
    logits
        float (..., C).
    link
        How they become probabilities.
    """
    if link is Link.SOFTMAX:
        return softmax(logits, -1)
    if link is Link.MULTI_LABEL:
        return expit(logits)
    return expit(np.concatenate([-logits, logits], -1))


def given_classes(probabilities: np.ndarray, threshold: np.ndarray, link: Link) -> np.ndarray:
    """Return which classes are given: bool (..., classes).

    Of two classes, the second from the threshold on; of more, the likeliest; of labels, all from
    the threshold on.

    Parameters
    ----------
    probabilities
        float (..., classes).
    threshold
        float (...).
    link
        How they were made.
    """
    if link is Link.MULTI_LABEL:
        return probabilities >= threshold[..., None]
    n_classes = probabilities.shape[-1]
    chosen = probabilities.argmax(-1)
    if n_classes == 2:
        chosen = (probabilities[..., 1] >= threshold).astype(int)
    return np.eye(n_classes, dtype=bool)[chosen]


def one_of_two(logits: np.ndarray, link: Link) -> np.ndarray:
    """Return logits (..., C), with one for two exclusive classes: same probabilities."""
    if link is Link.SOFTMAX and logits.shape[-1] == 2:
        return logits[..., 1:] - logits[..., :1]
    return logits


def link_of(cohort: Cohort, n_outputs: int) -> Link:
    """Return the link of a network of so many outputs on a cohort."""
    if cohort.multi_label:
        return Link.MULTI_LABEL
    return Link.SIGMOID if n_outputs == 1 else Link.SOFTMAX


def labelled_bags(cohort: Cohort) -> tuple[LabelledBag, ...]:
    """Return the bags of a cohort as a table names them."""
    return tuple(LabelledBag(path_in(cohort, bag), bag.patient, bag.labels) for bag in cohort.bags)


def path_in(cohort: Cohort, bag: CohortBag) -> str:
    """Return the path of a bag below the cohort's folder, or its whole path elsewhere."""
    try:
        return bag.path.relative_to(cohort.root).as_posix()
    except ValueError:
        return bag.path.as_posix()


def _columns(values: np.ndarray | None, numbers: np.ndarray) -> np.ndarray | None:
    return None if values is None else values[:, numbers]
