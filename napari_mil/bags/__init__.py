"""Bags of instances, made from slides, images or feature files.

Tissue masks, tile grids, image folders, readers and writers; importing it loads no torch and no Qt.
"""

from napari_mil.bags.bag import Bag
from napari_mil.bags.grid import TileGrid, TileSpec, tile_grid
from napari_mil.bags.images import ImageBag, open_image_bag
from napari_mil.bags.readers import read_bag
from napari_mil.bags.segmentation import TissueMethod
from napari_mil.bags.tissue import TissueMask, tissue_mask
from napari_mil.bags.writing import write_bag

__all__ = [
    "Bag",
    "ImageBag",
    "TileGrid",
    "TileSpec",
    "TissueMask",
    "TissueMethod",
    "open_image_bag",
    "read_bag",
    "tile_grid",
    "tissue_mask",
    "write_bag",
]
