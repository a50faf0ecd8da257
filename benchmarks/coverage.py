"""Coverage of the 95 % intervals, by simulation (`make coverage`).

Cohorts are drawn from a population whose figures are known: logits are normal in both classes, a
patient's bags share half of the variance. An interval covers when it holds the population's figure.
Beside it stands the percentile bootstrap over patients.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.stats import norm

from napari_mil.training.evaluation.intervals import difference, intervals
from napari_mil.training.evaluation.metrics import figures

FIGURES = {
    "auc": "AUC",
    "average_precision": "average precision",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "f1": "F1",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
}
AREAS = (0.7, 0.8, 0.95, 0.99)
DRAWS = 2000
"""Cohorts of a cell; the standard error of a coverage of 0.95 is 0.005."""
BOOTSTRAP_DRAWS = 400
"""Cohorts of a cell whose intervals are also bootstrapped; standard error 0.011."""
BOOTSTRAP_SAMPLES = 500
FEW_DRAWS = 500
"""Cohorts of a cell beside the grid; standard error 0.010."""
PAGE = Path("docs/intervals.md")
BEGIN = "<!-- coverage -->"
END = "<!-- end of coverage -->"
OTHER_POPULATIONS = {
    "bags of a patient of both classes": {"by_patient": False},
    "bags of a patient independent": {"correlation": 0.0},
    "bags of a patient almost alike (correlation 0.9)": {"correlation": 0.9},
    "logits of positives 2.5 times as spread": {"spread": 2.5},
    "mean over five repeats": {"repeats": 5},
}
PAIRS = ((0.8, 0.8), (0.8, 0.7), (0.95, 0.9))
"""AUCs of two classifiers that are compared."""


@dataclass(frozen=True)
class Population:
    """Cohorts of one size from one population."""

    bags: int
    per_patient: int
    prevalence: float
    area: float
    correlation: float = 0.5
    """Share of the variance that bags of one patient have in common."""
    by_patient: bool = True
    """Whether all bags of a patient are of one class."""
    spread: float = 1.0
    """Standard deviation of the positives' logits; 1 for the negatives."""
    repeats: int = 1
    """Answers of each bag, of which a fifth of the variance is their own."""

    @property
    def patients(self) -> np.ndarray:
        """Patient of each bag, int (B,)."""
        return np.arange(self.bags) // self.per_patient

    @property
    def labels(self) -> np.ndarray:
        """Class of each bag, int (B,): always of as many patients (or bags)."""
        number = self.patients[-1] + 1 if self.by_patient else self.bags
        positives = max(1, round(self.prevalence * number))
        chosen = np.random.default_rng(0).permutation(number)[:positives]
        return np.isin(self.patients if self.by_patient else np.arange(self.bags), chosen).astype(
            int
        )

    @property
    def shift(self) -> float:
        """Distance between the means of the logits of both classes."""
        return float(np.hypot(1, self.spread) * norm.ppf(self.area))

    def draw(self, random: np.random.Generator) -> np.ndarray:
        """Return logits of one cohort, (R, B, 1)."""
        patients = self.patients
        of_patients = random.normal(size=patients[-1] + 1)[patients]
        of_bags = random.normal(size=self.bags)
        values = np.sqrt(self.correlation) * of_patients + np.sqrt(1 - self.correlation) * of_bags
        if self.repeats > 1:
            own = random.normal(size=(self.repeats, self.bags))
            values = np.sqrt(0.8) * values + np.sqrt(0.2) * own
        labels = self.labels
        scaled = values * np.where(labels == 1, self.spread, 1.0)
        return (np.atleast_2d(scaled) + (labels - 0.5) * self.shift)[:, :, None]

    def figures(self) -> dict[str, float]:
        """Return the figures of infinitely many such bags at this prevalence."""
        share = float(self.labels.mean())
        half = self.shift / 2
        sensitivity = float(norm.cdf(half / self.spread))
        specificity = float(norm.cdf(half))
        called = share * sensitivity + (1 - share) * (1 - specificity)
        logits = np.linspace(-12, 12, 4001) * self.spread + half
        positives = share * norm.sf(logits, half, self.spread)
        negatives = (1 - share) * norm.sf(logits, -half)
        precision = positives / np.maximum(positives + negatives, 1e-300)
        density = norm.pdf(logits, half, self.spread)
        return {
            "auc": self.area,
            "average_precision": float(np.trapezoid(precision * density, logits)),
            "accuracy": share * sensitivity + (1 - share) * specificity,
            "balanced_accuracy": (sensitivity + specificity) / 2,
            "f1": 2 * share * sensitivity / (called + share),
            "sensitivity": sensitivity,
            "specificity": specificity,
        }

    @property
    def words(self) -> str:
        """The cell in a table."""
        n_positive = int(self.labels.sum())
        n_patients = self.patients[-1] + 1
        return f"{self.bags} ({n_positive}) | {n_patients} | {self.area}"


