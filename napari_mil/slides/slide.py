"""Slides whose pixels are read lazily."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np

from napari_mil.errors import NapariMilError, UnreadableSlideError
from napari_mil.events import CancellationToken
from napari_mil.findings import Finding
from napari_mil.settings import Settings
from napari_mil.slides.backend import SlideBackend
from napari_mil.slides.cache import PixelCache
from napari_mil.slides.channels import Channel
from napari_mil.slides.damage import Damage
from napari_mil.slides.findings import findings_of
from napari_mil.slides.fingerprint import fingerprint_file
from napari_mil.slides.lease import Lease
from napari_mil.slides.levels import Level
from napari_mil.slides.overview import OVERVIEW_PX, stream_thumbnail
from napari_mil.slides.overview_store import OverviewStore
from napari_mil.slides.pyramid import Pyramid, dask_pyramid, make_pyramid
from napari_mil.slides.rendition import Rendition, rendered
from napari_mil.slides.resample import box_average
from napari_mil.slides.resolution import Scale, scale_of
from napari_mil.slides.scanner import Scanner, scanner_of
from napari_mil.slides.window import read_window, stored_megapixels

if TYPE_CHECKING:
    import dask.array

IN_SEVERAL_FILES = ("dicom", "ome-zarr", "ome-tiff")
"""Vendors whose slides lie in several files, of which no single one says what the slide is."""


class Slide:
    """An open slide, made by `open_slide`.

    It is a context manager and safe to use from several threads. (x, y) are level-0 pixels, sizes
    are pixels of the level named beside them, pixels are uint8 RGB.
    """

    def __init__(self, path: Path, backend: SlideBackend, scale: Scale, settings: Settings) -> None:
        self.path = path
        self.scale = scale
        """Micrometres per level-0 pixel with their source."""
        self._backend = backend
        self._settings = settings
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None
        self._lease = Lease(backend.close)
        self._closed = False

    def __enter__(self) -> Slide:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        width, height = self.dimensions
        return (
            f"<Slide {self.path.name!r} {width} x {height}, {self.level_count} levels, "
            f"mpp {self.mpp} ({self.mpp_source})>"
        )

    def __deepcopy__(self, memo: object) -> Slide:
        """Return the slide itself.

        A copy of a layer shows the same open file.
        """
        return self

    def close(self) -> None:
        """Close the slide without waiting.

        The file and the cache are freed once no rescaled twin uses them. Reads that run in other
        threads end well.
        """
        if self._closed:
            return
        self._closed = True
        is_last = self._lease.remove_user()
        if is_last and "_cache" in self.__dict__:
            self._cache.clear()

    @property
    def mpp(self) -> float | None:
        """Micrometres per level-0 pixel, or None without a plausible figure."""
        return self.scale.mpp

    @property
    def mpp_xy(self) -> tuple[float, float] | None:
        """Micrometres per level-0 pixel along x and y, or None without a plausible figure."""
        return self.scale.xy

    @property
    def mpp_source(self) -> str:
        """Source of the scale, in words.

        ``openslide``, ``tiff``, ``user``, ``classifier``, ``unknown`` or
        ``implausible: <figure> (<source>)``.
        """
        return str(self.scale)

    @property
    def name(self) -> str:
        """Name of the file without its ending, or of the folder.

        Characters that cannot be written as UTF-8 are replaced.
        """
        is_folder = self.path.is_dir() and self.vendor != "ome-zarr"
        name = self.path.name if is_folder else self.path.stem.removesuffix(".ome")
        return name.encode("utf-8", "replace").decode()

    @property
    def vendor(self) -> str:
        """OpenSlide's name of the format."""
        return self._backend.vendor

    @property
    def level_count(self) -> int:
        """Number of stored levels."""
        return len(self._backend.level_dimensions)

    @property
    def dimensions(self) -> tuple[int, int]:
        """(width, height) of level 0."""
        return self._backend.level_dimensions[0]

    @property
    def level_dimensions(self) -> tuple[tuple[int, int], ...]:
        """(width, height) of every stored level, finest first."""
        return self._backend.level_dimensions

    @property
    def level_downsamples(self) -> tuple[float, ...]:
        """Level-0 pixels per pixel of each stored level."""
        return self._backend.level_downsamples

    @property
    def tile_sizes(self) -> tuple[tuple[int, int] | None, ...]:
        """(width, height) of the file's tiles per stored level, or None."""
        return self._backend.tile_sizes

    @property
    def bounds(self) -> tuple[int, int, int, int]:
        """(x, y, width, height) of the stored part in level-0 pixels.

        It is the whole slide unless the file is sparse.
        """
        return self._backend.bounds

    @property
    def origin(self) -> tuple[int, int]:
        """(x, y) of the stored part's corner, from which QuPath counts."""
        return self.bounds[:2]

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """Findings about the file; unreadable tiles join them as they are met."""
        return findings_of(self.path, self._backend, self.scale)

    @property
    def missing(self) -> float:
        """Share of the slide that the file lists without pixels."""
        return self._backend.missing

    @property
    def damage(self) -> Damage:
        """Tiles that could not be read, as they are met."""
        return self._backend.damage

    @property
    def files(self) -> tuple[Path, ...]:
        """Files of the slide; the first is the one that was opened."""
        return self._backend.files

    @property
    def properties(self) -> Mapping[str, str]:
        """Entries of the file, as OpenSlide names them.

        They may identify a patient.
        """
        return self._backend.properties

    @property
    def scanner(self) -> Scanner | None:
        """Scanner that the file names, or None."""
        return scanner_of(self._backend.properties, self._backend.mpp_xy)

    @property
    def associated_images(self) -> Mapping[str, np.ndarray]:
        """Label, macro, thumbnail: uint8 (h, w, 3), decoded when asked for."""
        return self._backend.associated_images

    @property
    def channels(self) -> tuple[Channel, ...]:
        """Channels of a fluorescence slide; empty for brightfield."""
        return self._backend.channels

    @cached_property
    def fingerprint(self) -> str:
        """Stable id of the content: 32 hexadecimal digits.

        It does not depend on the name of the file.
        """
        try:
            return fingerprint_file(
                self.path,
                self._backend.quick_hash,
                self.vendor in IN_SEVERAL_FILES,
            )
        except OSError as error:
            raise UnreadableSlideError(
                f"{self.path.name} can no longer be read ({error.strerror or error}); "
                "it may have been moved or deleted."
            ) from error

    def with_mpp(self, mpp: float | None) -> Slide:
        """Return the same open slide with the user's scale.

        None takes the file's own scale.

        Raises
        ------
        NapariMilError
            If the scale is not plausible.
        """
        return self.with_scale(scale_of(self._backend.mpp_xy, self._backend.mpp_source, mpp))

    def with_scale(self, scale: Scale) -> Slide:
        """Return the same open slide with another scale.

        Each of the two is closed by itself.
        """
        twin = copy(self)
        twin.scale = scale
        self._lease.add_user()
        return twin

    @property
    def has_profile(self) -> bool:
        """Whether the file has an ICC profile of its colours."""
        return bool(self._backend.icc_profile) and not self.channels

    def rendered(self, rendition: Rendition) -> Slide:
        """Return the same open slide with pixels to look at.

        Each of the two is closed by itself. What is encoded is read from a slide as it was opened.

        Raises
        ------
        NapariMilError
            If the profile of the file cannot be used.
        """
        backend = rendered(self._backend, rendition)
        twin = Slide(self.path, backend, self.scale, self._settings)
        twin._lease = self._lease
        self._lease.add_user()
        twin.fingerprint = f"{self.fingerprint[:16]}{rendition.key}"
        return twin

    def best_level_for_downsample(self, downsample: float) -> int:
        """Return the coarsest stored level no coarser than `downsample`."""
        # A thousandth finer or coarser is the rounding of level sizes, not another scale.
        largest = downsample * 1.001
        fine_levels = [k for k, d in enumerate(self.level_downsamples) if d <= largest]
        return max(fine_levels, default=0)

    def read_region(
        self, location: tuple[float, float], level: int, size: tuple[int, int]
    ) -> np.ndarray:
        """Read pixels of a stored level.

        Parameters
        ----------
        location
            (x, y) of the top left corner in level-0 pixels, rounded to the nearest whole pixel of
            `level`.
        level
            Index of a stored level.
        size
            (width, height) in pixels of `level`.

        Returns
        -------
        np.ndarray
            uint8 (height, width, 3); transparent, missing and unreadable pixels and those outside
            are white. `damage` tells unreadable ones.

        Raises
        ------
        UnreadableSlideError
            If the file is closed or gone.
        ValueError
            If there is no such level or the size is negative.
        """
        return read_window(self._backend, level, *self._place(location, level, size), *size)

    def read_channels(
        self, location: tuple[float, float], level: int, size: tuple[int, int]
    ) -> np.ndarray:
        """Read raw values of a fluorescence slide, as `read_region` reads colours.

        Returns
        -------
        np.ndarray
            (channels, height, width) of the file's type; 0 outside.

        Raises
        ------
        NapariMilError
            If the slide has no channels.
        """
        if not self.channels:
            raise NapariMilError(f"{self.path.name} is a brightfield slide without channels.")
        column, row = self._place(location, level, size)
        raw = read_window(self._backend, level, column, row, *size, raw=True)
        return np.moveaxis(raw, -1, 0)

    def _place(
        self, location: tuple[float, float], level: int, size: tuple[int, int]
    ) -> tuple[int, int]:
        """Return (column, row) of a location in whole pixels of a level."""
        if not 0 <= level < self.level_count or min(size) < 0:
            raise ValueError(
                f"{self.path.name} has levels 0 to {self.level_count - 1} "
                f"and regions of positive size, not level {level} and {size}"
            )
        downsample = self.level_downsamples[level]
        column, row = (math.floor(value / downsample + 0.5) for value in location)
        return column, row

    @cached_property
    def levels(self) -> tuple[Level, ...]:
        """Lazily indexed arrays (H, W, 3), finest first.

        The stored levels come first, then halved ones until the longest side is small.
        """
        return self._pyramid.levels

    def pyramid(self) -> list[dask.array.Array]:
        """Return `levels` as dask arrays, uint8 (H, W, 3).

        Their chunks are a few of the levels' each way; no pixels are read.
        """
        return dask_pyramid(self.levels, self.fingerprint)

    def thumbnail(
        self, size: tuple[int, int], cancel: CancellationToken | None = None
    ) -> np.ndarray:
        """Average the whole slide into a small picture.

        Parameters
        ----------
        size
            (width, height) to fit into; the aspect stays.
        cancel
            Asked once per block of 8 megapixels.

        Returns
        -------
        np.ndarray
            uint8 (h, w, 3); memory is bounded even where the file has one level only.

        Raises
        ------
        ValueError
            If the size is not positive.
        """
        if min(size) < 1:
            raise ValueError(f"a thumbnail has at least one pixel, not {size[0]} x {size[1]}")
        wanted = self._fitting(size)
        if self.lacks_overview and max(wanted) <= OVERVIEW_PX:
            overview = self.overview(cancel)
            height, width = overview.shape[:2]
            return box_average(overview, (0, 0, width, height), wanted)
        return stream_thumbnail(self._backend, wanted, self._threads, cancel or CancellationToken())

    def _fitting(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return the (width, height) of the slide fitted into a size."""
        width, height = self.dimensions
        scale = min(size[0] / width, size[1] / height, 1.0)
        return max(1, round(width * scale)), max(1, round(height * scale))

    @property
    def lacks_overview(self) -> bool:
        """Whether the file has no level that is small enough to be averaged at every opening."""
        return (
            stored_megapixels(self._backend, self.level_count - 1)
            > self._settings.overview_budget_mp
        )

    @property
    def has_stored_overview(self) -> bool:
        """Whether the overview of such a file was made before and is kept on disk."""
        return self._overviews.path(self.fingerprint).is_file()

    def overview(self, cancel: CancellationToken | None = None) -> np.ndarray:
        """Average the whole slide to at most `OVERVIEW_PX` a side, once for each content.

        Levels that were sampled for want of it are then taken from it.

        Parameters
        ----------
        cancel
            Asked once per block of 8 megapixels.

        Returns
        -------
        np.ndarray
            uint8 (h, w, 3).
        """
        kept = self._overviews.load(self.fingerprint)
        if kept is not None:
            return kept
        pixels = stream_thumbnail(
            self._backend,
            self._fitting((OVERVIEW_PX, OVERVIEW_PX)),
            self._threads,
            cancel or CancellationToken(),
        )
        self._overviews.save(self.fingerprint, pixels)
        sampled = self._pyramid.sampled
        if sampled is not None:
            sampled.replace(pixels)
            self._cache.clear()
        return pixels

    @cached_property
    def _pyramid(self) -> Pyramid:
        return make_pyramid(
            self._backend,
            self._settings,
            self._cache,
            self._threads,
            lambda: self._overviews.load(self.fingerprint),
        )

    @cached_property
    def _overviews(self) -> OverviewStore:
        return OverviewStore(self._settings)

    @cached_property
    def _cache(self) -> PixelCache:
        return PixelCache(self._settings.tile_cache_mb * 1_000_000)

    @property
    def _threads(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(
                    self._settings.reader_threads, thread_name_prefix="slide-reader"
                )
            return self._pool
