"""Patients of bags, from barcodes and patterns on names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from napari_mil.bags.names import bag_name
from napari_mil.training.cohorts.cohort import Cohort

BARCODE = re.compile(r"^TCGA-\w{2}-\w{4}(?=[-.]|$)")
"""A TCGA barcode; its first three parts are the patient."""
SEPARATORS = "_-. "
"""Characters between the parts of a name."""
MOST_PARTS = 3
"""Most parts of a name that are taken as the patient."""
FEWEST_PATIENTS = 4
"""Groups below which a pattern is not offered."""
MOST_UNEVEN = 3.0
"""Largest group over the median group that still looks like patients."""


def barcode_of(path: Path) -> str | None:
    """Return the patient in a TCGA barcode, or None."""
    barcode = BARCODE.match(path.name.upper())
    return None if barcode is None else barcode[0]


def own_name(path: Path) -> str:
    """Return the bag's name, which stands for an unknown patient."""
    return f"{path.parent.name}/{bag_name(path)}"


def suggest_pattern(cohort: Cohort) -> str | None:
    """Return a pattern that splits names evenly into patients, or None.

    The first one to three parts of the names are tried, as in ``ytma10_010704_benign1``; the one
    with the most groups of several bags each is offered.
    """
    if cohort.patients_known:
        return None
    names = [bag.name for bag in cohort.bags]
    best: tuple[int, str] | None = None
    for separator in SEPARATORS:
        for parts in range(1, MOST_PARTS + 1):
            pattern = _prefix_pattern(separator, parts)
            groups = _groups(names, pattern)
            if _is_even(groups, len(names), len(cohort.classes)):
                best = max(best or (0, ""), (len(groups), pattern))
    return None if best is None else best[1]


def _prefix_pattern(separator: str, parts: int) -> str:
    """Return the pattern of the first parts of a name."""
    between = re.escape(separator)
    part = f"[^{between}]+"
    return between.join([part] * parts) + f"(?={between})"


def _groups(names: Sequence[str], pattern: str) -> Counter[str]:
    """Count the names of each patient by a pattern.

    Empty if a name does not match.
    """
    matches = [re.match(pattern, name) for name in names]
    if not all(matches):
        return Counter()
    return Counter(match[0] for match in matches if match is not None)


def _is_even(groups: Counter[str], n_bags: int, n_classes: int) -> bool:
    """Say whether groups look like patients.

    There are several, of several bags each, and none dominates.
    """
    if len(groups) < max(FEWEST_PATIENTS, n_classes + 1) or 2 * len(groups) > n_bags:
        return False
    sizes = sorted(groups.values())
    median = sizes[len(sizes) // 2]
    return sizes[-1] <= MOST_UNEVEN * median
