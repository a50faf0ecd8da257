"""Feature files of slides in TRIDENT's layout, without a classifier.

<out>/<20x>_<224px>_<0px>_overlap/features_<encoder>/<slide>.h5   features and coordinates
<out>/<20x>_<224px>_<0px>_overlap/patches/<slide>_patches.h5      coordinates alone
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from napari_mil.bags import Bag, Extraction, TileGrid, TileSpec, write_bag, write_positions
from napari_mil.bags.readers.hdf5 import read_extraction
from napari_mil.bags.writing import magnification_of
from napari_mil.events import CancellationToken, Fallback, Finished, OnEvent, Started, ignore
from napari_mil.inference.planning import Mask, Plan, plan_tiles
from napari_mil.settings import Settings
from napari_mil.slides import Slide

if TYPE_CHECKING:
    from napari_mil.encoders import Encoder


@dataclass(frozen=True)
class EmbedRequest:
    """Options of embedding a slide into its file."""

    tiles: TileSpec
    mask: Mask = "auto"


@dataclass(frozen=True)
class FeatureFile:
    """Features of one slide on disk."""

    path: Path
    n_instances: int
    seconds: float
    kept: bool
    """Whether it was there already, from the same slide, encoder and grid."""


@dataclass(frozen=True)
class FeatureStore:
    """Output folder with a feature file for each slide."""

    out: Path

    def embed(
        self,
        slide: Slide,
        encoder: Encoder,
        request: EmbedRequest,
        on_event: OnEvent = ignore,
        cancel: CancellationToken | None = None,
        settings: Settings | None = None,
    ) -> FeatureFile:
        """Write the features of a slide, or keep those that are there.

        Parameters
        ----------
        slide
            An open slide.
        encoder
            Turns tiles into vectors.
        request
            Tiles and mask.
        on_event
            Told of progress and of what was left out.
        cancel
            Asked once per batch; nothing is written of a slide that was begun.
        settings
            Threads that read, batches read ahead, and the cache, whose features are used.

        Raises
        ------
        NapariMilError
            If the slide or the output folder is at fault.
        CancelledError
            If it was cancelled.
        """
        started = time.monotonic()
        cancel = cancel or CancellationToken()
        plan = plan_tiles(slide, request.tiles, request.mask, cancel=cancel)
        facts = _extraction(slide, encoder, plan.grid, request.tiles)
        path = self._place(facts, request.tiles)
        earlier = read_extraction(path) if path.is_file() else None
        if earlier is not None and _is_same_work(earlier, facts):
            return FeatureFile(path, _count(path), 0.0, kept=True)
        bag = _embed(slide, encoder, plan, on_event, cancel, settings or Settings())
        bag = replace(bag, extraction=facts)
        cancel.raise_if_cancelled()
        # Coordinates first: where the features stand, all is there.
        write_positions(bag, _patches_path(path))
        write_bag(bag, path)
        written = FeatureFile(path, len(bag), time.monotonic() - started, kept=False)
        on_event(Finished(written))
        return written

    def _place(self, facts: Extraction, tiles: TileSpec) -> Path:
        """Return the file of a slide; one of that name of another slide is left alone."""
        folder = self.out / _job_name(facts, tiles) / f"features_{facts.encoder}"
        for name in _candidates(facts.slide_name):
            path = folder / f"{name}.h5"
            if not path.exists():
                return path
            earlier = read_extraction(path)
            if earlier is not None and earlier.slide_fingerprint == facts.slide_fingerprint:
                return path
        raise AssertionError("unreachable: there is always a next name")


def _embed(
    slide: Slide,
    encoder: Encoder,
    plan: Plan,
    on_event: OnEvent,
    cancel: CancellationToken,
    settings: Settings,
) -> Bag:
    """Encode the tiles of a slide; those that cannot be read are left out."""
    # Imported here: torch is loaded when something is encoded.
    from napari_mil.inference.bag_embedding import BagEmbedder

    on_event(Started(len(plan.grid), grid=plan.grid, tissue=plan.tissue))
    # What is written here is not kept a second time in the cache.
    embedded = BagEmbedder(encoder, settings, cancel, on_event).embed_slide(slide, plan.grid)
    grid = embedded.grid
    assert grid is not None
    if len(grid) < len(plan.grid):
        lost = len(plan.grid) - len(grid)
        on_event(Fallback(f"{lost} tiles cannot be read and are left out."))
    return Bag(embedded.features, grid.coords, grid.tile_size0)


def _extraction(slide: Slide, encoder: Encoder, grid: TileGrid, tiles: TileSpec) -> Extraction:
    """Return how the features of a slide are made."""
    return Extraction(
        slide_name=slide.name,
        slide_fingerprint=slide.fingerprint,
        slide_size=slide.dimensions,
        slide_mpp=slide.mpp,
        tile_px=grid.tile_px,
        tile_mpp=grid.mpp,
        overlap=tiles.overlap,
        encoder=encoder.name,
        encoder_fingerprint=encoder.fingerprint,
        grid_fingerprint=grid.fingerprint,
    )


def _is_same_work(earlier: Extraction, facts: Extraction) -> bool:
    """Say whether features come from the same slide, encoder and grid."""
    return (
        earlier.slide_fingerprint == facts.slide_fingerprint
        and earlier.encoder_fingerprint == facts.encoder_fingerprint
        and earlier.grid_fingerprint == facts.grid_fingerprint
    )


def _job_name(facts: Extraction, tiles: TileSpec) -> str:
    """Return TRIDENT's name of a folder: magnification, side and overlap of tiles."""
    power = magnification_of(facts.tile_mpp)
    if power is not None:
        scale = f"{power}x"
    elif facts.tile_mpp is not None:
        scale = f"{facts.tile_mpp:g}mpp"
    else:
        scale = f"level{tiles.level}"
    return f"{scale}_{tiles.px}px_{round(tiles.overlap * tiles.px)}px_overlap"


def _patches_path(path: Path) -> Path:
    """Return the file of coordinates that belongs to features."""
    return path.parent.parent / "patches" / f"{path.stem}_patches.h5"


def _count(path: Path) -> int:
    """Return the number of instances of a feature file."""
    from napari_mil.bags.readers import shape_of_bag

    return shape_of_bag(path)[0]


def _candidates(name: str) -> Iterator[str]:
    yield name
    yield from (f"{name}-{k}" for k in count(2))
