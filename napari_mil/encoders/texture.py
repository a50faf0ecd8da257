"""`texture`: stain-aware statistics of colour and texture, computed, not learned.

A tile is unmixed into haematoxylin, eosin and a residual (Ruifrok & Johnston 2001, Anal Quant Cytol Histol 23:291,
"Quantification of histochemical staining by color deconvolution"), then described by moments and quantiles of the stains,
by how the variance of haematoxylin falls with scale, by gradients, and by rotation-invariant uniform local binary patterns
(Ojala, Pietikäinen & Mäenpää 2002, IEEE PAMI 24:971, LBP^riu2 with 8 neighbours at distance 1, on three scales).

`DIMENSIONS` names every dimension in order.
"""

from __future__ import annotations

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch.nn import functional

from napari_mil.encoders.cards import TEXTURE
from napari_mil.encoders.encoder import Encoder

VERSION = "texture/1"

RGB_FROM_STAINS = ((0.65, 0.70, 0.29), (0.07, 0.99, 0.11), (0.27, 0.57, 0.78))
"""Optical density of haematoxylin, eosin and residual in R, G, B (Ruifrok & Johnston, table 2, DAB as the third)."""

STAINS = ("haematoxylin", "eosin", "residual")
STAIN_RANGE = (-0.6, 2.4)
"""Range of stain densities that the histograms cover (natural logarithm); quantiles of what is darker or paler stay at its ends."""
STAIN_BINS = 100
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
DENSITY_CUTS = (0.3, 0.6, 0.9, 1.2)
"""Haematoxylin densities, on borders of the histogram's bins: cytoplasm, pale nuclei, nuclei, dark nuclei."""
POOLED = (2, 4, 8, 16)
SCALES = (1, 2, 4)
PATTERNS = 10
"""LBP^riu2 of 8 neighbours: 0-8 set neighbours in one arc, 9 for the rest."""
SMALLEST_TILE = TEXTURE.smallest_tile
BLOCK_PX = 131_072
"""Pixels described at once on the CPU: intermediate planes stay in the cache, twice as fast as a whole batch of large tiles."""

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
"""What each dimension is; densities in natural-log optical density, shares and colours in [0, 1], gradients in density per pixel."""


