"""Slides of any format, read lazily (imports no torch and no Qt)."""

from napari_mil.slides.channels import Channel
from napari_mil.slides.opening import SLIDE_EXTENSIONS, open_slide
from napari_mil.slides.slide import Slide

__all__ = ["SLIDE_EXTENSIONS", "Channel", "Slide", "open_slide"]
