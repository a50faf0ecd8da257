"""Features on disk by what they are made of: content, encoder and tiles.

One file holds the features of one slide or folder of images. A file that is damaged, or was made
of anything else, counts as missing.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from napari_mil.disk_cache import CacheKind, mark_used, trim
from napari_mil.errors import BagError, OutputError
from napari_mil.files import whole_or_nothing
from napari_mil.settings import Settings

if TYPE_CHECKING:
    from napari_mil.bags import TileGrid
    from napari_mil.encoders import Encoder

SCHEMA = "napari-mil/features/1"
FEATURES = "features"
"""Name of the array in a file."""


def feature_key(content: str, encoder: Encoder, grid: TileGrid | None = None) -> str:
    """Return the name of features: 32 hexadecimal digits.

    It covers all that decides their bits on one machine.

    Parameters
    ----------
    content
        Fingerprint of the slide or of the folder of images.
    encoder
        Makes the features; its weights, numbers and kind of device count.
    grid
        Tiles of a slide; their size, scale, level and positions count, and so what the mask kept.
    """
    facts = {
        "content": content,
        "encoder": (encoder.name, encoder.fingerprint, encoder.dim, encoder.tile_px),
        "numbers": (encoder.precision, encoder.device.type),
        "grid": None if grid is None else grid.fingerprint,
        # Another version may read or compute another last bit.
        "versions": [version(package) for package in ("napari-mil", "numpy", "torch")],
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]


class FeatureCache:
    """Features by their key; safe with several processes and threads.

    Two that write the same key write the same features, and each file takes its place whole.

    Parameters
    ----------
    settings
        Folder and size of the cache; a size of 0 keeps nothing.
    """

    def __init__(self, settings: Settings) -> None:
        self._root = settings.cache_folder
        self._most_bytes = settings.cache_gb * 1e9

    def path(self, key: str) -> Path:
        """Return the file of a key."""
        return self._root / CacheKind.FEATURES / f"{key}.safetensors"

    def load(self, key: str) -> np.ndarray | None:
        """Return the features of a key, float32 (N, ...); None where there are none to trust."""
        if self._most_bytes <= 0:
            return None
        path = self.path(key)
        try:
            features, metadata = _read(path)
        except BagError:
            return None
        if metadata.get("key") != key or metadata.get("digest") != _digest(key, features):
            return None
        mark_used(path)
        return features

    def save(self, key: str, features: np.ndarray) -> Path:
        """Write the features of a key, which a training run then reads.

        Raises
        ------
        OutputError
            If they cannot be written.
        """
        path = self.path(key)
        values = np.ascontiguousarray(features)
        metadata = {"schema": SCHEMA, "key": key, "digest": _digest(key, values)}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with whole_or_nothing(path) as part:
                part.write_bytes(save({FEATURES: values}, metadata))
        except OSError as error:
            raise OutputError(
                f"Features cannot be kept in {path.parent} ({error.strerror or error}); "
                "make room there."
            ) from error
        return path

    def offer(self, key: str, features: np.ndarray) -> None:
        """Write the features of a key where there is room; trim the cache to its size.

        A cache that cannot be written is left alone.
        """
        if features.nbytes >= self._most_bytes:
            return
        with suppress(OutputError):
            self.save(key, features)
            trim(self._root, self._most_bytes)


def read_features(path: Path) -> np.ndarray:
    """Read the features of a file that was checked before: float32 (N, ...).

    Raises
    ------
    BagError
        If it is gone or cannot be read any more.
    """
    return _read(path)[0]


def _read(path: Path) -> tuple[np.ndarray, dict[str, str]]:
    """Return the features and the facts of a file."""
    try:
        with safe_open(path, framework="numpy") as file:
            features: np.ndarray = file.get_tensor(FEATURES)
            return features, file.metadata() or {}
    except (OSError, SafetensorError, ValueError, TypeError) as error:
        raise BagError(f"{path} cannot be read ({error}); clear the cache.") from error


def _digest(key: str, features: np.ndarray) -> str:
    """Return the checksum of the features of a key."""
    shape = f"{key}:{features.dtype}:{features.shape}"
    digest = hashlib.sha256(shape.encode())
    digest.update(np.ascontiguousarray(features).data)
    return digest.hexdigest()
