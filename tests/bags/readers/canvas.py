"""Geometry of a slide without pixels, as readers ask for it."""

from pathlib import Path


class Canvas:
    """Size, scale and levels of a slide."""

    path = Path("canvas.svs")

    def __init__(self, width=10_000, height=8_000, mpp=0.5, downsamples=(1.0, 4.0), power=""):
        self.dimensions = (width, height)
        self.mpp_xy = None if mpp is None else (mpp, mpp)
        self.level_downsamples = downsamples
        self.level_count = len(downsamples)
        self.properties = {"openslide.objective-power": power} if power else {}
