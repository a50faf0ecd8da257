"""Slides of any format, read lazily (imports no torch and no Qt)."""

from napari_mil.slides.slide import SLIDE_EXTENSIONS, Slide, open_slide

__all__ = ["SLIDE_EXTENSIONS", "Slide", "open_slide"]
