"""Overlap of a map with annotated regions: AUC, Dice and FROC."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from scipy.ndimage import label
from skimage.morphology import local_maxima

from napari_mil.annotations import Region
from napari_mil.bags.layout import Layout

FALSE_POSITIVES = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""False positives per slide at which CAMELYON16 reads the sensitivity."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """How well the values of instances find annotated regions."""

    n: int
    """Instances with a value, those in areas to ignore left out."""
    n_positive: int
    """Of these, instances whose centre lies in a region."""
    n_regions: int
    auc: float
    """Area under the ROC curve over instances; NaN where all or none are inside."""
    dice: float
    """2 TP / (2 TP + FP + FN) over instances; NaN where none is inside or called."""
    threshold: float | None
    """Value from which an instance was called; None where as many as are inside were called."""
    sensitivities: tuple[float, ...]
    """Share of the regions that are found, at `FALSE_POSITIVES`."""

    @property
    def froc(self) -> float:
        """Mean sensitivity, the score of CAMELYON16."""
        return float(np.mean(self.sensitivities))


def overlap(
    layout: Layout,
    values: np.ndarray,
    regions: Sequence[Region],
    *,
    ignored: Sequence[Region] = (),
    threshold: float | None = None,
) -> Overlap:
    """Compare a map with annotated regions.

    An instance is positive if its centre lies in a region. For the FROC, the candidates are the
    local maxima of the map among eight neighbours, a plateau being one. A region is found by a
    candidate inside it, however many there are; a candidate outside all regions is a false
    positive. With one slide there are whole numbers of them: at a quarter and at a half, none is
    allowed. A region found only by a value that a false positive too many shares is not found.

    Parameters
    ----------
    layout
        Places of the N instances, in level-0 pixels.
    values
        (N,): the higher, the likelier inside; NaN where there is none.
    regions
        Annotated regions; each counts as one lesion.
    ignored
        Areas whose instances and candidates count neither for nor against.
    threshold
        Value from which an instance is called positive. None calls as many as are inside: nothing
        is chosen by the annotations but their share.

    References
    ----------
    Ehteshami Bejnordi et al. 2017, "Diagnostic assessment of deep learning algorithms for detection
    of lymph node metastases in women with breast cancer" (CAMELYON16), JAMA 318(22).
    """
    # These bring scipy's statistics, which opening a window does not wait for.
    from napari_mil.training.evaluation.metrics import auc

    instance, region = _inside(layout, regions)
    positive = np.zeros(len(layout), bool)
    positive[instance] = True
    counts = ~np.isnan(values)
    counts[np.setdiff1d(_inside(layout, ignored)[0], instance)] = False
    truth = positive[counts]
    known = values[counts]
    return Overlap(
        n=len(known),
        n_positive=int(truth.sum()),
        n_regions=len(regions),
        auc=auc(truth, known),
        dice=_dice(truth, known, threshold),
        threshold=threshold,
        sensitivities=_sensitivities(
            layout, np.where(counts, values, np.nan), instance, region, len(regions)
        ),
    )


def _inside(layout: Layout, regions: Sequence[Region]) -> tuple[np.ndarray, np.ndarray]:
    """Return (instance, region) pairs, two of int64 (P,), of centres that lie in regions."""
    x, y = layout.centres().T
    order = np.argsort(x, kind="stable")
    found = []
    for region in regions:
        left, top, right, bottom = region.area.bounds
        first, last = np.searchsorted(x, (left, right), sorter=order)
        near = order[first:last]
        near = near[(y[near] >= top) & (y[near] <= bottom)]
        shapely.prepare(region.area)
        found.append(near[shapely.contains_xy(region.area, x[near], y[near])])
    if not found:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    numbers = np.repeat(np.arange(len(found)), [len(inside) for inside in found])
    return np.concatenate(found), numbers


def _dice(truth: np.ndarray, values: np.ndarray, threshold: float | None) -> float:
    n_positive = int(truth.sum())
    if not n_positive:
        return float("nan")
    if threshold is None:
        threshold = float(np.partition(values, len(values) - n_positive)[len(values) - n_positive])
    called = values >= threshold
    return 2 * float((called & truth).sum()) / float(called.sum() + n_positive)


def _sensitivities(
    layout: Layout, values: np.ndarray, instance: np.ndarray, region: np.ndarray, n_regions: int
) -> tuple[float, ...]:
    """Return the share of regions that are found at each number of false positives."""
    if not n_regions:
        return (float("nan"),) * len(FALSE_POSITIVES)
    candidate = _candidates(layout, values)
    best = np.full(n_regions, -np.inf)
    is_peak = candidate[instance] > 0
    np.maximum.at(best, region[is_peak], values[instance[is_peak]])
    inside = np.unique(candidate[instance])
    peaks, first = np.unique(candidate, return_index=True)
    is_false = (peaks > 0) & ~np.isin(peaks, inside)
    false = np.sort(values[first[is_false]])[::-1]
    found = []
    for allowed in map(math.floor, FALSE_POSITIVES):
        limit = false[allowed] if allowed < len(false) else -np.inf
        found.append(float((best > limit).mean()))
    return tuple(found)


def _candidates(layout: Layout, values: np.ndarray) -> np.ndarray:
    """Return the number of the local maximum (N,) that each instance is part of, 0 for none."""
    image = layout.spread(np.arange(len(layout)), values)
    known = ~np.isnan(image)
    if not known.any():
        return np.zeros(len(layout), np.int64)
    # A rim below everything: a map of one value is one plateau.
    ground = image[known].min() - 1
    peaks = local_maxima(np.pad(np.where(known, image, ground), 1, constant_values=ground))
    numbers, _ = label(peaks[1:-1, 1:-1], np.ones((3, 3)))
    return numbers[layout.cells[:, 0], layout.cells[:, 1]]
