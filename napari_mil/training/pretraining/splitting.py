"""Which tiles an encoder learns from, and which are held out for the probes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from napari_mil.training.cohorts.cohort import Cohort
from napari_mil.training.evaluation.folds import stratified_group_folds

FEWEST_IMAGES = 4
"""Images of a bag from which some of them are held out."""


@dataclass(frozen=True, eq=False)
class Lattice:
    """Tiles that a bag could give."""

    bag: int
    """Number of the bag in the cohort."""
    image: np.ndarray
    """int (n,): image that each tile lies in; 0 of a slide."""
    cells: np.ndarray
    """int (n, 2): row and column of each tile among those of its slide or image."""

    def __len__(self) -> int:
        return len(self.cells)


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Tiles that are held out."""

    masks: tuple[np.ndarray, ...]
    """bool (n,) for each lattice: which tiles are held out."""
    gaps: tuple[np.ndarray, ...]
    """bool (n,) for each lattice: tiles between both parts, used by neither."""
    words: str
    """What is held out, for people."""

    def learned(self, k: int) -> np.ndarray:
        """Return the numbers of the tiles of a lattice that are learned from."""
        return np.flatnonzero(~self.masks[k] & ~self.gaps[k])


def hold_out(cohort: Cohort, lattices: Sequence[Lattice], share: float, seed: int) -> HeldOut:
    """Hold part of the tiles out: patients, or slides, or images, or part of the only slide.

    The first of these of which there are several is split, classes as evenly as it goes.

    Parameters
    ----------
    cohort
        Bags with their patients.
    lattices
        Tiles of the bags that can be read.
    share
        Share that is held out.
    seed
        Seed of the draw.
    """
    bags = [cohort.bags[lattice.bag] for lattice in lattices]
    labels = np.unique([str(bag.label) for bag in bags], return_inverse=True)[1]
    patients = [bag.patient for bag in bags]
    for groups in (patients, [str(k) for k in range(len(bags))]):
        n_groups = len(set(groups))
        if n_groups > 1:
            folds = min(round(1 / share), n_groups)
            held = stratified_group_folds(labels, groups, folds, seed) == 0
            masks = [
                np.full(len(each), chosen) for each, chosen in zip(lattices, held, strict=True)
            ]
            known = groups is patients and all(bag.patient_known for bag in bags)
            return HeldOut(tuple(masks), _none(lattices), _slides(int(held.sum()), known))
    return _within(lattices[0], share, seed)


def _within(lattice: Lattice, share: float, seed: int) -> HeldOut:
    """Hold part of the only bag out: some of its images, or its right side."""
    images = np.unique(lattice.image)
    if len(images) >= FEWEST_IMAGES:
        count = max(1, round(share * len(images)))
        held = np.random.default_rng((seed, 0)).permutation(images)[:count]
        mask = np.isin(lattice.image, held)
        return HeldOut((mask,), _none([lattice]), f"{count} held-out images of the same folder")
    columns = lattice.cells[:, 1]
    border = np.quantile(columns, 1 - share)
    words = "the right side of the only slide, next to what was learned from"
    return HeldOut((columns > border,), (columns == np.floor(border),), words)


def _none(lattices: Sequence[Lattice]) -> tuple[np.ndarray, ...]:
    return tuple(np.zeros(len(lattice), bool) for lattice in lattices)


def _slides(count: int, patients_known: bool) -> str:
    slides = "1 held-out slide" if count == 1 else f"{count} held-out slides"
    return f"{slides} of other patients" if patients_known else slides


def even_shares(available: Sequence[int], total: int) -> list[int]:
    """Share a number of tiles out evenly, to none more than there are.

    Parameters
    ----------
    available
        Most that each one can take.
    total
        Number to share out.
    """
    shares = [0] * len(available)
    left = min(total, sum(available))
    while left:
        open_ones = [k for k, most in enumerate(available) if shares[k] < most]
        each = max(1, left // len(open_ones))
        for k in open_ones:
            given = min(each, available[k] - shares[k], left)
            shares[k] += given
            left -= given
    return shares


def neighbouring_pairs(
    lattice: Lattice, held: np.ndarray, random: np.random.Generator
) -> list[tuple[int, int]]:
    """Pair held-out tiles that lie side by side, each tile in one pair at most.

    Parameters
    ----------
    lattice
        Tiles of a bag.
    held
        bool (n,): which of them are held out.
    random
        Decides the order.

    Returns
    -------
    list of tuple
        Numbers of the tiles of each pair, in random order.
    """
    number = {
        (int(lattice.image[i]), *map(int, lattice.cells[i])): int(i) for i in np.flatnonzero(held)
    }
    pairs = []
    for place in random.permutation(sorted(number)).tolist():
        image, row, column = place
        first = number.get((image, row, column))
        beside = [(image, row, column + 1), (image, row + 1, column)]
        second = next((cell for cell in beside if cell in number), None)
        if first is not None and second is not None:
            pairs.append((first, number.pop(second)))
            del number[image, row, column]
    return pairs
