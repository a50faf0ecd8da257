"""Tissue of a slide as a mask, found on its overview."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from napari_mil.bags.mask import TissueMask
from napari_mil.bags.segmentation import Segmentation, segment_tissue
from napari_mil.events import CancellationToken
from napari_mil.findings import Finding, FindingKind
from napari_mil.slides import Slide

WANTED_MPP = 8.0
"""Wanted µm per pixel of the overview.

A tile of 224 px at 0.5 µm/px then covers 14 x 14 mask pixels.
"""
ASSUMED_MPP = 0.5
"""µm per level-0 pixel for the size of the overview where the slide does not say it."""
LARGEST_MASK_PX = 4096
"""Largest allowed longer side of the mask, px."""
SMALLEST_MASK_PX = 512
"""Smallest longer side of the mask, px, where the slide is large enough."""
WHOLE_SLIDE_UM = 5_000.0
"""Longer side from which a picture is a whole slide rather than a field, µm."""
FEW = 0.1
"""Share of tissue in a field below which it is worth a remark."""
NEARLY_ALL = 0.95
"""Share of tissue in a whole slide above which it is worth a remark."""


def tissue_mask(slide: Slide, cancel: CancellationToken | None = None) -> TissueMask:
    """Find tissue on an overview of the slide.

    Glass is a bright, unsaturated area without texture. Where the overview shows some, tissue is
    what differs from it, lumens and vacuoles within included; where it shows none, all is tissue.
    On a dark ground, tissue is what is brighter than the ground. Pen marks, shadow and edge of the
    cover slip, and dust are no tissue.

    Parameters
    ----------
    slide
        An open slide.
    cancel
        Asked while the overview is read and between the steps after it.

    Returns
    -------
    TissueMask
        bool array at about 8 µm per pixel (at most 4096 pixels a side), its downsample, the rule
        used, and findings on pen marks and unusual shares of tissue.
    """
    cancel = cancel or CancellationToken()
    width, height = slide.dimensions
    downsample = max(_wanted_downsample(slide), max(width, height) / LARGEST_MASK_PX, 1.0)
    thumbnail = slide.thumbnail(
        (math.ceil(width / downsample), math.ceil(height / downsample)), cancel
    )
    downsample_xy = (width / thumbnail.shape[1], height / thumbnail.shape[0])
    # Only the stored part is searched: white around it would be taken for glass.
    x, y, stored_width, stored_height = slide.bounds
    rows = slice(int(y / downsample_xy[1]), math.ceil((y + stored_height) / downsample_xy[1]))
    columns = slice(int(x / downsample_xy[0]), math.ceil((x + stored_width) / downsample_xy[0]))
    pixel_um2 = slide.mpp**2 * downsample_xy[0] * downsample_xy[1] if slide.mpp else None
    found = segment_tissue(
        thumbnail[rows, columns], pixel_um2, fluorescent=bool(slide.channels), cancel=cancel
    )
    mask = np.zeros(thumbnail.shape[:2], bool)
    mask[rows, columns] = found.tissue
    longer_um = max(stored_width, stored_height) * (slide.mpp or ASSUMED_MPP)
    is_slide = longer_um >= WHOLE_SLIDE_UM
    findings = tuple(_findings(slide.path, found, is_slide=is_slide))
    return TissueMask(mask, downsample_xy, found.method, findings)


def _wanted_downsample(slide: Slide) -> float:
    """Return the downsample of an overview of 8 µm per pixel.

    It is never so large that the mask is too small to have shapes.
    """
    wanted = WANTED_MPP / (slide.mpp or ASSUMED_MPP)
    return min(wanted, max(slide.dimensions) / SMALLEST_MASK_PX)


def _findings(path: Path, found: Segmentation, *, is_slide: bool) -> Iterator[Finding]:
    """Yield what a person should know about the tissue that was found."""
    if found.ink > 0:
        text = f"Tissue with pen marks left out: with their edges, {found.ink:.1%} of the picture."
        yield Finding(FindingKind.PEN_MARKS, path, text)
    share = float(found.tissue.mean())
    if is_slide and share > NEARLY_ALL:
        text = f"Nearly all of the slide ({share:.0%}) was taken for tissue; check it."
        yield Finding(FindingKind.UNUSUAL_TISSUE, path, text)
    if not is_slide and share < FEW:
        text = f"Little of the field ({share:.1%}) was taken for tissue; check it."
        yield Finding(FindingKind.UNUSUAL_TISSUE, path, text)
