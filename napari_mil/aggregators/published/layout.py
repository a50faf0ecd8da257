"""Layouts of published checkpoints, and loading by renaming rules.

A layout is one project's way of naming tensors.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from torch import Tensor, nn

from napari_mil.errors import CheckpointError

State = Mapping[str, Tensor]
"""Tensors by name."""
Hint = Mapping[str, Any]
"""Hyperparameters by the name that the project gives them."""
Rules = Sequence[tuple[str, str]]
"""Regular expressions of published names, and the names that replace them."""
Module = TypeVar("Module", bound=nn.Module)


class Layout(Protocol):
    """Layout of one project's checkpoints."""

    project: str
    """Name of the project, for messages."""

    def recognises(self, state: State) -> bool:
        """Whether the tensors have this project's names."""

    def build(self, state: State, hint: Hint) -> nn.Module:
        """Rebuild the network from the shapes of its tensors, and load them."""


def fill(module: Module, state: State, rules: Rules, ignored: Iterable[str] = ()) -> Module:
    """Load all tensors into a module under the names that rules give.

    Every tensor must fit a weight, and every weight must have a tensor.

    Parameters
    ----------
    module
        The network that takes the weights.
    state
        Tensors under their published names.
    rules
        (pattern, replacement): the first pattern that matches a name from its start is replaced,
        which gives the name here.
    ignored
        Patterns of names that carry no weights of the network.

    Raises
    ------
    CheckpointError
        If names are left over or missing, or shapes differ.
    """
    renamed, unknown = _rename(state, rules, ignored)
    weights = module.state_dict()
    unknown += sorted(set(renamed) - set(weights))
    missing = sorted(
        name for name in set(weights) - set(renamed) if not name.endswith("num_batches_tracked")
    )
    differences = []
    if unknown:
        differences.append(f"it has {listed(unknown)}, which this network has not")
    if missing:
        differences.append(f"it lacks {listed(missing)}")
    if differences:
        raise CheckpointError(
            "The tensors do not fit the network that their shapes describe: "
            f"{' and '.join(differences)}."
        )
    for name, tensor in renamed.items():
        if weights[name].is_floating_point() and not tensor.is_floating_point():
            raise CheckpointError(f"The tensor {name} holds {tensor.dtype}, no real numbers.")
        if weights[name].shape != tensor.shape:
            raise CheckpointError(
                f"The tensor {name} has the shape {tuple(tensor.shape)}; "
                f"the network has {tuple(weights[name].shape)} there."
            )
    module.load_state_dict({**weights, **renamed})
    return module.eval()


def _rename(
    state: State, rules: Rules, ignored: Iterable[str]
) -> tuple[dict[str, Tensor], list[str]]:
    """Rename tensors by rules; return them and the unknown names."""
    renamed: dict[str, Tensor] = {}
    unknown = []
    for published_name, tensor in state.items():
        if any(re.fullmatch(pattern, published_name) for pattern in ignored):
            continue
        name = _first_replacement(published_name, rules)
        if name is None:
            unknown.append(published_name)
        elif name in renamed:
            raise CheckpointError(
                f"Two of the tensors would be {name} here, of which {published_name} is one; "
                "the checkpoint mixes two releases."
            )
        else:
            renamed[name] = tensor
    return renamed, unknown


def _first_replacement(name: str, rules: Rules) -> str | None:
    """Return the name under the first rule that matches, or None."""
    for pattern, replacement in rules:
        if match := re.match(pattern, name):
            return match.expand(replacement) + name[match.end() :]
    return None


def part_of(state: State, prefix: str) -> dict[str, Tensor]:
    """Return the tensors whose names have a prefix, without the prefix."""
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in state.items()
        if name.startswith(prefix)
    }


def listed(names: Sequence[str], most: int = 4) -> str:
    """List the first names in one phrase, and count the rest."""
    phrase = ", ".join(names[:most])
    if len(names) <= most:
        return phrase
    return f"{phrase} and {len(names) - most} more"
