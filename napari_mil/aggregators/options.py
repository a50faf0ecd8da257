"""Options of aggregators, checked against the signatures that declare them."""

from __future__ import annotations

import inspect
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from torch import nn

from napari_mil.errors import OptionError


def declared_options(kind: type[nn.Module]) -> dict[str, tuple[Any, Any]]:
    """Return (annotation, default) of every keyword option of a class.

    Options of parents count where the class passes its own on to them.
    """
    options: dict[str, tuple[Any, Any]] = {}
    for parent in kind.__mro__:
        if "__init__" not in vars(parent) or parent is nn.Module:
            continue
        constructor = vars(parent)["__init__"]
        parameters = inspect.signature(constructor).parameters.values()
        hints = get_type_hints(constructor)
        for parameter in parameters:
            if parameter.kind is parameter.KEYWORD_ONLY:
                options.setdefault(parameter.name, (hints[parameter.name], parameter.default))
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
            break
    return options


def check_options(what: str, kind: type[nn.Module], options: dict[str, Any]) -> None:
    """Refuse unknown options and values they cannot have.

    A value must be one of those an annotation names; a count must be at least 1, or at least 0
    where that is its default.

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
        is_union = get_origin(annotation) in (Union, UnionType)
        kinds = get_args(annotation) if is_union else (annotation,)
        if value is None and NoneType in kinds:
            continue
        for part in kinds:
            accepted = _unmet_requirement(part, default, value)
            if accepted is not None:
                raise OptionError(f"{what} takes {accepted} as {name}, not {value!r}.")


def _unmet_requirement(annotation: Any, default: Any, value: Any) -> str | None:
    """Return what an annotation takes where a value is not that."""
    if get_origin(annotation) is Literal and value not in get_args(annotation):
        return " or ".join(map(repr, get_args(annotation)))
    if annotation is int:
        smallest = 0 if default == 0 else 1
        if isinstance(value, bool) or not isinstance(value, int) or value < smallest:
            return f"a whole number of at least {smallest}"
    if annotation is bool and not isinstance(value, bool):
        return "True or False"
    return None
