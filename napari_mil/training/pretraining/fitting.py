"""Adapting of the network, epoch by epoch."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from napari_mil.encoders.efficientnet_lite import TAPS, vectors_of
from napari_mil.events import CancellationToken
from napari_mil.networks.efficientnet_lite import (
    LEVEL_SCALE,
    MEAN_LEVEL,
    EfficientNetLite0Trunk,
    block_channels,
)
from napari_mil.networks.folding import FoldedTrunk
from napari_mil.training.determinism import epoch_seed
from napari_mil.training.fitting import Row
from napari_mil.training.pretraining.augmentation import Augmentation
from napari_mil.training.pretraining.config import PretrainingConfig
from napari_mil.training.pretraining.objective import contrastive_loss, projection_head
from napari_mil.training.pretraining.tiles import Tiles

FIRST_TRAINED = TAPS[0] + 1
"""First block that is trained.

What comes before holds 8 % of the weights: edges and colours, which photographs teach as well. At
the resolution it works at, training it as well would halve the speed on a CPU, and half of the
vector, the maps of block 4, stays what it was.
"""
LARGEST_VIEW = 128
"""Side of a view at most, px: a third of the work of a tile of 224 px."""
SHARE_OF_TILE = 0.57
"""Side of a view as a share of its tile's: two views overlap, and are not the same place."""
STEP_PX = 16
"""Sides of views are multiples of it, the network's stride."""
SMALLEST_VIEW = 32
"""Side of a view at least, px; the network's last map then has 2 by 2 places."""
MEASURED = 256
"""Tiles that centre and scale the vectors."""
MEASURED_AT_ONCE = 16
"""Tiles that pass through the network together for that."""
LONGEST_GRADIENT = 1.0
"""Norm to which gradients are clipped."""


class Network(nn.Module):
    """Network in training: blocks that stay, blocks that learn, a projection.

    Batch norms keep their statistics, so that a view does not see the others of its batch.

    Parameters
    ----------
    trunk
        Network to adapt; its later blocks are changed.
    first_trained
        First block that is trained, from 1 to the one after the first tap.
    """

    def __init__(self, trunk: EfficientNetLite0Trunk, first_trained: int = FIRST_TRAINED) -> None:
        super().__init__()
        self.trunk = trunk
        self.first_trained = first_trained
        front = EfficientNetLite0Trunk((first_trained - 1,)).eval()
        state = trunk.state_dict()
        front.load_state_dict({name: state[name] for name in front.state_dict()})
        self.front = FoldedTrunk(front)
        self.learning = trunk.blocks[first_trained:]
        trunk.requires_grad_(False)
        self.learning.requires_grad_(True)
        dim = 2 * sum(block_channels()[tap] for tap in TAPS)
        self.head = projection_head(dim)
        self.mean: Tensor
        self.scale: Tensor
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("scale", torch.ones(dim))
        self.eval()

    def vectors(self, levels: Tensor) -> Tensor:
        """Return the encoder's vectors (B, dim) of levels 0 ... 255, (B, H, W, 3)."""
        images = (levels.permute(0, 3, 1, 2).float() - MEAN_LEVEL) / LEVEL_SCALE
        images = images.contiguous(memory_format=torch.channels_last)
        with torch.no_grad():
            (x,) = self.front(images)
        maps = {self.first_trained - 1: x}
        for number, block in enumerate(self.learning, self.first_trained):
            x = block(x)
            maps[number] = x
        return vectors_of(tuple(maps[tap] for tap in TAPS))

    def forward(self, levels: Tensor) -> Tensor:
        """Project levels 0 ... 255, (B, H, W, 3), to (B, P)."""
        projected: Tensor = self.head((self.vectors(levels) - self.mean) / self.scale)
        return projected

    @torch.no_grad()
    def measure(self, tiles: Tensor) -> None:
        """Centre and scale vectors by those of some tiles, uint8 (n, H, W, 3)."""
        vectors = torch.cat([self.vectors(part) for part in tiles.split(MEASURED_AT_ONCE)])
        self.mean.copy_(vectors.mean(0))
        self.scale.copy_(vectors.std(0, correction=0).clamp_min(1e-3))

    def trained_state(self) -> dict[str, Tensor]:
        """Return the tensors that training changes or has measured, by name."""
        return {
            name: tensor
            for name, tensor in self.state_dict().items()
            if name.startswith(("learning.", "head.")) or name in ("mean", "scale")
        }


