"""Opening pickles of other projects: tensors and numbers, never code.

Only torch and numpy are used.
"""

from __future__ import annotations

import os
import pickle
import re
import struct
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

from napari_mil.errors import CheckpointError, short_cause

SCALAR = np.float64(0).__reduce__()[0]
RECONSTRUCT = np.zeros(0).__reduce__()[0]
ALLOWED: list[Any] = [
    np.ndarray,
    np.dtype,
    *(getattr(np.dtypes, name) for name in np.dtypes.__all__),
    *((SCALAR, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")),
    *((RECONSTRUCT, f"numpy.{core}.multiarray._reconstruct") for core in ("core", "_core")),
]
"""Allowed types beyond tensors: numpy's scalars, arrays and dtypes.

They stand under their old and new module names. This is the only allow-list of the project.
"""


DAMAGED = (
    RuntimeError,
    ValueError,
    EOFError,
    LookupError,
    AttributeError,
    TypeError,
    AssertionError,
    ArithmeticError,
    ImportError,
    MemoryError,
    struct.error,
)
"""Errors that reading flipped bits can raise."""


def load_pickle(path: str | os.PathLike[str]) -> Any:
    """Read what `torch.save` wrote, tensors on the CPU.

    Raises
    ------
    CheckpointError
        If there is no such file, it is damaged, or it holds anything but tensors, numbers, texts
        and containers.
    """
    file = Path(path)
    try:
        with torch.serialization.safe_globals(ALLOWED), warnings.catch_warnings():
            # Warnings are about other versions of the format; what torch cannot read, it refuses.
            warnings.simplefilter("ignore", UserWarning)
            return torch.load(file, map_location="cpu", weights_only=True)
    except OSError as error:
        raise CheckpointError(
            f"{file} cannot be read ({error.strerror or error}); check the path."
        ) from error
    except pickle.UnpicklingError as error:
        named = re.search(r"(?:GLOBAL|global|class|function) [`']?([\w.]+)", str(error))
        content = f"the Python object {named[1]}" if named else "more than tensors and numbers"
        raise CheckpointError(
            f"{file.name} was not opened: it holds {content}, and loading that could run code; "
            "save it again as a state dict or as safetensors."
        ) from None
    except DAMAGED as error:
        reason = short_cause(error, 120)
        raise CheckpointError(
            f"{file.name} is no checkpoint, or damaged ({reason}); copy it again."
        ) from error