class TextureEncoder(Encoder):
    """Colour and texture statistics of a tile; deterministic, no weights, any tile of at least 8 pixels a side."""

    card = TEXTURE

    def __init__(self, device: torch.device, threads: int | None = None) -> None:
        super().__init__(device, threads)
        # Blocks in threads of ours, one torch thread each: torch's own threads wait for each other after every small operation,
        # which on a machine that is also busy otherwise (a window that draws) is five times slower.
        self._pool = _single_threaded_pool(self.threads) if device.type == "cpu" else None
        density = -torch.log((torch.arange(256, dtype=torch.float64) + 1) / 256)
        unmix = torch.linalg.inv(torch.tensor(RGB_FROM_STAINS, dtype=torch.float64))
        self._density = density.float().to(device)
        self._unmix = unmix.float().to(device)
        self._patterns = _uniform_patterns().to(device)

    @property
    def fingerprint(self) -> str:
        """Hash of the version and of every constant above."""
        constants = (VERSION, RGB_FROM_STAINS, STAIN_RANGE, STAIN_BINS, DIMENSIONS)
        return hashlib.sha256(repr(constants).encode()).hexdigest()[:32]

    def to(self, device: torch.device) -> TextureEncoder:
        """Return the same statistics computed on another device."""
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
        if (
            tiles.dtype != np.uint8
            or tiles.ndim != 4
            or tiles.shape[3] != 3
            or min(tiles.shape[1:3]) < SMALLEST_TILE
        ):
            raise ValueError(
                f"tiles are uint8 (B, H, W, 3) of at least {SMALLEST_TILE} pixels a side, not {tiles.dtype} {tiles.shape}"
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
        """Return float32 (B, 78) on the device."""
        pixels = (
            torch.tensor(tiles, device=self.device).permute(0, 3, 1, 2).contiguous()
        )  # (B, 3, H, W) uint8
        density = self._density.index_select(0, pixels.flatten().int()).view(pixels.shape)
        stains = torch.einsum("bchw,cs->sbhw", density, self._unmix).transpose(0, 1)  # (B, 3, H, W)
        haematoxylin = stains[:, 0].contiguous()
        flat = stains.flatten(2)  # (B, 3, HW)
        mean, sd, skewness, correlation = _moments(flat)
        cumulative = (
            _histograms(_binned(flat), STAIN_BINS).cumsum(1).view(len(tiles), 3, STAIN_BINS)
        )
        features = [
            *_colours(pixels.flatten(2)),
            *(mean, sd, skewness),
            _quantiles(cumulative),
            1 - cumulative[:, 0, [_bin_below(cut) for cut in DENSITY_CUTS]],
            correlation,
            _scale_sds(haematoxylin),
            *_gradients(haematoxylin),
            *(self._pattern_shares(_pooled(haematoxylin, k)) for k in SCALES),
        ]
        return torch.cat(features, 1)

    def _pattern_shares(self, plane: torch.Tensor) -> torch.Tensor:
        """Histogram of LBP^riu2 over a plane (B, H, W), normalised: (B, 10)."""
        height, width = plane.shape[1:]
        if min(height, width) < 3:
            return torch.zeros(len(plane), PATTERNS, device=plane.device)
        centre = plane[:, 1:-1, 1:-1]
        code = torch.zeros(centre.shape, dtype=torch.uint8, device=plane.device)
        # Neighbours in order around the centre; a margin keeps flat glass from turning into random patterns.
        ring = ((0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0))
        for bit, (dy, dx) in enumerate(ring):
            neighbour = plane[:, dy : dy + height - 2, dx : dx + width - 2]
            code |= (neighbour > centre + 0.02).to(torch.uint8) << bit
        return _histograms(self._patterns[code.int()].flatten(1), PATTERNS)


def _single_threaded_pool(threads: int) -> ThreadPoolExecutor:
    """Return threads that each run torch on one core, and leave the setting of every other thread as it is."""
    setting = torch.get_num_threads()
    pool = ThreadPoolExecutor(threads, "texture", torch.set_num_threads, (1,))
    together = threading.Barrier(threads)
    list(pool.map(lambda _: together.wait(), range(threads)))  # all of them have begun
    torch.set_num_threads(setting)  # torch gives the last setting to threads that begin later
    return pool


def _uniform_patterns() -> torch.Tensor:
    """Map (256,) from a code of 8 neighbours to its rotation-invariant uniform pattern 0-9."""
    patterns = []
    for code in range(256):
        bits = [code >> k & 1 for k in range(8)]
        changes = sum(bits[k] != bits[k - 1] for k in range(8))
        patterns.append(sum(bits) if changes <= 2 else 9)
    return torch.tensor(patterns)


def _moments(flat: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return mean, sd and skewness (B, 3), and the correlation (B, 1) of the first two stains, of (B, 3, n)."""
    mean = flat.mean(2)
    centred = flat - mean[:, :, None]
    squared = centred * centred
    sd = squared.mean(2).sqrt()
    skewness = (squared * centred).mean(2) / (sd**3 + 1e-6)
    correlation = (centred[:, 0] * centred[:, 1]).mean(1) / (sd[:, 0] * sd[:, 1] + 1e-6)
    return mean, sd, skewness, correlation[:, None]


def _colours(pixels: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Return RGB means and sds (B, 3) and saturation mean, sd and share (B, 1) from uint8 (B, 3, n)."""
    rgb = pixels.float() / 255
    largest = rgb.amax(1)
    saturation = (largest - rgb.amin(1)) / largest.clamp_min(1 / 255)  # (B, n)
    share = (saturation > 0.05).float().mean(1, keepdim=True)
    return (
        rgb.mean(2),
        rgb.std(2, correction=0),
        saturation.mean(1, keepdim=True),
        saturation.std(1, correction=0, keepdim=True),
        share,
    )


def _binned(flat: torch.Tensor) -> torch.Tensor:
    """Bins (3B, n) of stain densities (B, 3, n)."""
    low, high = STAIN_RANGE
    return (
        ((flat - low) * (STAIN_BINS / (high - low))).clamp_(0, STAIN_BINS - 1).int().flatten(0, 1)
    )


def _bin_below(density: float) -> int:
    """Index of the last bin below a density that lies on a border."""
    low, high = STAIN_RANGE
    return round((density - low) / (high - low) * STAIN_BINS) - 1


def _histograms(values: torch.Tensor, bins: int) -> torch.Tensor:
    """Return shares (R, bins) of integers (R, n) in [0, bins)."""
    rows = torch.arange(len(values), device=values.device)[:, None] * bins
    counts = torch.bincount((values + rows).flatten(), minlength=len(values) * bins)
    return counts.view(len(values), bins).float() / values.shape[1]


def _quantiles(cumulative: torch.Tensor) -> torch.Tensor:
    """Return quantiles (B, 15), stain fastest, of cumulative shares (B, 3, bins); linear within a bin, far cheaper than sorting."""
    low, high = STAIN_RANGE
    wanted = (
        torch.tensor(QUANTILES, device=cumulative.device)
        .expand(*cumulative.shape[:2], -1)
        .contiguous()
    )
    upper = torch.searchsorted(cumulative, wanted).clamp_max(STAIN_BINS - 1)  # (B, 3, 5)
    below = torch.where(upper > 0, cumulative.gather(2, (upper - 1).clamp_min(0)), 0.0)
    within = (wanted - below) / (cumulative.gather(2, upper) - below).clamp_min(1e-6)
    values = low + (upper + within.clamp(0, 1)) * ((high - low) / STAIN_BINS)
    return values.transpose(1, 2).flatten(1)


def _pooled(plane: torch.Tensor, k: int) -> torch.Tensor:
    """Average (B, H, W) over k x k squares."""
    return plane if k == 1 else functional.avg_pool2d(plane[:, None], k)[:, 0]


def _scale_sds(plane: torch.Tensor) -> torch.Tensor:
    """Return the standard deviation (B, 4) of a plane (B, H, W) after pooling; 0 where a tile is smaller than the pool."""
    sds = []
    for k in POOLED:
        fits = min(plane.shape[1:]) >= k
        sds.append(
            _pooled(plane, k).flatten(1).std(1, correction=0)
            if fits
            else torch.zeros(len(plane), device=plane.device)
        )
    return torch.stack(sds, 1)


def _gradients(plane: torch.Tensor) -> list[torch.Tensor]:
    """Mean and sd (B, 2) of the gradient magnitude (central differences) of (B, H, W) on each scale."""
    described = []
    for k in SCALES:
        pooled = _pooled(plane, k)
        dy, dx = (
            pooled[:, 2:, 1:-1] - pooled[:, :-2, 1:-1],
            pooled[:, 1:-1, 2:] - pooled[:, 1:-1, :-2],
        )
        magnitude = torch.sqrt(dy**2 + dx**2).flatten(1) / 2
        if magnitude.shape[1] == 0:
            described.append(torch.zeros(len(plane), 2, device=plane.device))
        else:
            described.append(torch.stack([magnitude.mean(1), magnitude.std(1, correction=0)], 1))
    return described
