"""Overviews of slides that are too large to be averaged at every opening, kept on disk."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import numpy as np
from PIL import Image

from napari_mil.files import forget_unused, mark_used
from napari_mil.settings import Settings

FOLDER = "overviews"
UNUSED_FOR_S = 7 * 24 * 3600
"""What was used within a week stays."""


class OverviewStore:
    """Overviews by the fingerprint of their slide: a file that changes gets another.

    Parameters
    ----------
    settings
        Folder and size of the cache.
    """

    def __init__(self, settings: Settings) -> None:
        self._folder = settings.cache_folder / FOLDER
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
        part = path.with_suffix(f".{os.getpid()}.part")
        with suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(part, "PNG", compress_level=1)
            part.replace(path)
            forget_unused(self._folder.parent, self._most_bytes, UNUSED_FOR_S)
