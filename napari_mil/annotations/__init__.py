"""Regions drawn on slides and their cover of tiles (no torch, no Qt)."""

from napari_mil.annotations.geojson import write_geojson
from napari_mil.annotations.reading import DRAWN, find_annotations, read_annotations
from napari_mil.annotations.regions import Annotations, Region, tile_cover

__all__ = [
    "DRAWN",
    "Annotations",
    "Region",
    "find_annotations",
    "read_annotations",
    "tile_cover",
    "write_geojson",
]
