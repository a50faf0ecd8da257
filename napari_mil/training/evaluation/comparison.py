"""Paired comparison of two evaluations of the same bags on the same folds, or of two scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_mil.errors import OptionError
from napari_mil.training.evaluation.answers import Answers
from napari_mil.training.evaluation.intervals import difference as auc_difference
from napari_mil.training.evaluation.metrics import figures
from napari_mil.training.evaluation.stored import read_figures
from napari_mil.training.layout import PREDICTIONS

SCHEMA = "napari-mil/comparison/1"
SAMPLES = 2000
"""Number of bootstrap samples."""
PAIRED_BOOTSTRAP = "paired bootstrap"
"""Method of an interval: patients are drawn, the same ones for both."""


@dataclass(frozen=True)
class Difference:
    """One figure of two evaluations, and the second minus the first."""

    first: float
    second: float
    difference: float
    low: float
    """Lower end of the 95 % interval of the difference."""
    high: float
    """Upper end of that interval."""
    method: str = PAIRED_BOOTSTRAP
    """How the interval was made."""

    @property
    def is_clear(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low > 0 or self.high < 0

    def as_dict(self) -> dict[str, float | str | None]:
        """Return plain numbers, rounded to four digits, None for NaN; and the method's name."""
        numbers = asdict(self)
        del numbers["method"]
        return {
            **{key: None if np.isnan(value) else round(value, 4) for key, value in numbers.items()},
            "method": self.method,
        }


