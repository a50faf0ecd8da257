"""Interface between a file format and `Slide`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import numpy as np

from napari_mil.findings import Finding
from napari_mil.slides.channels import Channel
from napari_mil.slides.damage import Damage
from napari_mil.slides.resolution import ScaleSource


class OtherBackendError(Exception):
    """A file that another backend reads better."""


class SlideBackend(Protocol):
    """Reader of one file format.

    Adding a format takes one class like this and one line in `opening.BACKENDS`. Whoever opens a
    file tries the backends in turn: one that recognises a file may still refuse it.
    """

    vendor: str
    """OpenSlide's name of the format, or ``image``."""
    level_dimensions: tuple[tuple[int, int], ...]
    """(width, height) of every stored level in pixels, finest first."""
    level_downsamples: tuple[float, ...]
    """Level-0 pixels per pixel of each stored level."""
    tile_sizes: tuple[tuple[int, int] | None, ...]
    """(width, height) of the file's tiles per level, or None."""
    bounds: tuple[int, int, int, int]
    """(x, y, width, height) of the stored part in level-0 pixels."""
    properties: Mapping[str, str]
    """Entries of the file, as OpenSlide names them."""
    mpp_xy: tuple[float, float] | None
    """Micrometres per level-0 pixel along x and y as the file says, not yet judged."""
    mpp_source: ScaleSource
    """Entry of the file that gives `mpp_xy`."""
    caches_tiles: bool
    """Whether it keeps the tiles that it decoded last."""
    damage: Damage
    """Tiles that could not be read, as they are met."""

    @property
    def associated_images(self) -> Mapping[str, np.ndarray]:
        """Label, macro, thumbnail: uint8 (h, w, 3), read when asked for."""

    @property
    def channels(self) -> tuple[Channel, ...]:
        """Channels of a fluorescence slide; empty for brightfield."""

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Findings about the file, known without reading its pixels."""

    @property
    def missing(self) -> float:
        """Share of the stored part that the file lists without pixels."""

    @property
    def icc_profile(self) -> bytes:
        """ICC profile of the colours, or nothing."""

    @property
    def quick_hash(self) -> str:
        """Hash of the content that the format provides, or an empty string."""

    @property
    def files(self) -> tuple[Path, ...]:
        """Files of the slide; the first is the one that was opened."""

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """Say from the content whether this backend should open the file or folder."""

    def __init__(self, path: Path) -> None:
        """Open the file and try some of its pixels.

        Raises
        ------
        UnreadableSlideError
            If it cannot be read.
        OtherBackendError
            If another backend reads it better.
        """

    def read(self, level: int, column: int, row: int, width: int, height: int) -> np.ndarray:
        """Read a window that lies inside a level, uint8 (height, width, 3).

        `column`, `row` and sizes count pixels of the level; transparent and missing pixels are
        white, unreadable ones too, and are noted in `damage`.
        """

    @property
    def reductions(self) -> tuple[tuple[int, ...], ...]:
        """By how much each level can be shrunk while it is decoded, for less work."""

    def read_reduced(
        self, level: int, factor: int, column: int, row: int, width: int, height: int
    ) -> np.ndarray:
        """Read a window at 1 / `factor` of a level: uint8 (height, width, 3), for display.

        The shrunk level has the sides of the level divided by the factor, rounded up; `column`,
        `row` and sizes count its pixels.
        """

    def read_channels(
        self, level: int, column: int, row: int, width: int, height: int
    ) -> np.ndarray:
        """Read raw values of a window inside a level: (height, width, C), of `channels`."""

    def close(self) -> None:
        """Close the file.

        Reads that run end well, later ones raise `UnreadableSlideError`.
        """


class WholeLevels:
    """Members of a backend that decodes levels whole and in colours."""

    level_dimensions: tuple[tuple[int, int], ...]
    caches_tiles = False
    icc_profile = b""

    @property
    def reductions(self) -> tuple[tuple[int, ...], ...]:
        """None: levels are decoded whole."""
        return tuple(() for _ in self.level_dimensions)

    def read_reduced(
        self, level: int, factor: int, column: int, row: int, width: int, height: int
    ) -> np.ndarray:
        """Refuse: levels are decoded whole."""
        raise NotImplementedError("levels are decoded whole")

    def read_channels(
        self, level: int, column: int, row: int, width: int, height: int
    ) -> np.ndarray:
        """Refuse: there are colours only."""
        raise NotImplementedError("there are colours only")
