from .bag import Bag, Extraction
from .grid import TileGrid, TileSpec, tile_grid
from .images import ImageBag, open_image_bag
from .mask import TissueMask, TissueMethod
from .readers import read_bag
from .tissue import tissue_mask
from .writing import write_bag, write_positions

__all__ = [
    "Bag",
    "Extraction",
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
    "write_positions",
]
