"""Regions drawn on slides and their cover of tiles (no torch, no Qt)."""

from napari_mil.annotations.finding import DRAWN, AnnotationFiles
from napari_mil.annotations.geojson import write_geojson
from napari_mil.annotations.reading import read_annotations
from napari_mil.annotations.regions import Annotations, Region, tile_cover

__all__ = [
    "DRAWN",
    "AnnotationFiles",
    "Annotations",
    "Region",
    "read_annotations",
    "tile_cover",
    "write_geojson",
]
