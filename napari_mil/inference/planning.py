"""Plans: the tiles of a slide that are classified."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from napari_mil import bags
from napari_mil.bags import Bag, ImageBag
from napari_mil.bags.grid import TileGrid, TileSpec
from napari_mil.bags.mask import TissueMask
from napari_mil.errors import (
    ClassifierError,
    NapariMilError,
    NoTissueError,
    Remedy,
    UnreadableSlideError,
)
from napari_mil.events import CancellationToken
from napari_mil.inference.card import IMAGES, ClassifierCard
from napari_mil.slides import Slide
from napari_mil.slides.resolution import ScaleSource, given_scale

Mask = TissueMask | Literal["auto"] | None
"""``"auto"`` detects tissue, None takes the whole slide."""
OTHER_SCALE = 0.2
"""Relative difference from the classifier's scale that is worth a remark."""
ENLARGED = 1.05
"""Enlargement of tiles that is worth a remark."""
LEAST_READABLE = 0.5
"""Share of a slide's tiles that must be readable."""
FEWEST_TO_TRY = 400
"""Tiles from which some are tried before all are encoded."""
TRIED_TILES = 100
SURELY_UNREADABLE = 0.35
"""Readable share of the tried tiles that a slide with half of them shows once in a thousand."""


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
    UnreadableSlideError
        If most tiles are known to be unreadable.
    """
    whole = tiles.lay(slide)
    tissue = _tissue(slide, mask, cancel)
    if slide.damage:
        # Of a slide without coarse levels, looking for tissue has read everything; what cannot be
        # read is white, which is taken for glass.
        check_readable(slide, whole.is_readable(slide))
    grid = whole if tissue is None else tiles.lay(slide, tissue)
    if len(grid) > 0:
        _try_some(slide, grid, cancel)
        return Plan(grid, tissue)
    name = slide.path.name
    if tissue is not None and tissue.mask.any():
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


def check_content(content: Slide | Bag | ImageBag, card: ClassifierCard) -> None:
    """Refuse what a classifier was not made for, as far as its card tells.

    Raises
    ------
    ClassifierError
        If they do not fit.
    """
    if isinstance(content, Slide):
        check_channels(content, card)
    elif isinstance(content, ImageBag):
        if card.instances != IMAGES:
            raise ClassifierError(
                f"The classifier {card.name} takes {card.takes}, not folders of images; "
                "choose another classifier."
            )
    else:
        made_by = content.provenance.get("encoder")
        if made_by and card.encoder and made_by != card.encoder.fingerprint:
            raise ClassifierError(
                f"These features were made by another encoder than the classifier {card.name} "
                "was trained on; encode the slide with its own."
            )


def _try_some(slide: Slide, grid: TileGrid, cancel: CancellationToken | None) -> None:
    """Read some tiles of many, and refuse a slide where nearly all of these cannot be read.

    A slide may have whole coarse levels and nothing in its finest: encoding would notice it last.

    Raises
    ------
    UnreadableSlideError
        If far more than half cannot: what a slide with half of its tiles hardly ever shows.
    """
    if len(grid) < FEWEST_TO_TRY:
        return
    tried = np.linspace(0, len(grid) - 1, TRIED_TILES).astype(int)
    for i in tried:
        if cancel is not None:
            cancel.raise_if_cancelled()
        grid.read(slide, int(i))
    if not slide.damage:
        return
    kept = grid.subset(tried).is_readable(slide)
    if kept.mean() < SURELY_UNREADABLE:
        raise UnreadableSlideError(
            f"{slide.path.name} cannot be read at {np.count_nonzero(~kept)} of {len(kept)} places "
            f"that were tried ({slide.damage.reason}); copy the slide again."
        )


def check_readable(slide: Slide, kept: np.ndarray) -> None:
    """Refuse a slide most of whose tiles cannot be read.

    Parameters
    ----------
    slide
        What the tiles are cut from.
    kept
        bool (N,): which tiles can be read.

    Raises
    ------
    UnreadableSlideError
        If more than half of them cannot.
    """
    if kept.mean() < LEAST_READABLE:
        raise UnreadableSlideError(
            f"{slide.path.name} has {np.count_nonzero(~kept)} of {len(kept)} tiles that cannot be "
            f"read ({slide.damage.reason}); copy the slide again."
        )
