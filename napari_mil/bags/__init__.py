"""From pixels to bags: tissue, tile grid, the bag itself (no torch, no Qt)."""

from napari_mil.bags.bag import Bag
from napari_mil.bags.grid import TileGrid, tile_grid
from napari_mil.bags.tissue import TissueMask, tissue_mask

__all__ = ["Bag", "TileGrid", "TissueMask", "tile_grid", "tissue_mask"]
