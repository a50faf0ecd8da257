"""Whether the regions of annotation files lie on their slides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely

from napari_mil.annotations import Region
from napari_mil.errors import NapariMilError
from napari_mil.findings import Finding, FindingKind
from napari_mil.slides import open_slide


@dataclass(frozen=True)
class SlideExtent:
    """Where regions of a slide may lie, in level-0 pixels."""

    width: int
    height: int
    origin: tuple[float, float]
    """Pixel (x, y) that GeoJSON counts from; see `Slide.origin`."""

    def holds(self, regions: Sequence[Region]) -> np.ndarray:
        """Return whether regions reach into the slide, bool (n,)."""
        outlines = np.array([region.area for region in regions], object)
        slide = shapely.box(0, 0, self.width, self.height)
        reaching: np.ndarray = shapely.intersects(outlines, slide)
        return reaching & ~shapely.touches(outlines, slide)


def extent_of(slide: Path) -> SlideExtent | None:
    """Return the extent of a slide; None where it cannot be opened any more."""
    try:
        with open_slide(slide) as opened:
            return SlideExtent(*opened.dimensions, opened.origin)
    except (NapariMilError, OSError):
        return None


@dataclass(frozen=True)
class OffSlide:
    """Regions of one annotation file that lie off the slide."""

    path: Path
    n_off: int
    n_regions: int
    extent: SlideExtent

    @property
    def is_all(self) -> bool:
        """Whether no region of the file lies on the slide."""
        return self.n_off == self.n_regions


def off_slide(path: Path, regions: Sequence[Region], extent: SlideExtent) -> OffSlide | None:
    """Return how many regions of a file lie off its slide; None where none does."""
    n_off = int((~extent.holds(regions)).sum()) if regions else 0
    return OffSlide(path, n_off, len(regions), extent) if n_off else None


def off_slide_findings(files: Sequence[OffSlide]) -> list[Finding]:
    """Name the files with regions off their slides: one finding of all where there are several.

    What these regions were drawn around is not known, so that nothing outside regions is negative.
    """
    findings = []
    for is_all in (True, False):
        alike = [file for file in files if file.is_all is is_all]
        if alike:
            findings.append(
                Finding(FindingKind.ANNOTATION, alike[0].path, _words(alike), len(alike))
            )
    return findings


def _words(alike: Sequence[OffSlide]) -> str:
    first = alike[0]
    if not first.is_all:
        regions = f"{first.n_off} of its {first.n_regions} regions lie"
        left_out = "nothing is known outside its other regions."
    elif first.n_regions == 1:
        regions = "Its region lies"
        left_out = "it is left out, and nothing is known outside it."
    else:
        regions = f"Its {first.n_regions} regions lie"
        left_out = "they are left out, and nothing is known outside them."
    more = len(alike) - 1
    others = f" (so do regions of {more} more {'file' if more == 1 else 'files'})" if more else ""
    return (
        f"{regions} off the slide, {first.extent.width} × {first.extent.height} px{others}: "
        f"wrong scale or origin? Export them in pixels of level 0; {left_out}"
    )
