"""Multiple-instance learning for whole slides in napari.

Public names load when first used: importing this package loads neither torch nor Qt nor OpenSlide.
"""

from typing import Any

import lazy_loader

_load, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("napari-mil")
    return _load(name)
