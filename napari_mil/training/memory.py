"""Memory that training needs, measured, and memory that it may take."""

from __future__ import annotations

import psutil
import torch
from torch import Tensor, nn

from napari_mil.training.config import TrainingConfig

SHARE_OF_FREE_MEMORY = 0.5


def memory_budget(config: TrainingConfig) -> float:
    """Return the bytes that bags and activations may take."""
    if config.memory_gb is not None:
        return config.memory_gb * 1e9
    return SHARE_OF_FREE_MEMORY * psutil.virtual_memory().available


def measure_bytes_per_image(backbone: nn.Module, channels: int, side: int) -> float:
    """Measure the bytes that one more image stores for the gradient.

    Counts what autograd saves of two and of four images; the difference leaves out what is saved
    once, such as weights.
    """
    of_two = _saved_bytes(backbone, torch.zeros(2, channels, side, side))
    of_four = _saved_bytes(backbone, torch.zeros(4, channels, side, side))
    return max(1.0, (of_four - of_two) / 2)


def _saved_bytes(backbone: nn.Module, images: Tensor) -> int:
    storages: dict[int, int] = {}

    def count(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    was_training = backbone.training
    backbone.train()
    state = torch.get_rng_state()
    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        # The output is held until the storages are counted, so that no address is used twice.
        output = backbone(images)
    torch.set_rng_state(state)
    backbone.train(was_training)
    del output
    return sum(storages.values())
