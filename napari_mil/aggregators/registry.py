"""Aggregators by name: classes and instances."""

from __future__ import annotations

from pkgutil import resolve_name
from typing import Any, cast

from napari_mil.aggregators.aggregator import Aggregator
from napari_mil.aggregators.cards import AGGREGATORS
from napari_mil.aggregators.options import check_options
from napari_mil.errors import OptionError, UnknownNameError


def aggregator_class(name: str) -> type[Aggregator]:
    """Return the class of an aggregator.

    Raises
    ------
    UnknownNameError
        If there is no such aggregator.
    """
    if name not in AGGREGATORS:
        raise UnknownNameError(
            f"There is no aggregator named {name!r}; choose one of {', '.join(AGGREGATORS)}."
        )
    return cast("type[Aggregator]", resolve_name(AGGREGATORS[name].implementation))


def create_aggregator(name: str, in_dim: int, n_classes: int, **options: Any) -> Aggregator:
    """Make an aggregator with fresh weights.

    Parameters
    ----------
    name
        One of `list_aggregators()`.
    in_dim
        D, the length of an instance's feature vector, or the channels of its map.
    n_classes
        C; 1 is one sigmoid unit.
    **options
        As the class of that name documents them; `multi_label=True` makes C >= 2 classes
        independent, `spatial_dims=2` takes maps.

    Raises
    ------
    UnknownNameError
        If there is no such aggregator.
    OptionError
        If it has no such option, or not with this value.
    """
    implementation = aggregator_class(name)
    check_options(f"The aggregator {name}", implementation, options)
    try:
        return implementation(in_dim, n_classes, **options)
    except (TypeError, ValueError) as error:
        raise OptionError(
            f"The aggregator {name} does not take these options ({error}); see its documentation."
        ) from error
