"""From a file, or a state dict, to an aggregator."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from napari_mil.aggregators.aggregator import Aggregator
from napari_mil.aggregators.published import attention_deep_mil, clam, dsmil_wsi, dtfd_mil, formulas, mhim_mil, transmil
from napari_mil.aggregators.published.layout import Hint, Layout, State, listed
from napari_mil.errors import CheckpointError, NapariMilError
from napari_mil.pickles import load_pickle

LAYOUTS: tuple[Layout, ...] = (mhim_mil, clam, transmil, dtfd_mil, dsmil_wsi, attention_deep_mil)
"""The first that recognises the names rebuilds the network."""
WRAPPERS = ("module.", "_orig_mod.", "model.")
"""What DataParallel, torch.compile and Lightning put before every name."""
CONTAINERS = ("state_dict", "model_state_dict", "model")
STUDENTS = ("student", "model")


def load_published_checkpoint(path: str | os.PathLike[str]) -> Aggregator:
    """Open another project's checkpoint.

    Parameters
    ----------
    path
        What `torch.save` wrote, or a safetensors file: a state dict, alone or in a training dump.

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
            raise CheckpointError(f"{file} cannot be read as safetensors ({error}); copy it again.") from error
    else:
        content = load_pickle(file)
    try:
        return load_published_state(content)
    except CheckpointError as error:
        raise CheckpointError(f"{file.name}: {error}") from error


def load_published_state(state_dict: Mapping[str, Any], hint: Hint | None = None) -> Aggregator:
    """Rebuild an aggregator from another project's state dict.

    Parameters
    ----------
    state_dict
        Tensors by name; in named groups (nested, or ``group/name``) where the project saves several networks; or a training dump.
    hint
        What tensors cannot tell: ``{"aggregator": name, **hyperparameters}`` as the project calls them.

    Raises
    ------
    CheckpointError
        If the tensors are of no known project or do not fit the network that their shapes describe.
    """
    hint = dict(hint or {})
    if not isinstance(state_dict, Mapping):
        raise CheckpointError(f"There is no state dict in it, but {_what(state_dict)}; save model.state_dict() instead.")
    state = tensors_of(state_dict)
    if not state:
        raise CheckpointError(f"There are no tensors by name in it (but {listed([str(key) for key in state_dict]) or 'nothing'}); save model.state_dict().")
    try:
        if hint.get("aggregator") in formulas.READERS:
            return formulas.build(state, hint)
        for layout in LAYOUTS:
            if layout.recognises(state):
                return _as_aggregator(layout.build(state, hint))
    except (KeyError, ValueError, IndexError, StopIteration) as error:
        raise CheckpointError(f"The tensors are incomplete or of unexpected shapes ({error!r}), so the network cannot be rebuilt.") from error
    except NapariMilError as error:
        raise CheckpointError(str(error)) from error
    raise CheckpointError(
        f"Its tensors ({listed(list(state))}) are named as in none of the projects that can be opened: {'; '.join(layout.project for layout in LAYOUTS)}."
    )


def tensors_of(content: Mapping[str, Any]) -> State:
    """Find the tensors of the network: flat, with ``group/`` before the names of several networks, without what wrappers put before names."""
    if set(content) >= dtfd_mil.GROUPS:
        return _flat({group: content[group] for group in dtfd_mil.GROUPS})
    if "teacher" in content and (student := next((name for name in STUDENTS if name in content), None)):
        return _flat({"student": content[student], "teacher": content["teacher"]})
    for name in CONTAINERS:
        if isinstance(content.get(name), Mapping):
            return tensors_of(content[name])
    return _unwrapped({name: tensor for name, tensor in content.items() if isinstance(name, str) and isinstance(tensor, Tensor)})


def _flat(groups: Mapping[str, Any]) -> State:
    return {f"{group}/{name}": tensor for group, state in groups.items() for name, tensor in _unwrapped(state).items()}


def _unwrapped(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Take off prefixes that all names share."""
    unwrapped = dict(state)
    while unwrapped and (prefix := next((prefix for prefix in WRAPPERS if all(re.match(re.escape(prefix), name) for name in unwrapped)), None)):
        unwrapped = {name.removeprefix(prefix): tensor for name, tensor in unwrapped.items()}
    return unwrapped


def _as_aggregator(module: nn.Module) -> Aggregator:
    assert isinstance(module, Aggregator)
    return module


def _what(content: Any) -> str:
    return f"a whole {type(content).__name__}"
