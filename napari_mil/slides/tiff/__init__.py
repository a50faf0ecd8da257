"""Direct reader of TIFF files: bytes of a tile by position, decoded by a native library."""

from napari_mil.slides.tiff.backend import TiffBackend

__all__ = ["TiffBackend"]
