"""Pixels: opening any slide lazily (no torch, no Qt)."""

from napari_mil.slides.slide import SLIDE_EXTENSIONS, Slide, open_slide

__all__ = ["SLIDE_EXTENSIONS", "Slide", "open_slide"]
