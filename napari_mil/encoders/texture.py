"""Encoder `texture`: stain-aware statistics, computed and not learned.

A tile is unmixed into haematoxylin, eosin and a residual (Ruifrok & Johnston 2001, Anal Quant
Cytol Histol 23:291, "Quantification of histochemical staining by color deconvolution"). It is then
described by moments and quantiles of the stains, by how the variance of haematoxylin falls with
scale, by gradients, and by rotation-invariant uniform local binary patterns (Ojala, Pietikäinen &
Mäenpää 2002, IEEE PAMI 24:971, LBP^riu2 with 8 neighbours at distance 1, on three scales).

`DIMENSIONS` names every dimension in order.
"""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from torch.nn import functional

from napari_mil.encoders.cards import TEXTURE
from napari_mil.encoders.encoder import Encoder
from napari_mil.encoders.threads import single_threaded_pool

VERSION = "texture/1"
"""Name of this definition of the features; part of the fingerprint."""

RGB_FROM_STAINS = ((0.65, 0.70, 0.29), (0.07, 0.99, 0.11), (0.27, 0.57, 0.78))
"""Optical density of haematoxylin, eosin and residual in R, G, B.

Ruifrok & Johnston, table 2, with DAB as the third.
"""

STAINS = ("haematoxylin", "eosin", "residual")
STAIN_RANGE = (-0.6, 2.4)
"""Range of stain densities that the histograms cover (natural logarithm).

Quantiles of darker or paler pixels stay at its ends.
"""
STAIN_BINS = 100
"""Bins of a histogram of stain densities."""
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
DENSITY_CUTS = (0.3, 0.6, 0.9, 1.2)
"""Haematoxylin densities of cytoplasm, pale nuclei, nuclei and dark nuclei.

They lie on borders of the histogram's bins.
"""
POOLED = (2, 4, 8, 16)
"""Sides of the squares over which the deviation of haematoxylin is measured, px."""
SCALES = (1, 2, 4)
"""Sides of the squares over which gradients and patterns are measured, px."""
PATTERNS = 10
"""Number of patterns of LBP^riu2 with 8 neighbours.

0-8 set neighbours in one arc, 9 for all others.
"""
SMALLEST_TILE = TEXTURE.smallest_tile
"""Smallest height and width of a tile, px."""
BLOCK_PX = 131_072
"""Pixels described at once on the CPU.

Intermediate planes then stay in the processor's cache, which is twice as fast as a whole batch of
large tiles.
"""

DIMENSIONS: tuple[str, ...] = (
    *(f"{channel} {moment}" for moment in ("mean", "sd") for channel in ("red", "green", "blue")),
    *(f"saturation {moment}" for moment in ("mean", "sd")),
    "saturation share above 0.05",
    *(f"{stain} {moment}" for moment in ("mean", "sd", "skewness") for stain in STAINS),
    *(f"{stain} quantile {quantile}" for quantile in QUANTILES for stain in STAINS),
    *(f"haematoxylin share above {cut}" for cut in DENSITY_CUTS),
    "haematoxylin-eosin correlation",
    *(f"haematoxylin sd pooled {k} px" for k in POOLED),
    *(f"haematoxylin gradient {moment} pooled {k} px" for k in SCALES for moment in ("mean", "sd")),
    *(f"haematoxylin pattern {p} pooled {k} px" for k in SCALES for p in range(PATTERNS)),
)
"""Name of each dimension, in order.

Densities are in natural-log optical density, shares and colours in [0, 1], gradients in density
per pixel.
"""


