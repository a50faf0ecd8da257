"""Settings of the machine: sizes, folders and thread counts.

One frozen object holds every number that the machine, not the slide, decides. It is passed down
from the caller that starts the work (`Settings()` by default) and is never a global.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import platformdirs

APPLICATION = "napari-mil"


@dataclass(frozen=True, slots=True)
class Settings:
    """Sizes, folders and thread counts."""

    tile_cache_mb: int = 256
    """Memory for decoded chunks of one open slide, in MB.

    A chunk of 512 x 512 pixels takes 0.8 MB, a full-screen view 6 MB.
    """

    chunk_px: int = 512
    """Wanted side of a chunk in pixels.

    The file's tile times a power of two comes as near as it can. 512 is about half a screen: a pan
    inside a chunk reads nothing, and one chunk decodes in under 20 ms.
    """

    reader_threads: int = field(default_factory=lambda: max(2, min(8, os.cpu_count() or 2)))
    """Threads that decode tiles.

    Decoders release the GIL, so there are as many as cores.
    """

    encoder_threads: int = field(default_factory=lambda: os.cpu_count() or 1)
    """Cores that encode on the CPU; an open window keeps one for itself."""

    read_ahead: int = 4
    """Batches of tiles read before the encoder asks for them.

    Bounds memory to that many batches.
    """

    overview_budget_mp: float = 48.0
    """Megapixels decoded at most for the coarsest level.

    napari reads that level before it shows anything; 48 take about one second on one core. A larger
    file without stored lower levels gets a sampled overview.
    """

    overview_px: int = 1000
    """Longest side of the coarsest level in pixels.

    napari keeps that level whole in memory.
    """

    user_folder: Path = field(
        default_factory=lambda: Path(platformdirs.user_data_dir(APPLICATION, appauthor=False))
    )
    """Folder whose ``classifiers/`` holds the user's own classifiers."""

    cache_folder: Path = field(
        default_factory=lambda: Path(platformdirs.user_cache_dir(APPLICATION, appauthor=False))
    )
    """Folder of cached features and tiles, by content.

    It is safe to delete at any time.
    """

    cache_gb: float = 20.0
    """Size the cache may grow to, in GB.

    20 GB hold 152 features a tile of 3 000 slides of 10 000 tiles, or the tiles of 13. The least
    recently used files go first; while a training run is at work, what was used within a week
    stays. At 0 nothing is taken from the cache, and a training run alone writes to it.
    """

    log_folder: Path = field(
        default_factory=lambda: Path(platformdirs.user_log_dir(APPLICATION, appauthor=False))
    )
    """Folder of the tracebacks of defects; they hold no property of a slide."""