@dataclass(frozen=True)
class Coverage:
    """How often intervals held the truth, and how wide they were."""

    covered: float
    width: float


def grid() -> list[Population]:
    """Return every cell: bags, bags a patient, prevalence, AUC; and ten patients of six bags."""
    sizes = [*itertools.product((20, 40, 100), (1, 3, 6)), (60, 6)]
    return [
        Population(bags, per_patient, prevalence, area)
        for (bags, per_patient), prevalence, area in itertools.product(sizes, (0.5, 0.1), AREAS)
    ]


def cover(population: Population, draws: int, seed: int = 0) -> dict[str, Coverage]:
    """Return the coverage of every figure's interval."""
    random = np.random.default_rng(seed)
    labels = population.labels
    patients = population.patients
    limits: dict[str, list[tuple[float, float]]] = {name: [] for name in FIGURES}
    for _ in range(draws):
        found = intervals(labels, population.draw(random), patients)
        for name, interval in found.items():
            limits[name].append((interval.low, interval.high))
    return _coverages(population.figures(), limits)


def cover_by_bootstrap(
    population: Population, draws: int, samples: int = BOOTSTRAP_SAMPLES, seed: int = 0
) -> dict[str, Coverage]:
    """Return the coverage of percentiles of a bootstrap over patients."""
    random = np.random.default_rng(seed)
    limits: dict[str, list[tuple[float, float]]] = {name: [] for name in FIGURES}
    for _ in range(draws):
        logits = population.draw(random).mean(0)[:, 0]
        for name, values in _resample(population, logits, samples, random).items():
            known = values[~np.isnan(values)]
            low, high = np.percentile(known, [2.5, 97.5])
            limits[name].append((low, high))
    return _coverages(population.figures(), limits)


def _coverages(
    truth: Mapping[str, float], limits: Mapping[str, Sequence[tuple[float, float]]]
) -> dict[str, Coverage]:
    found = {}
    for name, pairs in limits.items():
        low, high = np.array(pairs).T
        inside = (low <= truth[name] + 1e-9) & (truth[name] - 1e-9 <= high)
        found[name] = Coverage(float(inside.mean()), float((high - low).mean()))
    return found


