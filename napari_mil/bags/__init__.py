"""Bags of instances, made from slides, images or feature files.

Tissue masks, tile grids, image folders, readers and writers; importing it loads no torch and no Qt,
and its names load when they are first used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
