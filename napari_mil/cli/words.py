"""Words of the command line for remedies."""

from __future__ import annotations

from napari_mil.errors import Remedy

REMEDIES = {
    Remedy.GIVE_SCALE: "give its µm per pixel by --slide-mpp",
    Remedy.TAKE_LEVEL: "take tiles of a level by --level",
    Remedy.FINER_SCAN: "give a finer scan of it",
    Remedy.SMALLER_TILES: "use smaller tiles (--tile-px)",
    Remedy.WHOLE_IMAGE: "use the whole image (--mask none)",
    Remedy.DRAW_TISSUE: "draw its tissue in the window (napari-mil view)",
}
"""Options of the command, or its verb, by remedy."""
