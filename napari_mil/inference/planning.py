"""Plans: the tiles of a slide that are classified."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from napari_mil import bags
from napari_mil.bags.grid import TileGrid, TileSpec
from napari_mil.bags.mask import TissueMask
from napari_mil.errors import ClassifierError, NapariMilError, NoTissueError, Remedy
from napari_mil.events import CancellationToken
from napari_mil.inference.card import ClassifierCard
from napari_mil.slides import Slide
from napari_mil.slides.resolution import ScaleSource, given_scale

Mask = TissueMask | Literal["auto"] | None
"""``"auto"`` detects tissue, None takes the whole slide."""
OTHER_SCALE = 0.2
"""Relative difference from the classifier's scale that is worth a remark."""
ENLARGED = 1.05
"""Enlargement of tiles that is worth a remark."""


@dataclass(frozen=True, eq=False)
class Plan:
    """Tiles of a slide that are classified."""

    grid: TileGrid
    tissue: TissueMask | None
    """Tissue under the tiles; None for the whole slide."""


def plan_tiles(
    slide: Slide,
    tiles: TileSpec,
    mask: Mask = "auto",
    *,
    cancel: CancellationToken | None = None,
) -> Plan:
    """Lay a grid over the tissue of a slide.

    The scale is checked before tissue is looked for, which takes longer.

    Parameters
    ----------
    slide
        What the tiles are cut from.
    tiles
        Size, scale and overlap of the tiles.
    mask
        ``"auto"`` detects tissue, None takes the whole slide.
    cancel
        Asked while tissue is looked for.

    Raises
    ------
    NoTissueError
        If no tile lies on tissue.
    MissingMppError, ResolutionError
        See `tile_grid`.
    """
    whole = tiles.lay(slide)
    tissue = _tissue(slide, mask, cancel)
    if tissue is None:
        return Plan(whole, None)
    grid = tiles.lay(slide, tissue)
    if len(grid) > 0:
        return Plan(grid, tissue)
    name = slide.path.name
    if tissue.mask.any():
        raise NoTissueError(
            f"{name} has tissue, but no tile of {tiles.px} px is half covered by it",
            Remedy.SMALLER_TILES,
            Remedy.WHOLE_IMAGE,
        )
    raise NoTissueError(f"{name} shows no tissue", Remedy.DRAW_TISSUE, Remedy.WHOLE_IMAGE)


def _tissue(slide: Slide, mask: Mask, cancel: CancellationToken | None) -> TissueMask | None:
    if not isinstance(mask, str):
        return mask
    if mask != "auto":
        raise NapariMilError(f"mask is 'auto', None or a TissueMask, not {mask!r}.")
    # scipy is loaded when tissue is looked for.
    return bags.tissue_mask(slide, cancel)


def with_assumed_scale(slide: Slide, card: ClassifierCard) -> Slide:
    """Return a slide with the scale that a classifier assumes.

    A slide that says its scale is returned itself; otherwise the result is a twin of it, to be
    closed by the caller.
    """
    if slide.mpp is not None or card.slide_mpp is None:
        return slide
    return slide.with_scale(given_scale(card.slide_mpp, ScaleSource.CLASSIFIER))


def scale_remarks(slide: Slide, card: ClassifierCard, grid: TileGrid) -> list[str]:
    """Return remarks on uncertain or unexpected scales, as sentences."""
    expected = card.mpp
    if expected is None:
        return []
    if grid.mpp is None:
        return [
            f"The slide's scale is unknown: tiles are pixels of level {grid.level}, "
            f"the classifier expects {expected:g} µm per pixel."
        ]
    remarks = []
    if slide.scale.source is ScaleSource.CLASSIFIER:
        remarks.append(
            f"The slide does not say its scale: {slide.mpp:.3g} µm per pixel are assumed, "
            "as for the slides the classifier was trained on."
        )
    if abs(grid.mpp / expected - 1) > OTHER_SCALE:
        remarks.append(
            f"Tiles have {grid.mpp:.3g} µm per pixel; the classifier was trained at {expected:g}."
        )
    if slide.mpp is not None and slide.mpp > ENLARGED * grid.mpp:
        remarks.append(
            f"Tiles are enlarged {slide.mpp / grid.mpp:.2f} times: "
            f"the slide has {slide.mpp:.3g} µm per pixel at its finest."
        )
    return remarks


def check_channels(slide: Slide, card: ClassifierCard) -> None:
    """Refuse a fluorescence slide where the classifier knows brightfield, and the reverse.

    Raises
    ------
    ClassifierError
        If they do not fit.
    """
    if bool(slide.channels) == card.is_fluorescence:
        return
    names = ", ".join(channel.name for channel in slide.channels)
    kind = f"a fluorescence slide (channels {names})" if names else "a brightfield slide"
    wanted = "fluorescence" if card.is_fluorescence else "brightfield"
    raise ClassifierError(
        f"{slide.path.name} is {kind}; the classifier {card.name} was trained on {wanted} slides."
    )


def check_slide(slide: Slide, card: ClassifierCard, tiles: TileSpec) -> None:
    """Refuse what can be refused before anything is read.

    Raises
    ------
    ClassifierError
        If slide and classifier do not fit.
    MissingMppError, ResolutionError
        See `tile_grid`.
    """
    check_channels(slide, card)
    scaled = with_assumed_scale(slide, card)
    try:
        tiles.lay(scaled)
    finally:
        if scaled is not slide:
            scaled.close()