@dataclass(frozen=True)
class Comparison:
    """Two evaluations pair by pair."""

    first: str
    """What was evaluated, in words."""
    second: str
    n_bags: int
    n_groups: int
    repeats: int
    metrics: Mapping[str, Difference]

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as plain values, rounded to four digits; None for NaN."""
        return {
            "schema": SCHEMA,
            "first": self.first,
            "second": self.second,
            "bags": self.n_bags,
            "groups": self.n_groups,
            "repeats": self.repeats,
            "metrics": {name: value.as_dict() for name, value in self.metrics.items()},
        }


def compare(first: Path, second: Path) -> Comparison:
    """Compare two evaluations of the same bags on the same folds, or two scores.

    Parameters
    ----------
    first, second
        Folders that hold ``predictions.csv`` beside ``evaluation.json`` or ``score.json``.

    Raises
    ------
    OutputError
        If a folder holds no evaluation with predictions.
    OptionError
        If bags, classes or folds differ.
    """
    stored = read_figures(first)
    other = read_figures(second)
    one = stored.answers
    two = _in_the_order_of(one, other.answers, first, second)
    _check_same_folds(one, two, first, second)
    return Comparison(
        first=f"{first.name}: {stored.headline}",
        second=f"{second.name}: {other.headline}",
        n_bags=len(one.bags),
        n_groups=len(set(one.groups)),
        repeats=one.repeats,
        metrics=differences(one, two),
    )


def differences(first: Answers, second: Answers) -> dict[str, Difference]:
    """Return every figure of two sets of answers for the same bags, and the difference."""
    one = _figures_of(first)
    two = _figures_of(second)
    every_bag = np.arange(len(first.bags))
    of_first = one(every_bag)
    of_second = two(every_bag)
    intervals = paired_intervals(one, two, first.groups)
    compared = {
        name: Difference(
            of_first[name], of_second[name], of_second[name] - of_first[name], *intervals[name]
        )
        for name in of_first
    }
    area = next(name for name in ("auc", "auc_macro") if name in compared)
    return {**compared, area: _with_area_interval(compared[area], first, second)}


def _with_area_interval(found: Difference, first: Answers, second: Answers) -> Difference:
    """Return the difference of two AUCs with the interval that covers with few patients."""
    one, two = (
        np.squeeze(answers.judged, -1) if answers.judged.shape[-1] == 1 else answers.judged
        for answers in (first, second)
    )
    exact = auc_difference(first.targets, two, one, first.groups)
    return replace(found, low=exact.low, high=exact.high, method=exact.method.value)


Figures = Callable[[np.ndarray], Mapping[str, float]]
"""Figures by name of some bags, int (n,)."""


def paired_intervals(
    first: Figures, second: Figures, groups: Sequence[str], *, samples: int = SAMPLES, seed: int = 0
) -> dict[str, tuple[float, float]]:
    """Return the 95 % interval of each difference, second minus first.

    By bootstrap: groups are drawn whole, with replacement, the same ones for both (Efron and
    Tibshirani 1993, "An introduction to the bootstrap", ch. 8 and 13). NaN where a figure does not
    exist in any draw.

    Parameters
    ----------
    first, second
        Figures of the same bags by two classifiers.
    groups
        What is drawn as a whole, of each bag.
    samples
        Number of draws.
    seed
        Seed of the draws.
    """
    _, group_of = np.unique(np.asarray(groups), return_inverse=True)
    members = [np.flatnonzero(group_of == g) for g in range(group_of.max() + 1)]
    random = np.random.default_rng(seed)
    drawn: dict[str, list[float]] = {}
    for _ in range(samples):
        chosen = random.integers(len(members), size=len(members))
        bags = np.concatenate([members[g] for g in chosen])
        one = first(bags)
        two = second(bags)
        for name in one:
            drawn.setdefault(name, []).append(two[name] - one[name])
    return {name: _percentiles(np.array(values)) for name, values in drawn.items()}


def _figures_of(answers: Answers) -> Figures:
    """Return a function of bags to figures, each the mean over repeats."""
    targets = answers.targets
    logits = answers.judged

    def of(bags: np.ndarray) -> dict[str, float]:
        repeats = [
            figures(targets[bags], logits[r, bags], answers.threshold[r, bags])
            for r in range(answers.repeats)
        ]
        return {name: float(np.mean([one[name] for one in repeats])) for name in repeats[0]}

    return of


def _percentiles(values: np.ndarray) -> tuple[float, float]:
    known = values[~np.isnan(values)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.percentile(known, [2.5, 97.5])
    return float(low), float(high)


def _in_the_order_of(one: Answers, two: Answers, first: Path, second: Path) -> Answers:
    """Return the second answers with the bags and classes in the order of the first.

    Raises
    ------
    OptionError
        If they are others.
    """
    place = {bag.path: b for b, bag in enumerate(two.bags)}
    names = [bag.path for bag in one.bags]
    only_first = [name for name in names if name not in place]
    only_second = sorted(place.keys() - set(names))
    if only_first or only_second:
        where, lone = (first, only_first) if only_first else (second, only_second)
        raise OptionError(
            f"{first.name} and {second.name} are of other bags: {len(lone)} of {where.name} are "
            f"missing in the other ({lone[0]} for one); evaluate the same cohort twice."
        )
    if one.classes != two.classes or one.multi_label != two.multi_label:
        raise OptionError(
            f"{first.name} has the classes {', '.join(one.classes)}, {second.name} "
            f"{', '.join(two.classes)}, in this order; evaluate the same cohort twice."
        )
    two = two.only(np.array([place[name] for name in names]))
    other = [a for a, b in zip(one.bags, two.bags, strict=True) if a != b]
    if other:
        raise OptionError(
            f"{len(other)} of {len(one.bags)} bags have another class or patient in {second.name} "
            f"than in {first.name} ({other[0].path} for one); evaluate the same cohort twice."
        )
    return two


def _check_same_folds(one: Answers, two: Answers, first: Path, second: Path) -> None:
    """Refuse evaluations on other folds.

    Raises
    ------
    OptionError
        If they differ.
    """
    kinds = ["a score" if answers.fold_of is None else "an evaluation" for answers in (one, two)]
    if kinds[0] != kinds[1]:
        raise OptionError(
            f"{first.name} is {kinds[0]}, {second.name} {kinds[1]}; compare two of a kind."
        )
    if one.fold_of is None or two.fold_of is None:
        return
    same = one.repeats == two.repeats and all(
        _is_same_partition(a, b) for a, b in zip(one.fold_of, two.fold_of, strict=True)
    )
    if not same:
        raise OptionError(
            f"{first.name} and {second.name} were evaluated on other folds; evaluate one of them "
            f"again with --folds-from {first / PREDICTIONS}."
        )


def _is_same_partition(a: np.ndarray, b: np.ndarray) -> bool:
    """Say whether two numberings put the same bags together."""
    pairs = len(set(zip(a.tolist(), b.tolist(), strict=True)))
    return pairs == len(np.unique(a)) == len(np.unique(b))
