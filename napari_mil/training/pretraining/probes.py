"""Probes that tell whether adapting an encoder helped, on slides it did not learn from.

*Neighbours*, without labels: tiles that lie side by side show the same tissue more often than tiles
far apart in the same slide. The probe counts how often a tile's neighbour is nearer to it than a
distant tile is; a slide's own stain is the same for both, so that it cannot decide.

*Labels*, where slides have classes: a linear classifier on the mean vector of each slide, fitted on
the slides that were learned from (whose labels the encoder never saw), tested on the others.

Both are made on the vectors of the encoder as it was and as it is, and compared in pairs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from napari_mil.encoders.adapted_cards import ProbeFigure
from napari_mil.training.cohorts.cohort import Cohort
from napari_mil.training.evaluation.metrics import auc
from napari_mil.training.pretraining.tiles import Tiles

NEIGHBOURS = "a neighbouring tile is nearer than a distant one of the same slide"
"""Measure of the probe without labels."""
FEWEST_UNITS = 5
"""Units that an interval rests on at least.

Of fewer held-out slides pairs of tiles are drawn; of fewer patients labels are not probed.
"""
FEWEST_PAIRS = 4
"""Pairs below which nothing is said."""
FEWEST_DISTANT = 2
"""Distant tiles of the same slide below which a tile is not asked."""
DISTANT = 2
"""Rows or columns from which a tile counts as distant."""
FEWEST_OF_CLASS = 3
"""Bags of each class that must be learned from for the probe of labels."""
FEWEST_TESTED = 8
"""Held-out bags below which labels are not probed."""
SAMPLES = 2000
"""Samples of the bootstrap."""
PENALTY = 1.0
"""Ridge penalty per feature."""


@dataclass(frozen=True, eq=False)
class Vectors:
    """Vectors of the tiles of a run by one encoder."""

    learned: np.ndarray
    """float32 (L, D), in the order of `Tiles.learned`."""
    probed: np.ndarray
    """float32 (2 P, D), in the order of `Tiles.probed`."""

    def standardised(self) -> Vectors:
        """Centre and scale by the tiles that were learned from."""
        mean = self.learned.mean(0)
        scale = np.maximum(self.learned.std(0), 1e-6)
        return Vectors((self.learned - mean) / scale, (self.probed - mean) / scale)


def probe(cohort: Cohort, tiles: Tiles, before: Vectors, after: Vectors) -> tuple[ProbeFigure, ...]:
    """Compare two encoders on the held-out tiles of a run.

    Parameters
    ----------
    cohort
        Bags that the tiles come from.
    tiles
        Tiles of the run.
    before, after
        Vectors of the encoder as it was, and as it is.

    Returns
    -------
    tuple of ProbeFigure
        That of labels, where there are enough, then that of neighbours; none where too little is
        held out.
    """
    pair = (before.standardised(), after.standardised())
    figures = [probe_labels(cohort, tiles, *pair), probe_neighbours(tiles, *pair)]
    return tuple(figure for figure in figures if figure is not None)


def probe_neighbours(tiles: Tiles, before: Vectors, after: Vectors) -> ProbeFigure | None:
    """Compare encoders by how near neighbouring tiles are; None of too few pairs."""
    places = tiles.probed
    if len(places) < 2 * FEWEST_PAIRS:
        return None
    scores = np.stack([neighbour_scores(each.probed, tiles, places) for each in (before, after)])
    kept = ~np.isnan(scores).any(0)
    scores = scores[:, kept]
    bags = tiles.bag[places[::2]][kept]
    n_bags = len(np.unique(bags))
    by_bag = n_bags >= FEWEST_UNITS
    units = bags if by_bag else np.arange(len(bags))
    # Every slide counts alike, however many pairs it gave.
    means = np.stack([_means(row, units) for row in scores])
    if means.shape[1] < FEWEST_PAIRS:
        return None
    low, high = _interval(means.shape[1], lambda drawn: float((means[1] - means[0])[drawn].mean()))
    figures = means.mean(1)
    return ProbeFigure(
        NEIGHBOURS,
        before=float(figures[0]),
        after=float(figures[1]),
        gain=float(figures[1] - figures[0]),
        low=low,
        high=high,
        units=means.shape[1],
        unit="slides" if by_bag else "pairs of tiles",
    )


def neighbour_scores(vectors: np.ndarray, tiles: Tiles, places: np.ndarray) -> np.ndarray:
    """Return for each pair how often its two tiles are nearer than distant ones.

    Parameters
    ----------
    vectors
        float32 (2 P, D): standardised vectors, the two of a pair one after the other.
    tiles, places
        Where they come from: numbers of the tiles, int (2 P,).

    Returns
    -------
    np.ndarray
        float (P,): share of distant tiles that are less similar (cosine) than the neighbour, ties
        half, averaged over both tiles; NaN where there are too few distant tiles.
    """
    lengths = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    unit = vectors / lengths
    similarity = unit @ unit.T
    partner = np.arange(len(places)) ^ 1
    scores = np.full(len(places), np.nan)
    for i in range(len(places)):
        distant = _distant(tiles, places, i)
        if distant.sum() >= FEWEST_DISTANT:
            near = similarity[i, partner[i]]
            others = similarity[i, distant]
            scores[i] = (others < near).mean() + 0.5 * (others == near).mean()
    return scores.reshape(-1, 2).mean(1)


def _distant(tiles: Tiles, places: np.ndarray, i: int) -> np.ndarray:
    """Say which tiles of its slide are distant from tile `i`; of a bag, tiles of other images."""
    here = places[i]
    same_bag = tiles.bag[places] == tiles.bag[here]
    same_image = same_bag & (tiles.image[places] == tiles.image[here])
    apart = np.abs(tiles.cell[places] - tiles.cell[here]).max(1) >= DISTANT
    return np.asarray(same_bag & (~same_image | apart))


def probe_labels(
    cohort: Cohort, tiles: Tiles, before: Vectors, after: Vectors
) -> ProbeFigure | None:
    """Compare encoders by a linear classifier of slides; None of too few slides or classes."""
    if len(cohort.classes) < 2:
        return None
    label = np.array([cohort.classes.index(str(bag.label)) for bag in cohort.bags])
    learned, tested = (np.unique(tiles.bag[places]) for places in (tiles.learned, tiles.probed))
    counts = Counter(label[learned].tolist())
    is_thin = min(counts[c] for c in range(len(cohort.classes))) < FEWEST_OF_CLASS
    if is_thin or len(tested) < FEWEST_TESTED or len(set(label[tested])) < 2:
        return None
    if np.isin(tested, learned).any():
        # Parts of the same slides are held out, not slides.
        return None
    scores = [
        _classify(
            _means_of_bags(each.learned, tiles.bag[tiles.learned]),
            label[learned],
            _means_of_bags(each.probed, tiles.bag[tiles.probed]),
            len(cohort.classes),
        )
        for each in (before, after)
    ]
    patients = np.unique([cohort.bags[b].patient for b in tested], return_inverse=True)[1]
    members = [np.flatnonzero(patients == p) for p in range(patients.max() + 1)]
    if len(members) < FEWEST_UNITS:
        return None

    def gain(drawn: np.ndarray) -> float:
        rows = np.concatenate([members[p] for p in drawn])
        truth = label[tested][rows]
        return _area(truth, scores[1][rows]) - _area(truth, scores[0][rows])

    low, high = _interval(len(members), gain)
    areas = [_area(label[tested], each) for each in scores]
    names = " and ".join(cohort.classes) if len(cohort.classes) < 4 else "the classes"
    return ProbeFigure(
        f"area under the curve of a linear classifier of {names}",
        before=areas[0],
        after=areas[1],
        gain=areas[1] - areas[0],
        low=low,
        high=high,
        units=len(members),
        unit="patients" if all(bag.patient_known for bag in cohort.bags) else "slides",
    )


def _classify(
    training: np.ndarray, label: np.ndarray, tested: np.ndarray, n_classes: int
) -> np.ndarray:
    """Return scores (T, C) of a ridge classifier (Hoerl & Kennard 1970), classes weighing alike."""
    mean = training.mean(0)
    scale = np.maximum(training.std(0), 1e-6)
    x = (training - mean) / scale
    truth = (label[:, None] == np.arange(n_classes)).astype(float)
    weight = 1 / np.bincount(label, minlength=n_classes)[label]
    targets = truth - np.average(truth, axis=0, weights=weight)
    # In the dual: of fewer slides than features, the smaller system.
    kernel = x @ x.T + np.diag(PENALTY * x.shape[1] / (weight * len(label)))
    return (tested - mean) / scale @ (x.T @ np.linalg.solve(kernel, targets))


def _area(truth: np.ndarray, scores: np.ndarray) -> float:
    """Return the AUC averaged over classes; NaN where no class has both kinds of bags."""
    areas = [auc(truth == c, scores[:, c]) for c in range(scores.shape[1])]
    known = [area for area in areas if not np.isnan(area)]
    return float(np.mean(known)) if known else float("nan")


def _means_of_bags(vectors: np.ndarray, bags: np.ndarray) -> np.ndarray:
    """Return the mean vector of each bag, in order of their numbers."""
    return np.stack([vectors[bags == bag].mean(0) for bag in np.unique(bags)])


def _means(values: np.ndarray, units: np.ndarray) -> np.ndarray:
    """Return the mean of values in each unit."""
    return np.array([values[units == unit].mean() for unit in np.unique(units)])


def _interval(units: int, gain: Callable[[np.ndarray], float]) -> tuple[float, float]:
    """Return the 95 % interval of a gain: percentiles of a bootstrap over units."""
    random = np.random.default_rng(0)
    gains = [gain(random.integers(units, size=units)) for _ in range(SAMPLES)]
    low, high = np.nanpercentile(gains, [2.5, 97.5])
    return float(low), float(high)