class Adaptation:
    """State of one run between epochs.

    Parameters
    ----------
    trunk
        Network to adapt.
    tiles
        What it learns from.
    config
        How.
    device
        Where.
    """

    def __init__(
        self,
        trunk: EfficientNetLite0Trunk,
        tiles: Tiles,
        config: PretrainingConfig,
        device: torch.device,
    ) -> None:
        self._tiles = tiles
        self._config = config
        self._device = device
        torch.manual_seed(config.seed)
        self.network = Network(trunk).to(device)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._optimiser = torch.optim.AdamW(
            [weight for weight in self.network.parameters() if weight.requires_grad],
            config.learning_rate,
            weight_decay=config.weight_decay,
            fused=True,
        )
        self._augmentation = Augmentation(view_px(tiles.pixels.shape[1]))
        self.history: list[Row] = []
        spread = np.linspace(0, len(tiles.learned) - 1, min(MEASURED, len(tiles.learned)))
        measured = tiles.read(tiles.learned[spread.astype(int)])
        self.network.measure(torch.tensor(measured, device=device))

    @property
    def epoch(self) -> int:
        """Epochs that are over."""
        return len(self.history)

    @property
    def finished(self) -> bool:
        """Whether all epochs are over."""
        return self.epoch >= self._config.epochs

    @property
    def trunk(self) -> EfficientNetLite0Trunk:
        """Adapted network, on the CPU."""
        adapted = EfficientNetLite0Trunk(TAPS).eval()
        adapted.load_state_dict(self.network.trunk.state_dict())
        return adapted

    def advance(self, cancel: CancellationToken) -> Row:
        """Learn for one epoch and return its figures.

        Raises
        ------
        CancelledError
            If cancelled; the state is then that of no epoch, and not to be kept.
        """
        seed = epoch_seed(self._config.seed, self.epoch)
        random = np.random.default_rng(seed)
        views = torch.Generator().manual_seed(seed)
        rate = self._config.learning_rate
        rate *= (1 + math.cos(math.pi * self.epoch / self._config.epochs)) / 2
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        losses = []
        for numbers in self._batches(random):
            cancel.raise_if_cancelled()
            losses.append(self._step(numbers, views))
        row: Row = {
            "epoch": float(self.epoch + 1),
            "loss": float(np.mean(losses)),
            "learning_rate": rate,
        }
        self.history.append(row)
        return row

    def _batches(self, random: np.random.Generator) -> list[np.ndarray]:
        """Return the tiles of every step, in random order."""
        order = random.permutation(self._tiles.learned)
        size = min(self._config.batch, len(order))
        # The rest, too small to tell many tiles apart, has its turn in another epoch.
        return [order[k : k + size] for k in range(0, len(order) - size + 1, size)]

    def _step(self, numbers: np.ndarray, random: torch.Generator) -> float:
        """Take one step of the optimiser; return its loss."""
        tiles = torch.tensor(self._tiles.read(numbers), device=self._device)
        both = torch.cat([self._augmentation.views(tiles, random) for _ in range(2)])
        first, second = self.network(both).chunk(2)
        loss = contrastive_loss(first, second, self._config.temperature)
        self._optimiser.zero_grad()
        loss.backward()
        weights = [weight for weight in self.network.parameters() if weight.requires_grad]
        nn.utils.clip_grad_norm_(weights, LONGEST_GRADIENT)
        self._optimiser.step()
        return loss.item()

    def state(self) -> dict[str, Any]:
        """Return what a resumed run needs to go on with the same bits."""
        return {
            "network": self.network.trained_state(),
            "optimiser": self._optimiser.state_dict(),
            "history": list(self.history),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Go on from a state.

        Raises
        ------
        KeyError, TypeError, ValueError, RuntimeError
            If it is none of this network.
        """
        own = self.network.trained_state()
        if own.keys() != state["network"].keys():
            raise ValueError("other tensors")
        with torch.no_grad():
            for name, tensor in own.items():
                tensor.copy_(state["network"][name])
        self._optimiser.load_state_dict(state["optimiser"])
        self.history = [dict(row) for row in state["history"]]


def view_px(tile_px: int) -> int:
    """Return the side of the views of tiles, px."""
    wanted = round(SHARE_OF_TILE * tile_px / STEP_PX) * STEP_PX
    return min(tile_px, LARGEST_VIEW, max(wanted, SMALLEST_VIEW))