class TextureEncoder(Encoder):
    """Encoder to colour and texture statistics of a tile.

    Deterministic and without weights; a tile has at least 8 pixels a side.
    """

    card = TEXTURE

    def __init__(self, device: torch.device, threads: int | None = None) -> None:
        super().__init__(device, threads)
        self._pool = None
        if device.type == "cpu":
            self._pool = single_threaded_pool(self.threads, self.name)
        density = -torch.log((torch.arange(256, dtype=torch.float64) + 1) / 256)
        unmix = torch.linalg.inv(torch.tensor(RGB_FROM_STAINS, dtype=torch.float64))
        self._density = density.float().to(device)
        self._unmix = unmix.float().to(device)
        self._patterns = _uniform_patterns().to(device)

    @property
    def fingerprint(self) -> str:
        """Hash of the version and of every constant of the features."""
        constants = (VERSION, RGB_FROM_STAINS, STAIN_RANGE, STAIN_BINS, DIMENSIONS)
        return hashlib.sha256(repr(constants).encode()).hexdigest()[:32]

    def to(self, device: torch.device) -> TextureEncoder:
        """Return the same encoder on another device."""
        return TextureEncoder(device, self.threads)

    def encode(self, tiles: np.ndarray) -> np.ndarray:
        """Describe tiles.

        Parameters
        ----------
        tiles
            uint8 (B, H, W, 3), RGB; H and W at least 8.

        Returns
        -------
        np.ndarray
            float32 (B, 78), the columns of `DIMENSIONS`.

        Raises
        ------
        ValueError
            If the array is no batch of RGB tiles of that size.
        """
        is_rgb_batch = tiles.dtype == np.uint8 and tiles.ndim == 4 and tiles.shape[3] == 3
        if not is_rgb_batch or min(tiles.shape[1:3]) < SMALLEST_TILE:
            raise ValueError(
                f"tiles are uint8 (B, H, W, 3) of at least {SMALLEST_TILE} pixels a side, "
                f"not {tiles.dtype} {tiles.shape}"
            )
        if len(tiles) == 0:
            return np.empty((0, self.dim), np.float32)
        if self._pool is None:
            return self._describe(tiles).cpu().numpy()
        block = max(1, BLOCK_PX // (tiles.shape[1] * tiles.shape[2]))
        blocks = [tiles[k : k + block] for k in range(0, len(tiles), block)]
        return torch.cat(list(self._pool.map(self._describe, blocks))).numpy()

    @torch.inference_mode()
    def _describe(self, tiles: np.ndarray) -> torch.Tensor:
        """Compute the features of tiles: float32 (B, 78) on the device."""
        # (B, 3, H, W) uint8
        pixels = torch.tensor(tiles, device=self.device).permute(0, 3, 1, 2).contiguous()
        # Colour deconvolution: optical densities times the inverse of the stain matrix.
        density = self._density.index_select(0, pixels.flatten().int()).view(pixels.shape)
        # (B, 3, H, W)
        stains = torch.einsum("bchw,cs->sbhw", density, self._unmix).transpose(0, 1)
        haematoxylin = stains[:, 0].contiguous()
        flat_stains = stains.flatten(2)
        mean, sd, skewness, correlation = _moments(flat_stains)
        histograms = _histograms(_stain_bins(flat_stains), STAIN_BINS)
        cumulative = histograms.cumsum(1).view(len(tiles), 3, STAIN_BINS)
        features = [
            *_colours(pixels.flatten(2)),
            mean,
            sd,
            skewness,
            _quantiles(cumulative),
            1 - cumulative[:, 0, [_bin_below(cut) for cut in DENSITY_CUTS]],
            correlation,
            _scale_sds(haematoxylin),
            *_gradients(haematoxylin),
            *(self._pattern_shares(_pooled(haematoxylin, k)) for k in SCALES),
        ]
        return torch.cat(features, 1)

    def _pattern_shares(self, plane: torch.Tensor) -> torch.Tensor:
        """Return the shares (B, 10) of LBP^riu2 patterns in a plane (B, H, W)."""
        height, width = plane.shape[1:]
        if min(height, width) < 3:
            return torch.zeros(len(plane), PATTERNS, device=plane.device)
        centre = plane[:, 1:-1, 1:-1]
        code = torch.zeros(centre.shape, dtype=torch.uint8, device=plane.device)
        # Neighbours in order around the centre; the margin of 0.02 keeps noise on flat glass from
        # giving random patterns.
        ring = ((0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0))
        for bit, (dy, dx) in enumerate(ring):
            neighbour = plane[:, dy : dy + height - 2, dx : dx + width - 2]
            code |= (neighbour > centre + 0.02).to(torch.uint8) << bit
        return _histograms(self._patterns[code.int()].flatten(1), PATTERNS)


def _uniform_patterns() -> torch.Tensor:
    """Return the pattern 0-9 of every code of 8 neighbours, (256,).

    Rotation-invariant uniform patterns of Ojala et al. 2002, eq. 9.
    """
    patterns = []
    for code in range(256):
        bits = [code >> k & 1 for k in range(8)]
        changes = sum(bits[k] != bits[k - 1] for k in range(8))
        patterns.append(sum(bits) if changes <= 2 else 9)
    return torch.tensor(patterns)


def _moments(flat: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Compute moments of stain densities (B, 3, n).

    Returns
    -------
    mean, sd, skewness, correlation
        (B, 3) each, and the correlation (B, 1) of the first two stains.
    """
    mean = flat.mean(2)
    centred = flat - mean[:, :, None]
    squared = centred * centred
    sd = squared.mean(2).sqrt()
    skewness = (squared * centred).mean(2) / (sd**3 + 1e-6)
    correlation = (centred[:, 0] * centred[:, 1]).mean(1) / (sd[:, 0] * sd[:, 1] + 1e-6)
    return mean, sd, skewness, correlation[:, None]


def _colours(pixels: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Compute colour statistics of uint8 pixels (B, 3, n).

    Returns
    -------
    tuple
        Means and deviations (B, 3) of RGB; mean, deviation and share above 0.05 (B, 1) of the
        saturation.
    """
    rgb = pixels.float() / 255
    largest = rgb.amax(1)
    saturation = (largest - rgb.amin(1)) / largest.clamp_min(1 / 255)
    share = (saturation > 0.05).float().mean(1, keepdim=True)
    return (
        rgb.mean(2),
        rgb.std(2, correction=0),
        saturation.mean(1, keepdim=True),
        saturation.std(1, correction=0, keepdim=True),
        share,
    )


def _stain_bins(flat: torch.Tensor) -> torch.Tensor:
    """Return the histogram bins (3B, n) of stain densities (B, 3, n)."""
    low, high = STAIN_RANGE
    scaled = (flat - low) * (STAIN_BINS / (high - low))
    return scaled.clamp_(0, STAIN_BINS - 1).int().flatten(0, 1)


def _bin_below(density: float) -> int:
    """Return the last bin below a density on a border."""
    low, high = STAIN_RANGE
    return round((density - low) / (high - low) * STAIN_BINS) - 1


def _histograms(values: torch.Tensor, bins: int) -> torch.Tensor:
    """Count integers (R, n) in [0, bins) as shares (R, bins)."""
    rows = torch.arange(len(values), device=values.device)[:, None] * bins
    counts = torch.bincount((values + rows).flatten(), minlength=len(values) * bins)
    return counts.view(len(values), bins).float() / values.shape[1]


def _quantiles(cumulative: torch.Tensor) -> torch.Tensor:
    """Return quantiles (B, 15), stain fastest, of cumulative shares.

    The shares are (B, 3, bins). Quantiles are linear within a bin, far cheaper than sorting pixels.
    """
    low, high = STAIN_RANGE
    shares = torch.tensor(QUANTILES, device=cumulative.device)
    shares = shares.expand(*cumulative.shape[:2], -1).contiguous()
    # Bin (B, 3, 5) in which the cumulative share passes the quantile's.
    upper = torch.searchsorted(cumulative, shares).clamp_max(STAIN_BINS - 1)
    below = torch.where(upper > 0, cumulative.gather(2, (upper - 1).clamp_min(0)), 0.0)
    within = (shares - below) / (cumulative.gather(2, upper) - below).clamp_min(1e-6)
    values = low + (upper + within.clamp(0, 1)) * ((high - low) / STAIN_BINS)
    return values.transpose(1, 2).flatten(1)


def _pooled(plane: torch.Tensor, k: int) -> torch.Tensor:
    """Average (B, H, W) over k x k squares."""
    return plane if k == 1 else functional.avg_pool2d(plane[:, None], k)[:, 0]


def _scale_sds(plane: torch.Tensor) -> torch.Tensor:
    """Return standard deviations (B, 4) of a pooled plane (B, H, W).

    A deviation is 0 where a tile is smaller than the pooled square.
    """
    sds = []
    for k in POOLED:
        if min(plane.shape[1:]) >= k:
            sds.append(_pooled(plane, k).flatten(1).std(1, correction=0))
        else:
            sds.append(torch.zeros(len(plane), device=plane.device))
    return torch.stack(sds, 1)


def _gradients(plane: torch.Tensor) -> list[torch.Tensor]:
    """Return mean and sd (B, 2) of gradient magnitudes on each scale.

    Gradients are central differences of a plane (B, H, W).
    """
    described = []
    for k in SCALES:
        pooled = _pooled(plane, k)
        dy = pooled[:, 2:, 1:-1] - pooled[:, :-2, 1:-1]
        dx = pooled[:, 1:-1, 2:] - pooled[:, 1:-1, :-2]
        magnitude = torch.sqrt(dy**2 + dx**2).flatten(1) / 2
        if magnitude.shape[1] == 0:
            described.append(torch.zeros(len(plane), 2, device=plane.device))
        else:
            described.append(torch.stack([magnitude.mean(1), magnitude.std(1, correction=0)], 1))
    return described
