"""Overviews of slides that are too large to be averaged at every opening, kept on disk."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np
from PIL import Image

from napari_mil.disk_cache import CacheKind, mark_used, trim
from napari_mil.files import whole_or_nothing
from napari_mil.settings import Settings


class OverviewStore:
    """Overviews by the fingerprint of their slide: a file that changes gets another.

    Parameters
    ----------
    settings
        Folder and size of the cache.
    """

    def __init__(self, settings: Settings) -> None:
        self._folder = settings.cache_folder / CacheKind.OVERVIEWS
        self._most_bytes = settings.cache_gb * 1e9

    def path(self, fingerprint: str) -> Path:
        """Return the file of an overview."""
        return self._folder / f"{fingerprint}.png"

    def load(self, fingerprint: str) -> np.ndarray | None:
        """Return an overview, uint8 (h, w, 3), or None."""
        path = self.path(fingerprint)
        try:
            with Image.open(path) as image:
                pixels = np.asarray(image.convert("RGB"))
        except (OSError, SyntaxError, ValueError):
            return None
        mark_used(path)
        return pixels

    def save(self, fingerprint: str, pixels: np.ndarray) -> None:
        """Keep an overview; a cache that cannot be written is left alone."""
        path = self.path(fingerprint)
        with suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            with whole_or_nothing(path) as part:
                Image.fromarray(pixels).save(part, "PNG", compress_level=1)
            trim(self._folder.parent, self._most_bytes)
