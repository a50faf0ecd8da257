"""One frozen object with every number that a machine, not a slide, decides.

It is passed down from whoever starts the work (`Settings()` where nobody says otherwise) and never looked up.
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
    """Memory for decoded chunks of one open slide, in MB; a chunk of 512 x 512 takes 0.8 MB, a full-screen view 6 MB."""

    chunk_px: int = 512
    """Wanted side of a chunk in pixels; the file's tile times a power of two comes as near as it can.

    Half a screen: a pan inside a chunk reads nothing, and one chunk decodes in under 20 ms.
    """

    reader_threads: int = field(default_factory=lambda: max(2, min(8, os.cpu_count() or 2)))
    """Threads that decode tiles; decoders release the GIL, so as many as cores."""

    encoder_threads: int = field(default_factory=lambda: os.cpu_count() or 1)
    """Cores that encode on the CPU; an open window keeps one for itself."""

    read_ahead: int = 4
    """Batches of tiles read before the encoder asks for them; bounds memory to that many batches."""

    overview_budget_mp: float = 48.0
    """Megapixels that may be decoded for the coarsest level of the viewer, which napari reads before it shows anything.

    About one second on one core. A larger file without stored lower levels gets a sampled overview.
    """

    overview_px: int = 1000
    """Longest side of the coarsest level in pixels: napari keeps that level whole in memory."""

    user_folder: Path = field(
        default_factory=lambda: Path(platformdirs.user_data_dir(APPLICATION, appauthor=False))
    )
    """The user's own classifiers live in ``classifiers/`` below it."""

    cache_folder: Path = field(
        default_factory=lambda: Path(platformdirs.user_cache_dir(APPLICATION, appauthor=False))
    )
    """Features and tiles that were made once, by content; safe to delete at any time."""

    cache_gb: float = 20.0
    """Size the cache may grow to, in GB: features of 5 000 slides of 10 000 tiles, or the tiles of 13. What was used within a week stays."""

    log_folder: Path = field(
        default_factory=lambda: Path(platformdirs.user_log_dir(APPLICATION, appauthor=False))
    )
    """Tracebacks of defects of ours; they hold no property of a slide."""
