"""Images as instances: which pages of which files each is made of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

Colour = tuple[int, int, int]
"""RGB at full brightness, 0 to 255."""


@dataclass(frozen=True, slots=True)
class ImageSource:
    """Pixels of an image, or of one of its channels."""

    file: Path
    pages: tuple[int, ...] = ()
    """Pages of a TIFF, counted from 0, that are projected by maximum; none is the whole picture."""
    colour: Colour | None = None
    """Colour of a channel; None where the pixels have colours of their own."""


@dataclass(frozen=True, slots=True)
class ImageInstance:
    """An image that counts as one instance."""

    name: str
    sources: tuple[ImageSource, ...]
    """One, or one a channel."""
    size: tuple[int, int] | None = None
    """(width, height) in pixels, where the header of its file was read."""

    @property
    def is_plain(self) -> bool:
        """Whether it is one picture as its file holds it."""
        return len(self.sources) == 1 and not self.sources[0].pages
