"""Options of aggregators, checked against the signatures that declare them."""

from __future__ import annotations

import inspect
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from torch import nn

from napari_mil.errors import OptionError


def declared_options(kind: type[nn.Module]) -> dict[str, tuple[Any, Any]]:
    """Return (annotation, default) of every keyword option of a class and of those it passes its own on to."""
    options: dict[str, tuple[Any, Any]] = {}
    for parent in kind.__mro__:
        if "__init__" not in vars(parent) or parent is nn.Module:
            continue
        constructor = vars(parent)["__init__"]
        signature, hints = inspect.signature(constructor), get_type_hints(constructor)
        for name, parameter in signature.parameters.items():
            if parameter.kind is parameter.KEYWORD_ONLY:
                options.setdefault(name, (hints[name], parameter.default))
        if not any(
            parameter.kind is parameter.VAR_KEYWORD for parameter in signature.parameters.values()
        ):
            break
    return options


def check_options(what: str, kind: type[nn.Module], options: dict[str, Any]) -> None:
    """Refuse options that a class does not declare, and values that are none of those it names, or counts below 1.

    Raises
    ------
    OptionError
        Naming `what`, the option, and what it takes.
    """
    declared = declared_options(kind)
    for name, value in options.items():
        if name not in declared:
            raise OptionError(
                f"{what} has no option {name!r}; it has {', '.join(sorted(declared))}."
            )
        annotation, default = declared[name]
        kinds = (
            get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
        )
        if value is None and NoneType in kinds:
            continue
        for part in kinds:
            if get_origin(part) is Literal and value not in get_args(part):
                raise OptionError(
                    f"{what} takes {' or '.join(map(repr, get_args(part)))} as {name}, not {value!r}."
                )
            if part is int and (
                isinstance(value, bool)
                or not isinstance(value, int)
                or value < (0 if default == 0 else 1)
            ):
                raise OptionError(
                    f"{what} takes a whole number of at least {0 if default == 0 else 1} as {name}, not {value!r}."
                )
            if part is bool and not isinstance(value, bool):
                raise OptionError(f"{what} takes True or False as {name}, not {value!r}.")
