"""LeNet-5 for bags of handwritten digits.

Ilse et al. 2018, table 8 of the supplement:
conv(5, 20)-ReLU, maxpool(2, 2), conv(5, 50)-ReLU, maxpool(2, 2), fc-500-ReLU.
"""

from __future__ import annotations

from torch import Tensor, nn


class LeNet5(nn.Module):
    """Network from grey images to vectors.

    Parameters
    ----------
    out_dim
        Length of a vector.
    side
        Height and width of an image, px.
    """

    def __init__(self, out_dim: int = 500, side: int = 28) -> None:
        super().__init__()
        self.out_dim = out_dim
        map_side = ((side - 4) // 2 - 4) // 2
        if map_side < 1:
            raise ValueError(
                f"images of {side} px are too small for this network; it needs at least 16"
            )
        self.convolutions = nn.Sequential(
            nn.Conv2d(1, 20, 5),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(20, 50, 5),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.fc = nn.Linear(50 * map_side * map_side, out_dim)

    def forward(self, images: Tensor) -> Tensor:
        """Map images (N, 1, side, side) to vectors (N, out_dim)."""
        vectors: Tensor = self.fc(self.convolutions(images).flatten(1)).relu()
        return vectors
