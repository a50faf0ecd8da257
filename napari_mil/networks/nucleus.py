"""Network for colon nuclei and breast tiles.

Sirinukunwattana et al. 2016, as Ilse et al. 2018 use it (supplement, table 9):
conv(4, 36)-ReLU, maxpool(2), conv(3, 48)-ReLU, maxpool(2),
fc-512-ReLU, dropout, fc-512-ReLU, dropout.
Weights start Xavier-uniform and biases at zero, as in the code of Rymarczyk et al. 2021.
"""

from __future__ import annotations

from torch import Tensor, nn


class NucleusNet(nn.Module):
    """Network from small RGB tiles to vectors.

    Parameters
    ----------
    out_dim
        Length of a vector.
    side
        Height and width of a tile, px: 27 for nuclei of colon tissue, 32 for breast tiles.
    dropout
        Rate after each of the two fully connected layers, in training.
    """

    def __init__(self, out_dim: int = 512, side: int = 27, dropout: float = 0.2) -> None:
        super().__init__()
        self.out_dim = out_dim
        map_side = ((side - 3) // 2 - 2) // 2
        if map_side < 1:
            raise ValueError(
                f"tiles of {side} px are too small for this network; it needs at least 11"
            )
        self.convolutions = nn.Sequential(
            nn.Conv2d(3, 36, 4),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(36, 48, 3),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.fc = nn.Sequential(
            nn.Linear(48 * map_side * map_side, 512),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(512, out_dim),
            nn.ReLU(),
            nn.Dropout(dropout),
        )
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.xavier_uniform_(layer.weight)
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def forward(self, tiles: Tensor) -> Tensor:
        """Map tiles (N, 3, side, side) to vectors (N, out_dim)."""
        vectors: Tensor = self.fc(self.convolutions(tiles).flatten(1))
        return vectors
