"""Random views of tissue tiles: geometry, stain, light and focus.

Stains are varied as in Tellez et al. 2018, "Whole-slide mitosis detection in H&E breast histology
using PHH3 as a reference to train distilled stain-invariant convolutional networks", IEEE TMI
37:2126: a tile is unmixed into haematoxylin, eosin and a residual (Ruifrok & Johnston 2001), each
density c becomes a c + b with random a and b, and the tile is mixed again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from napari_mil.encoders.texture import RGB_FROM_STAINS

BLUR_PX = 7
"""Side of the kernel that blurs."""
BRIGHTEST = 255.0
STAINED = 0.1
"""Mean optical density (natural logarithm) from which a pixel counts as stained."""


@dataclass(frozen=True)
class Augmentation:
    """How far a view may differ from its tile."""

    view_px: int
    """Side of a view in pixels."""
    zoom: tuple[float, float] = (0.8, 1.25)
    """Least and largest magnification of a view that is resampled."""
    resampled: float = 0.5
    """Share of views that are turned by any angle and magnified.

    The others keep the tile's own pixels, turned by right angles, as the encoder will see them.
    """
    stain_factor: float = 0.2
    """Largest relative change of a stain's density."""
    stain_offset: float = 0.1
    """Largest change of a stain's density, in natural-log optical density."""
    brightness: float = 0.1
    """Largest change of the level, as a share of the range."""
    contrast: float = 0.15
    """Largest relative change of the deviation from the mean level."""
    blurred: float = 0.3
    """Share of views that are blurred."""
    blur: tuple[float, float] = (0.3, 1.5)
    """Least and largest standard deviation of the blur, px."""

    def views(self, tiles: Tensor, random: torch.Generator) -> Tensor:
        """Return one random view of each tile.

        Parameters
        ----------
        tiles
            uint8 (B, H, W, 3), RGB; H and W at least `view_px`.
        random
            Generator of the CPU; equal states give equal views.

        Returns
        -------
        Tensor
            float32 (B, view_px, view_px, 3), levels 0 ... 255.
        """
        images = tiles.permute(0, 3, 1, 2).float()
        images = self._moved(images, random)
        images = self._stained(images, random)
        images = self._lit(images, random)
        images = self._defocused(images, random)
        return images.clamp_(0, BRIGHTEST).permute(0, 2, 3, 1)

    def _moved(self, images: Tensor, random: torch.Generator) -> Tensor:
        """Cut views (B, 3, view_px, view_px) out of tiles, turned and mirrored."""
        count, _, height, width = images.shape
        side = self.view_px
        turned = torch.rand(count, generator=random) < self.resampled
        free = _uniform(random, count, 0, 2 * math.pi)
        right = torch.randint(4, (count,), generator=random) * (math.pi / 2)
        angle = torch.where(turned, free, right)
        low, high = (math.log(bound) for bound in self.zoom)
        zoom = torch.where(turned, _uniform(random, count, low, high).exp(), torch.ones(count))
        flip = torch.randint(2, (count,), generator=random).float() * 2 - 1
        # Whole pixels, so that views which are not resampled keep their levels.
        top = (torch.rand(count, generator=random) * (height - side + 1)).floor()
        left = (torch.rand(count, generator=random) * (width - side + 1)).floor()
        sine, cosine = angle.sin().round(decimals=6), angle.cos().round(decimals=6)
        # Where the centre of a view lies in its tile, in grid_sample's units of -1 ... 1.
        x = (2 * left + side) / width - 1
        y = (2 * top + side) / height - 1
        across = side / width / zoom
        down = side / height / zoom
        rows = [
            torch.stack([flip * cosine * across, -sine * across, x], 1),
            torch.stack([flip * sine * down, cosine * down, y], 1),
        ]
        theta = torch.stack(rows, 1).to(images.device)
        grid = functional.affine_grid(theta, [count, 3, side, side], align_corners=False)
        # Beyond the border a tile goes on by reflection.
        return functional.grid_sample(
            images, grid, mode="bilinear", padding_mode="reflection", align_corners=False
        )

    def _stained(self, images: Tensor, random: torch.Generator) -> Tensor:
        """Vary the densities of the stains (Tellez et al. 2018, section II-D)."""
        count = len(images)
        mix = torch.tensor(RGB_FROM_STAINS, dtype=torch.float32)
        mix = mix / mix.norm(dim=1, keepdim=True)
        factor = _uniform(random, 3 * count, 1 - self.stain_factor, 1 + self.stain_factor)
        offset = _uniform(random, 3 * count, -self.stain_offset, self.stain_offset)
        # (density / mix * factor + offset) * mix: for each tile one matrix and one shift.
        matrix = torch.linalg.inv(mix) @ (factor.view(count, 3, 1) * mix)
        shift = offset.view(count, 1, 3) @ mix
        density = -((images + 1) / (BRIGHTEST + 1)).log()
        flat = density.flatten(2).transpose(1, 2)
        # Glass holds no stain: what is transparent stays so.
        share = (flat.mean(2, keepdim=True) / STAINED).clamp(0, 1)
        varied = flat @ matrix.to(images.device) + share * shift.to(images.device)
        levels = (-varied.clamp_min(0)).exp() * (BRIGHTEST + 1) - 1
        return levels.transpose(1, 2).reshape(images.shape)

    def _lit(self, images: Tensor, random: torch.Generator) -> Tensor:
        """Vary brightness and contrast."""
        count = len(images)
        brightness = _uniform(random, count, -self.brightness, self.brightness) * BRIGHTEST
        contrast = _uniform(random, count, 1 - self.contrast, 1 + self.contrast)
        mean = images.mean((1, 2, 3), keepdim=True)
        shape = (count, 1, 1, 1)
        factor = contrast.view(shape).to(images.device)
        return (images - mean) * factor + mean + brightness.view(shape).to(images.device)

    def _defocused(self, images: Tensor, random: torch.Generator) -> Tensor:
        """Blur some views by a Gaussian."""
        count, channels, height, width = images.shape
        blurred = torch.rand(count, generator=random) < self.blurred
        sigma = _uniform(random, count, *self.blur)
        chosen = blurred.nonzero()[:, 0]
        if not len(chosen):
            return images
        reach = BLUR_PX // 2
        steps = torch.arange(-reach, reach + 1)
        line = (-(steps**2) / (2 * sigma[chosen, None] ** 2)).exp()
        line = (line / line.sum(1, keepdim=True)).repeat_interleave(channels, 0).to(images.device)
        planes = images[chosen].reshape(1, -1, height, width)
        planes = functional.pad(planes, (reach,) * 4, mode="reflect")
        planes = functional.conv2d(planes, line[:, None, :, None], groups=len(line))
        planes = functional.conv2d(planes, line[:, None, None, :], groups=len(line))
        result = images.clone()
        result[chosen] = planes.view(len(chosen), channels, height, width)
        return result


def _uniform(random: torch.Generator, count: int, low: float, high: float) -> Tensor:
    """Draw numbers between two bounds."""
    return torch.rand(count, generator=random) * (high - low) + low
