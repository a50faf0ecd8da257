"""Pixels of single instances and of what lies around them; read in threads."""

from __future__ import annotations

import numpy as np

from napari_mil.bags.layout import Layout
from napari_mil.gui.model.gallery import likeness_to, nearest_by
from napari_mil.gui.model.session import Closeup, Surroundings
from napari_mil.gui.model.subjects import Subject
from napari_mil.slides import Slide

FACTORS = (4.0, 16.0)
"""Sides of the surroundings, in sides of the instance: two more magnifications."""
SIDE_PX = 224
"""Pixels of a side of the surroundings at least, where the slide has them."""
MOST_PX = 512
"""Pixels of a side of a picture of the gallery at most: larger instances are read coarser."""


def read_closeup(
    subject: Subject, layout: Layout, instance: int, features: np.ndarray | None
) -> Closeup:
    """Read an instance and what lies around it, and find what is like it.

    Parameters
    ----------
    subject
        What the instance belongs to.
    layout
        Places of the instances.
    instance
        Index of the instance.
    features
        float32 (N, D) or maps (N, C, H, W) of the instances; None leaves likeness open.

    Raises
    ------
    NapariMilError
        If pixels cannot be read.
    """
    slide = subject.slide
    likeness = None if features is None else likeness_to(features, instance)
    return Closeup(
        subject.key,
        instance,
        instance_pixels(subject, layout, instance),
        () if slide is None else read_surroundings(slide, layout, instance),
        None if likeness is None else nearest_by(likeness, instance),
        likeness,
    )


def instance_pixels(subject: Subject, layout: Layout, instance: int) -> np.ndarray | None:
    """Read an instance at full resolution: uint8 (H, W, 3), or None where there are no pixels."""
    if subject.images is not None:
        return subject.images.read(instance)
    if subject.slide is None:
        return None
    width, height = (max(1, round(side)) for side in layout.size0)
    x, y = (float(value) for value in layout.coords[instance])
    return subject.slide.read_region((x, y), 0, (width, height))


def instance_thumbnail(subject: Subject, layout: Layout, instance: int) -> np.ndarray | None:
    """Read an instance for the gallery: as `instance_pixels`, coarser where it is large."""
    if subject.slide is None or max(layout.size0) <= MOST_PX:
        return instance_pixels(subject, layout, instance)
    return _read(subject.slide, layout, instance, 1.0, MOST_PX / 2)


def read_surroundings(slide: Slide, layout: Layout, instance: int) -> tuple[Surroundings, ...]:
    """Read what lies around an instance of a slide, from near to far."""
    longest = max(slide.dimensions) / max(layout.size0)
    factors = [factor for factor in FACTORS if factor < 2 * longest]
    return tuple(
        Surroundings(_read(slide, layout, instance, factor, SIDE_PX), factor) for factor in factors
    )


def _read(
    slide: Slide, layout: Layout, instance: int, factor: float, least_px: float
) -> np.ndarray:
    """Read a part around the centre of an instance, at the coarsest level that is fine enough."""
    size = np.asarray(layout.size0, float)
    part = size * factor
    corner = layout.coords[instance] + (size - part) / 2
    wanted = part.max() / least_px
    fitting = [k for k, down in enumerate(slide.level_downsamples) if down <= max(wanted, 1.0)]
    level = fitting[-1]
    pixels = np.maximum(np.round(part / slide.level_downsamples[level]), 1).astype(int)
    region = slide.read_region(
        (float(corner[0]), float(corner[1])), level, (int(pixels[0]), int(pixels[1]))
    )
    step = max(1, int(pixels.max() // (2 * least_px)))
    # A slide of one level is read as it is, and shown with every so manieth pixel.
    return np.ascontiguousarray(region[::step, ::step])
