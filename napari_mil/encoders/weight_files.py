"""Weights of foundation encoders: finding, downloading and reading their files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from napari_mil.encoders.adapted_cards import own_encoders_folder
from napari_mil.encoders.foundation_cards import EXTRA, FoundationModel
from napari_mil.encoders.transformers_names import with_timm_names
from napari_mil.errors import CheckpointError, short_cause
from napari_mil.pickles import load_pickle

SUFFIXES = (".safetensors", ".pth", ".pt", ".bin")
"""Endings of files of weights."""
WRAPPERS = ("state_dict", "model", "teacher")
"""Names under which a file may hold its weights, beside others."""
PREFIXES = ("module.", "backbone.", "encoder.")
"""Beginnings that the names of all tensors may have in common."""
NAMED = 3
"""Tensors that a message names."""


def find_weights(model: FoundationModel, given: Path | None) -> Path:
    """Return the file of weights of an encoder.

    The one that was given; otherwise ``<name>.safetensors`` (or .pth, .pt, .bin) in
    `own_encoders_folder`; otherwise a download, which Hugging Face keeps.

    Parameters
    ----------
    model
        Encoder whose weights are wanted.
    given
        File, or folder with one file of weights.

    Raises
    ------
    CheckpointError
        If there is no such file, or it cannot be downloaded.
    """
    if given is not None:
        return _file_of(given)
    for suffix in SUFFIXES:
        file = own_encoders_folder() / f"{model.card.name}{suffix}"
        if file.exists():
            return file
    return _download(model)


def _file_of(given: Path) -> Path:
    """Return the file of weights at a path."""
    if not given.is_dir():
        if not given.exists():
            raise CheckpointError(f"There are no weights at {given}; check the path.")
        return given
    files = sorted(path for path in given.iterdir() if path.suffix in SUFFIXES)
    if len(files) != 1:
        raise CheckpointError(
            f"The folder {given} holds {len(files)} files of weights ({', '.join(SUFFIXES)}), "
            "not one; give the path of the file."
        )
    return files[0]


def _download(model: FoundationModel) -> Path:
    """Download weights, or return the copy that was kept."""
    source = model.weights
    own = own_encoders_folder() / f"{model.card.name}{Path(source.file).suffix}"
    by_hand = f"or download {source.file} from {source.page} and put it at {own}"
    try:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import GatedRepoError
    except ImportError as error:
        raise CheckpointError(
            f"The weights of {model.card.name} are not here; install {EXTRA}, {by_hand}."
        ) from error
    try:
        return Path(hf_hub_download(source.repository, source.file, revision=source.revision))
    except GatedRepoError as error:
        raise CheckpointError(
            f"The weights of {model.card.name} are gated; accept their terms at {source.page} and "
            f"log in with `hf auth login`, {by_hand}."
        ) from error
    except Exception as error:  # whatever the network and the client raise
        raise CheckpointError(
            f"The weights of {model.card.name} could not be downloaded ({short_cause(error)}); "
            f"try again, {by_hand}."
        ) from error


def read_weights(file: Path) -> dict[str, Tensor]:
    """Read tensors by timm's names, without wrappers and common beginnings of names.

    Raises
    ------
    CheckpointError
        If the file is damaged, or holds no tensors by name.
    """
    try:
        content = load_file(file) if file.suffix == ".safetensors" else load_pickle(file)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{file.name} cannot be read ({short_cause(error)}); download it again."
        ) from error
    for name in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(name), Mapping):
            content = content[name]
    if not isinstance(content, Mapping) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in content.items()
    ):
        raise CheckpointError(
            f"{file.name} holds no tensors by name; give the file of a state dict."
        )
    state = dict(content)
    for prefix in PREFIXES:
        if state and all(name.startswith(prefix) for name in state):
            state = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
    return with_timm_names(state)


def fill(network: nn.Module, model: FoundationModel, file: Path) -> None:
    """Give a network the weights of a file, all of them.

    Parameters
    ----------
    network
        Network without values, on the meta device.
    model
        Encoder that the network belongs to.
    file
        File of weights.

    Raises
    ------
    CheckpointError
        If the file misses a tensor, has another one, or one of another shape.
    """
    state = {
        name: tensor.float() if tensor.is_floating_point() else tensor
        for name, tensor in read_weights(file).items()
        if not name.startswith(model.architecture.ignored or ("\0",))
    }
    expected = network.state_dict()
    shared = expected.keys() & state.keys()
    faults = {
        "missing": sorted(expected.keys() - state.keys()),
        "not known": sorted(state.keys() - expected.keys()),
        "of another shape": sorted(
            name for name in shared if expected[name].shape != state[name].shape
        ),
    }
    told = [f"{len(names)} {kind} ({_some(names)})" for kind, names in faults.items() if names]
    if told:
        raise CheckpointError(
            f"{file.name} does not hold the weights of {model.card.name}: of "
            f"{len(expected)} tensors {', '.join(told)}; "
            f"give {model.weights.file} of {model.weights.page}."
        )
    network.load_state_dict(state, strict=True, assign=True)
    left = [name for name, value in network.named_buffers() if value.device == torch.device("meta")]
    if left:
        raise CheckpointError(
            f"{file.name} does not hold {_some(left)} of {model.card.name}; "
            "install another version of timm."
        )


def _some(names: list[str]) -> str:
    """Return the first names, and that there are more."""
    return ", ".join(names[:NAMED]) + (", …" if len(names) > NAMED else "")
