"""Loading of published checkpoints, from a file or a state dict."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from napari_mil.aggregators.aggregator import Aggregator
from napari_mil.aggregators.published import (
    attention_deep_mil,
    clam,
    dsmil_wsi,
    dtfd_mil,
    formulas,
    mhim_mil,
    transmil,
)
from napari_mil.aggregators.published.layout import Hint, Layout, State, listed, part_of
from napari_mil.errors import CheckpointError, NapariMilError
from napari_mil.pickles import load_pickle

LAYOUTS: tuple[Layout, ...] = (mhim_mil, clam, transmil, dtfd_mil, dsmil_wsi, attention_deep_mil)
"""Known layouts; the first that recognises the names is used."""
WRAPPERS = ("module.", "_orig_mod.", "model.")
"""Prefixes that DataParallel, torch.compile and Lightning put before every name."""
CONTAINERS = ("state_dict", "model_state_dict", "model")
"""Keys of training dumps that hold a state dict."""
STUDENTS = ("student", "model")
"""Keys of training dumps that hold the student beside a teacher."""
DEEPEST = 4
"""Number of nested containers that are opened."""


def load_published_checkpoint(path: str | os.PathLike[str], hint: Hint | None = None) -> Aggregator:
    """Load the checkpoint of another project.

    Parameters
    ----------
    path
        A file of `torch.save` or a safetensors file: a state dict, alone or in a training dump.
    hint
        See `load_published_state`.

    Returns
    -------
    Aggregator
        In evaluation mode, rebuilt from the shapes of the tensors.

    Raises
    ------
    CheckpointError
        If the file cannot be opened safely, or its tensors are of no known project.
    """
    file = Path(path)
    if file.suffix == ".safetensors":
        try:
            content: Any = load_file(file)
        except (OSError, SafetensorError) as error:
            raise CheckpointError(
                f"{file} cannot be read as safetensors ({error}); it is missing or damaged."
            ) from error
    else:
        content = load_pickle(file)
    try:
        return load_published_state(content, hint)
    except CheckpointError as error:
        raise CheckpointError(f"{file.name}: {error}") from error


def load_published_state(state_dict: Mapping[str, Any], hint: Hint | None = None) -> Aggregator:
    """Rebuild an aggregator from another project's state dict.

    Parameters
    ----------
    state_dict
        Tensors by name; in named groups (nested, or ``group/name``) where the project saves several
        networks; or a training dump.
    hint
        What tensors cannot tell: ``{"aggregator": name, **hyperparameters}`` as the project calls
        them.

    Raises
    ------
    CheckpointError
        If the tensors are of no known project or do not fit the network that their shapes describe.
    """
    if not isinstance(state_dict, Mapping):
        raise CheckpointError(
            f"There is no state dict in it, but a whole {type(state_dict).__name__}; "
            "save model.state_dict() instead."
        )
    try:
        return _rebuild(tensors_of(state_dict), dict(hint or {}))
    except NapariMilError as error:
        raise CheckpointError(str(error)) from error
    except (
        KeyError,
        ValueError,
        IndexError,
        TypeError,
        AttributeError,
        AssertionError,
        StopIteration,
        RuntimeError,
    ) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:160]
        raise CheckpointError(
            "The tensors are incomplete or of unexpected shapes, "
            f"so the network cannot be rebuilt ({reason})."
        ) from error


def _rebuild(state: State, hint: Hint) -> Aggregator:
    """Rebuild the network with the first layout that recognises the tensors."""
    if not state:
        raise CheckpointError("There are no tensors by name in it; save model.state_dict().")
    if hint.get("aggregator") in formulas.READERS:
        return formulas.build(state, hint)
    # A training dump may hold more than the network: then its part under a wrapper's prefix is
    # tried alone.
    for candidate in (state, *(part_of(state, prefix) for prefix in WRAPPERS)):
        for layout in LAYOUTS:
            if layout.recognises(candidate):
                module = layout.build(candidate, hint)
                assert isinstance(module, Aggregator)
                return module
    projects = "; ".join(layout.project for layout in LAYOUTS)
    raise CheckpointError(
        f"Its tensors ({listed(list(state))}) are named as in none of the projects "
        f"that can be opened: {projects}."
    )


def tensors_of(content: Mapping[str, Any], depth: int = 0) -> State:
    """Find the tensors of the network in a state dict or training dump.

    Prefixes of wrappers are removed; where a project saves several networks, their names begin with
    ``group/``.
    """
    if set(content) >= dtfd_mil.GROUPS:
        return _flatten_groups({group: content[group] for group in dtfd_mil.GROUPS})
    student = next((name for name in STUDENTS if isinstance(content.get(name), Mapping)), None)
    if (
        student is not None
        and isinstance(content.get("teacher"), Mapping)
        and mhim_mil.recognises(_remove_wrappers(content[student]))
    ):
        return _flatten_groups({"student": content[student], "teacher": content["teacher"]})
    for name in (*CONTAINERS, *STUDENTS):
        if isinstance(content.get(name), Mapping) and depth < DEEPEST:
            return tensors_of(content[name], depth + 1)
    return _remove_wrappers(content)


def _flatten_groups(groups: Mapping[str, Any]) -> State:
    """Return the tensors of all groups under ``group/name``."""
    for group, state in groups.items():
        if not isinstance(state, Mapping):
            raise CheckpointError(f"The group {group} holds no tensors by name.")
    return {
        f"{group}/{name}": tensor
        for group, state in groups.items()
        for name, tensor in _remove_wrappers(state).items()
    }


def _remove_wrappers(content: Mapping[Any, Any]) -> dict[str, Tensor]:
    """Return the tensors by name, without prefixes that all names share.

    Raises
    ------
    CheckpointError
        If a tensor claims more numbers than the file holds, or does not hold plain numbers.
    """
    state = {
        name: tensor
        for name, tensor in content.items()
        if isinstance(name, str) and isinstance(tensor, Tensor)
    }
    for name, tensor in state.items():
        if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_complex():
            raise CheckpointError(
                f"The tensor {name} is sparse, quantised or complex, which no network here is."
            )
        if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
            raise CheckpointError(
                f"The tensor {name} claims {tensor.numel()} numbers, more than the file holds."
            )
    prefix = _shared_prefix(state)
    while prefix is not None:
        state = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
        prefix = _shared_prefix(state)
    return state


def _shared_prefix(state: State) -> str | None:
    """Return the first wrapper's prefix that all names share, or None."""
    if not state:
        return None
    for prefix in WRAPPERS:
        if all(name.startswith(prefix) for name in state):
            return prefix
    return None
