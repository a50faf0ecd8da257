"""How much memory training needs, measured rather than guessed."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def measure_bytes_per_image(backbone: nn.Module, channels: int, side: int) -> float:
    """Return the bytes that one more image leaves behind for the gradient.

    Counts what autograd saves of two and of four images; the difference leaves out what is saved once, such as weights.
    """
    saved = [_saved_bytes(backbone, torch.zeros(n, channels, side, side)) for n in (2, 4)]
    return max(1.0, (saved[1] - saved[0]) / 2)


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
        kept = backbone(images)
    torch.set_rng_state(state)
    backbone.train(was_training)
    return sum(storages.values())