def _resample(
    population: Population, logits: np.ndarray, samples: int, random: np.random.Generator
) -> dict[str, np.ndarray]:
    """Return figures of cohorts of patients drawn with replacement, each (samples,)."""
    patients = population.patients
    number = patients[-1] + 1
    weights = random.multinomial(number, np.full(number, 1 / number), samples)[:, patients]
    positive = population.labels == 1
    right = (logits > 0) == positive
    with np.errstate(invalid="ignore", divide="ignore"):
        n_positive = weights[:, positive].sum(1)
        n_negative = weights[:, ~positive].sum(1)
        wins = (logits[positive, None] > logits[~positive]).astype(float)
        order = np.argsort(-logits)
        ranked = weights[:, order]
        hits = np.cumsum(ranked * positive[order], 1)
        precision = hits / np.cumsum(ranked, 1)
        true_positive = weights[:, right & positive].sum(1)
        true_negative = weights[:, right & ~positive].sum(1)
        errors = weights[:, ~right].sum(1)
        sensitivity = true_positive / n_positive
        specificity = true_negative / n_negative
        pairs = ((weights[:, positive] @ wins) * weights[:, ~positive]).sum(1)
        return {
            "auc": pairs / (n_positive * n_negative),
            "average_precision": np.nansum(precision * ranked * positive[order], 1)
            / np.where(n_positive > 0, n_positive, np.nan),
            "accuracy": 1 - errors / weights.sum(1),
            "balanced_accuracy": (sensitivity + specificity) / 2,
            "f1": 2 * true_positive / (2 * true_positive + errors),
            "sensitivity": sensitivity,
            "specificity": specificity,
        }


def cover_three_classes(
    bags: int, per_patient: int, area: float, draws: int
) -> dict[str, Coverage]:
    """Return the coverage of every figure of three classes; a patient has bags of all.

    `area` is the AUC of two classes as far apart; the truth is that of 200,000 bags.
    """
    shift = np.sqrt(2) * norm.ppf(area)
    random = np.random.default_rng(0)

    def draw(labels: np.ndarray, patients: np.ndarray) -> np.ndarray:
        values = np.sqrt(0.5) * (
            random.normal(size=(patients[-1] + 1, 3))[patients]
            + random.normal(size=(len(labels), 3))
        )
        return (values + shift * np.eye(3)[labels])[None]

    many = np.arange(200_000) % 3
    truth = figures(many, draw(many, np.arange(len(many)))[0])
    patients = np.arange(bags) // per_patient
    labels = patients % 3
    limits: dict[str, list[tuple[float, float]]] = {name: [] for name in truth}
    for _ in range(draws):
        found = intervals(labels, draw(labels, patients), patients)
        for name, pairs in limits.items():
            pairs.append((found[name].low, found[name].high))
    return _coverages(truth, limits)


def cover_difference(
    population: Population, other_area: float, draws: int, shared: float = 0.7
) -> Coverage:
    """Return the coverage of the difference of two classifiers' AUCs on the same bags."""
    random = np.random.default_rng(0)
    other = replace(population, area=other_area)
    labels = population.labels
    centre = labels - 0.5
    limits = []
    for _ in range(draws):
        first = population.draw(random)[:, :, 0] - centre * population.shift
        own = population.draw(random)[:, :, 0] - centre * population.shift
        second = np.sqrt(shared) * first + np.sqrt(1 - shared) * own
        found = difference(
            labels,
            first + centre * population.shift,
            second + centre * other.shift,
            population.patients,
        )
        limits.append((found.low, found.high))
    truth = {"difference": population.area - other_area}
    return _coverages(truth, {"difference": limits})["difference"]


def main() -> None:
    tables = [*grid_tables(), *other_table(), *difference_table()]
    replace_part(PAGE, BEGIN, END, tables)
    print(f"written to {PAGE}", file=sys.stderr)


