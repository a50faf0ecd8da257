"""Cards of the formats that an answer can be written in."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Pixels(StrEnum):
    """Use that a format makes of the slide or of the images."""

    UNUSED = "unused"
    SHOWN = "shown"
    """They are shown where they are given."""
    NEEDED = "needed"


@dataclass(frozen=True, slots=True)
class FormatCard:
    """Description of a format for choosing one."""

    name: str
    """Name in `export_prediction`."""
    title: str
    """Name in lists."""
    suffixes: tuple[str, ...]
    """Endings of its files, the usual one first."""
    holds: str
    """What it holds, in a few words."""
    pixels: Pixels
    implementation: str
    """Dotted path of the function that writes it, a `Writer`."""
    needs_positions: bool = False
    """Whether instances must have positions on a slide."""
    is_folder: bool = False
    """Whether it is a folder of files."""


FORMATS: dict[str, FormatCard] = {
    card.name: card
    for card in (
        FormatCard(
            name="geojson",
            title="GeoJSON for QuPath",
            suffixes=(".geojson.gz", ".geojson"),
            holds="a polygon for each tile with its class and values, in QuPath's coordinates",
            pixels=Pixels.UNUSED,
            implementation="napari_mil.exports.geojson:write_geojson",
            needs_positions=True,
        ),
        FormatCard(
            name="csv",
            title="CSV table",
            suffixes=(".csv", ".csv.gz"),
            holds="a row for each instance, below lines of facts that begin with #",
            pixels=Pixels.UNUSED,
            implementation="napari_mil.exports.instance_table:write_csv",
        ),
        FormatCard(
            name="hdf5",
            title="HDF5",
            suffixes=(".h5",),
            holds="every array of the answer in its own type, positions as TRIDENT writes them",
            pixels=Pixels.UNUSED,
            implementation="napari_mil.exports.hdf5:write_hdf5",
        ),
        FormatCard(
            name="h5ad",
            title="AnnData table",
            suffixes=(".h5ad",),
            holds="values in obs, tile centres in obsm['spatial'], features in X where at hand; "
            "SpatialData's region keys",
            pixels=Pixels.SHOWN,
            implementation="napari_mil.exports.anndata_table:write_anndata",
        ),
        FormatCard(
            name="ome-zarr",
            title="OME-Zarr image and labels",
            suffixes=(".ome.zarr", ".zarr"),
            holds="a channel for each column with a pixel a tile, in µm on the slide; "
            "labels of tiles, classes and masks",
            pixels=Pixels.UNUSED,
            implementation="napari_mil.exports.ome_zarr:write_ome_zarr",
            needs_positions=True,
            is_folder=True,
        ),
        FormatCard(
            name="png",
            title="Picture, screen size",
            suffixes=(".png",),
            holds="overlay on the slide with legend and scale bar, 1600 px wide",
            pixels=Pixels.NEEDED,
            implementation="napari_mil.exports.figure:write_screen_png",
            needs_positions=True,
        ),
        FormatCard(
            name="png-print",
            title="Picture, print size",
            suffixes=("-print.png", ".png"),
            holds="the same at 300 dpi for the width of an A4 page",
            pixels=Pixels.NEEDED,
            implementation="napari_mil.exports.figure:write_print_png",
            needs_positions=True,
        ),
        FormatCard(
            name="html",
            title="Report, one page",
            suffixes=(".html",),
            holds="prediction, calibration, warnings, overlay, top instances, provenance; "
            "prints on one page of A4",
            pixels=Pixels.SHOWN,
            implementation="napari_mil.exports.report:write_report",
        ),
        FormatCard(
            name="pdf",
            title="Report, PDF",
            suffixes=(".pdf",),
            holds="the same on one page of A4",
            pixels=Pixels.SHOWN,
            implementation="napari_mil.exports.report_pdf:write_report_pdf",
        ),
    )
}
"""Formats by name."""
