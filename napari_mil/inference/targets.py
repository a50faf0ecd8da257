"""Targets of classification: slides, folders of images, feature files."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType

from napari_mil.bags import Bag, ImageBag, open_image_bag, read_bag
from napari_mil.bags.names import bag_name
from napari_mil.bags.readers import fingerprint_features, is_bag, is_features
from napari_mil.settings import Settings
from napari_mil.slides import Slide, open_slide

FindScale = Callable[[Slide], float | None]
"""Finds micrometres per level-0 pixel of a slide; None takes what its file says."""


@dataclass(frozen=True)
class Identity:
    """What a prediction keeps of its slide or bag.

    Nothing else of a slide is kept.
    """

    name: str = ""
    fingerprint: str = ""
    dimensions: tuple[int, int] | None = None
    """(width, height) of level 0 of a slide."""
    mpp: float | None = None
    vendor: str = ""

    def as_dict(self) -> dict[str, object]:
        """Return the entries of ``prediction.json``."""
        if not self.fingerprint:
            return {}
        facts: dict[str, object] = {"name": self.name, "fingerprint": self.fingerprint}
        if self.dimensions is not None:
            facts |= {
                "dimensions": list(self.dimensions),
                "mpp": self.mpp,
                "vendor": self.vendor,
            }
        return facts


def identity_of_slide(slide: Slide) -> Identity:
    """Return what a prediction keeps of a slide."""
    return Identity(slide.name, slide.fingerprint, slide.dimensions, slide.mpp, slide.vendor)


@dataclass(frozen=True, eq=False)
class Target:
    """Slide or bag to classify, as a context manager.

    A slide is closed at the end of the context.
    """

    path: Path
    content: Slide | ImageBag | Bag

    def __enter__(self) -> Target:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the slide, if it is one."""
        if isinstance(self.content, Slide):
            self.content.close()

    @cached_property
    def identity(self) -> Identity:
        """Name and fingerprint; the content is hashed once."""
        if isinstance(self.content, Slide):
            return identity_of_slide(self.content)
        if isinstance(self.content, ImageBag):
            return Identity(bag_name(self.path), self.content.fingerprint)
        return Identity(bag_name(self.path), fingerprint_features(self.path))


def open_target(
    path: Path,
    slide_mpp: float | None = None,
    settings: Settings | None = None,
    *,
    tile_size0: float | None = None,
    find_mpp: FindScale | None = None,
) -> Target:
    """Open a slide, a folder of images or a feature file.

    Parameters
    ----------
    path
        A slide, a folder of images, or a feature file.
    slide_mpp
        Micrometres per level-0 pixel of a slide that says none or a wrong one.
    settings
        Cache sizes and thread counts.
    tile_size0
        Side of a tile in level-0 pixels, where a feature file does not say it or is wrong.
    find_mpp
        Asked for the scale of a slide where none is given.

    Raises
    ------
    NapariMilError
        If the path is none of them.
    """
    if not is_bag(path):
        slide = open_slide(path, slide_mpp, settings=settings)
        if slide_mpp is None and find_mpp is not None:
            slide = _at_found_scale(slide, find_mpp)
        return Target(path, slide)
    if is_features(path):
        return Target(path, read_bag(path, tile_size0=tile_size0))
    return Target(path, open_image_bag(path))


def _at_found_scale(slide: Slide, find_mpp: FindScale) -> Slide:
    """Return a slide at the scale that is found for it; itself where there is none."""
    with ExitStack() as stack:
        stack.callback(slide.close)
        found = find_mpp(slide)
        if found is not None:
            return slide.with_mpp(found)
        stack.pop_all()
    return slide
