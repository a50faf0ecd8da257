"""Aggregators by name; adding one is a class and a line here."""

from __future__ import annotations

from typing import Any

from napari_mil.aggregators.abmil import ABMIL, GatedABMIL
from napari_mil.aggregators.aggregator import Aggregator
from napari_mil.aggregators.dsmil import DSMIL
from napari_mil.errors import UnknownNameError

AGGREGATORS: dict[str, type[Aggregator]] = {
    "abmil": ABMIL,
    "gated-abmil": GatedABMIL,
    "dsmil": DSMIL,
}


def list_aggregators() -> dict[str, str]:
    """Return one line about every aggregator by name."""
    return {name: (aggregator.__doc__ or "").splitlines()[0] for name, aggregator in AGGREGATORS.items()}


def create_aggregator(name: str, in_dim: int, n_classes: int, **options: Any) -> Aggregator:
    """Make an aggregator with fresh weights.

    Parameters
    ----------
    name
        One of `list_aggregators()`.
    in_dim
        D, the length of an instance's feature vector.
    n_classes
        C; 1 is one sigmoid unit.
    **options
        As the class of that name documents them; `multi_label=True` makes C >= 2 classes independent.

    Raises
    ------
    UnknownNameError
        If there is no such aggregator or it has no such option.
    """
    if name not in AGGREGATORS:
        raise UnknownNameError(f"There is no aggregator named {name!r}; choose one of {', '.join(AGGREGATORS)}.")
    try:
        return AGGREGATORS[name](in_dim, n_classes, **options)
    except TypeError as error:
        raise UnknownNameError(f"The aggregator {name!r} does not take these options ({error}); see its documentation.") from error
