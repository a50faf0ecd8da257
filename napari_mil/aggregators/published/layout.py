"""What the files of this room share: a layout is one project's way of naming tensors."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from torch import Tensor, nn

from napari_mil.errors import CheckpointError

State = Mapping[str, Tensor]
Hint = Mapping[str, Any]
Rules = Sequence[tuple[str, str]]
Module = TypeVar("Module", bound=nn.Module)


class Layout(Protocol):
    """One project's checkpoints."""

    project: str

    def recognises(self, state: State) -> bool:
        """Whether the names are this project's."""

    def build(self, state: State, hint: Hint) -> nn.Module:
        """Rebuild the network from the shapes of its tensors, and load them."""


def fill(module: Module, state: State, rules: Rules, ignored: Iterable[str] = ()) -> Module:
    """Load tensors under the names that rules give them, all of them and nothing else.

    Parameters
    ----------
    module
        Where they go.
    state
        Tensors under their published names.
    rules
        (pattern, replacement): the first whose pattern matches a name from its start says how that part is called here.
    ignored
        Patterns of names that carry no weights of the network.

    Raises
    ------
    CheckpointError
        If names are left over or missing, or shapes differ.
    """
    renamed: dict[str, Tensor] = {}
    unknown = []
    for name, tensor in state.items():
        if any(re.fullmatch(pattern, name) for pattern in ignored):
            continue
        for pattern, replacement in rules:
            if match := re.match(pattern, name):
                ours = match.expand(replacement) + name[match.end() :]
                if ours in renamed:
                    raise CheckpointError(
                        f"Two of the tensors would be {ours} here, of which {name} is one; the checkpoint mixes two releases."
                    )
                renamed[ours] = tensor
                break
        else:
            unknown.append(name)
    own = module.state_dict()
    unknown += sorted(set(renamed) - set(own))
    missing = sorted(
        name for name in set(own) - set(renamed) if not name.endswith("num_batches_tracked")
    )
    if unknown or missing:
        parts = [f"it has {listed(unknown)}, which this network has not"] * bool(unknown) + [
            f"it lacks {listed(missing)}"
        ] * bool(missing)
        raise CheckpointError(
            f"The tensors do not fit the network that their shapes describe: {' and '.join(parts)}."
        )
    for name, tensor in renamed.items():
        if own[name].is_floating_point() and not tensor.is_floating_point():
            raise CheckpointError(f"The tensor {name} holds {tensor.dtype}, no real numbers.")
        if own[name].shape != tensor.shape:
            raise CheckpointError(
                f"The tensor {name} has the shape {tuple(tensor.shape)}; the network has {tuple(own[name].shape)} there."
            )
    module.load_state_dict({**own, **renamed})
    return module.eval()


def part_of(state: State, prefix: str) -> dict[str, Tensor]:
    """Return the tensors under a prefix, without it."""
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in state.items()
        if name.startswith(prefix)
    }


def listed(names: Sequence[str], most: int = 4) -> str:
    """Name a few."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
