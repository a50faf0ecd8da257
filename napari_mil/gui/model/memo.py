"""Results kept by what they were made from, so that the same state gives the same arrays."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")
KEPT = 32


class Memo:
    """Calls functions once for the same arguments, and keeps the newest results.

    Arrays, mappings and objects without equality of their own are the same if they are the same
    object; numbers, texts and frozen values if they are equal.
    """

    def __init__(self, size: int = KEPT) -> None:
        self._size = size
        self._results: OrderedDict[Hashable, tuple[Any, tuple[Any, ...]]] = OrderedDict()

    def __call__(self, function: Callable[P, R], *arguments: P.args, **options: P.kwargs) -> R:
        """Return the result of a function, from memory if it was called so before."""
        key = (function, *map(_identity, arguments), *options.items())
        if key in self._results:
            self._results.move_to_end(key)
            result: R = self._results[key][0]
            return result
        result = function(*arguments, **options)
        # The arguments are kept too: an object that is gone would lend its identity to another.
        self._results[key] = (result, arguments)
        if len(self._results) > self._size:
            self._results.popitem(last=False)
        return result


def _identity(argument: Any) -> Hashable:
    try:
        hash(argument)
    except TypeError:
        return ("object", id(argument))
    return (type(argument), argument)
