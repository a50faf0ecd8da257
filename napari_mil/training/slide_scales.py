"""Scales of a cohort's slides: which slides can be cut into tiles of one scale."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from napari_mil.bags.grid import LARGEST_ENLARGEMENT
from napari_mil.errors import TrainingError
from napari_mil.findings import Finding, FindingKind
from napari_mil.settings import Settings
from napari_mil.slides import Slide, open_slide
from napari_mil.training.cohorts.cohort import SLIDES, Cohort, CohortBag


@dataclass(frozen=True)
class ScaleCheck:
    """Slides by whether their scale can be used."""

    usable: tuple[CohortBag, ...]
    """Bags that are no slides, and slides of a usable scale."""
    useless: tuple[CohortBag, ...]
    findings: tuple[Finding, ...]
    """One for all slides without a resolution, one for all that are too coarse."""

    def refuse_if_useless(self, name: str) -> None:
        """Refuse a cohort of this name in which the scale of every bag is useless.

        Raises
        ------
        TrainingError
            If nothing is left.
        """
        if self.useless and not self.usable:
            raise TrainingError(f"{name}: {self.findings[0].text}")


def check_scales(cohort: Cohort, slide_mpp: float | None, tile_mpp: float | None) -> ScaleCheck:
    """Tell slides that cannot be cut into tiles from the others, without opening them.

    Parameters
    ----------
    cohort
        The bags.
    slide_mpp
        Micrometres per level-0 pixel of slides that do not say it; None where it is not known.
    tile_mpp
        Micrometres per pixel of the tiles; None where instances are no tiles.
    """
    slides = [bag for bag in cohort.bags if bag.kind == SLIDES]
    unknown = [bag for bag in slides if bag.mpp is None and slide_mpp is None]
    coarse = [bag for bag in slides if _is_too_coarse(bag.mpp or slide_mpp, tile_mpp)]
    findings = []
    if unknown:
        have = _number(unknown, "has", "have")
        text = (
            f"{have} no resolution and cannot be used, the first {unknown[0].path.name}; "
            "give their µm per pixel (slide_mpp, --slide-mpp)."
        )
        findings.append(Finding(FindingKind.UNCERTAIN_SCALE, cohort.root, text))
    if coarse:
        have = _number(coarse, "is", "are")
        text = (
            f"{have} too coarse for tiles of {tile_mpp:g} µm per pixel and cannot be used, the "
            f"first {coarse[0].path.name}; take coarser tiles (mpp) or finer scans."
        )
        findings.append(Finding(FindingKind.UNCERTAIN_SCALE, cohort.root, text))
    useless = {id(bag) for bag in (*unknown, *coarse)}
    usable = tuple(bag for bag in cohort.bags if id(bag) not in useless)
    return ScaleCheck(usable, (*unknown, *coarse), tuple(findings))


def open_scaled(path: Path, slide_mpp: float | None, settings: Settings) -> Slide:
    """Open a slide, with the assumed scale where it says none."""
    slide = open_slide(path, settings=settings)
    if slide.mpp is not None or slide_mpp is None:
        return slide
    slide.close()
    return open_slide(path, slide_mpp, settings=settings)


def _is_too_coarse(mpp: float | None, tile_mpp: float | None) -> bool:
    return mpp is not None and tile_mpp is not None and mpp > LARGEST_ENLARGEMENT * tile_mpp


def _number(bags: list[CohortBag], one: str, many: str) -> str:
    return f"1 slide {one}" if len(bags) == 1 else f"{len(bags)} slides {many}"