def grid_tables() -> list[str]:
    """Return the summary of the grid and all of its cells."""
    cells = []
    for population in grid():
        ours = cover(population, DRAWS)
        cells.append((population, ours, cover_by_bootstrap(population, BOOTSTRAP_DRAWS)))
        print(population.words, ours["auc"], file=sys.stderr)
    lines = [
        f"### Over the grid of {len(cells)} cells",
        "",
        f"{DRAWS} cohorts a cell, {BOOTSTRAP_DRAWS} of them for the bootstrap.",
        "",
        "| figure | coverage: mean | least | width | bootstrap: mean | least | width |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, title in FIGURES.items():
        both = (summary([cell[k][name] for cell in cells]) for k in (1, 2))
        lines.append(f"| {title} | {' | '.join(both)} |")
    lines += [
        "",
        "### Every cell",
        "",
        "Coverage (width); below it those of the bootstrap.",
        "",
        f"| bags (positive) | patients | AUC | {' | '.join(FIGURES.values())} |",
        f"| {' | '.join(['---'] * (3 + len(FIGURES)))} |",
    ]
    for population, ours, bootstrap in cells:
        figures_of_cell = [f"{_words(ours[n])}<br>{_words(bootstrap[n])}" for n in FIGURES]
        lines.append(f"| {population.words} | {' | '.join(figures_of_cell)} |")
    return [*lines, ""]


def other_table() -> list[str]:
    """Return coverages where the grid's assumptions do not hold."""
    lines = [
        "### Other populations",
        "",
        "40 and 100 bags, 1 and 3 a patient, half and a tenth positive, AUC 0.8 and 0.95: "
        f"mean and least coverage over cells of {FEW_DRAWS} cohorts.",
        "",
        f"| population | {' | '.join(FIGURES.values())} |",
        f"| {' | '.join(['---'] * (1 + len(FIGURES)))} |",
    ]
    cells = [
        Population(bags, per_patient, prevalence, area)
        for bags, per_patient, prevalence, area in itertools.product(
            (40, 100), (1, 3), (0.5, 0.1), (0.8, 0.95)
        )
    ]
    for name, changes in OTHER_POPULATIONS.items():
        found = [cover(replace(cell, **changes), FEW_DRAWS) for cell in cells]
        lines.append(f"| {name} | {' | '.join(_range_words(found, n) for n in FIGURES)} |")
        print(lines[-1], file=sys.stderr)
    three = [
        cover_three_classes(bags, per_patient, area, FEW_DRAWS)
        for bags, per_patient, area in itertools.product((45, 90), (1, 3), (0.8, 0.95))
    ]
    lines.append(
        "| three classes (45 and 90 bags) | "
        f"{' | '.join(_range_words(three, name) for name in FIGURES)} |"
    )
    return [*lines, ""]


def difference_table() -> list[str]:
    """Return coverages of the difference of two AUCs."""
    lines = [
        "### Difference of two AUCs on the same bags",
        "",
        f"{FEW_DRAWS} cohorts a cell; the logits of both share 0.7 of their variance.",
        "",
        "| bags (positive) | patients | AUC | other AUC | coverage | width |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for bags, per_patient in ((40, 1), (100, 1), (100, 3), (60, 6)):
        for prevalence, (area, other) in itertools.product((0.5, 0.1), PAIRS):
            population = Population(bags, per_patient, prevalence, area)
            found = cover_difference(population, other, FEW_DRAWS)
            lines.append(
                f"| {population.words} | {other} | {found.covered:.3f} | {found.width:.2f} |"
            )
    return [*lines, ""]


def summary(cells: Sequence[Coverage]) -> str:
    """Return mean and least coverage and the mean width as columns."""
    covered = [cell.covered for cell in cells]
    width = np.mean([cell.width for cell in cells])
    return f"{np.mean(covered):.3f} | {min(covered):.3f} | {width:.2f}"


def _words(cell: Coverage) -> str:
    """Return a coverage with its width."""
    return f"{cell.covered:.3f} ({cell.width:.2f})"


def _range_words(cells: Sequence[Mapping[str, Coverage]], name: str) -> str:
    covered = [cell[name].covered for cell in cells if name in cell]
    return f"{np.mean(covered):.3f}, {min(covered):.3f}" if covered else "–"


def replace_part(page: Path, begin: str, end: str, lines: Sequence[str]) -> None:
    """Replace the lines between two marks of a page."""
    text = page.read_text(encoding="utf-8")
    head, rest = text.split(f"{begin}\n")
    _, tail = rest.split(f"{end}\n")
    body = "\n".join(lines)
    page.write_text(f"{head}{begin}\n\n{body}\n{end}\n{tail}", encoding="utf-8")


if __name__ == "__main__":
    main()
