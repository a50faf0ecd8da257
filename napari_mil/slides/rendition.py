"""How the pixels of a slide are shown; what is encoded does not depend on it."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from PIL import Image, ImageCms

from napari_mil.errors import NapariMilError
from napari_mil.slides.backend import SlideBackend
from napari_mil.slides.channels import Channel, render


@dataclass(frozen=True, slots=True)
class ShownChannel:
    """A channel as it is shown."""

    channel: Channel
    """With the colour and the range that it is shown in."""
    visible: bool = True


@dataclass(frozen=True, slots=True)
class Rendition:
    """How the pixels of a slide are shown."""

    channels: tuple[ShownChannel, ...] = ()
    """Every channel of a fluorescence slide, in its order; empty for brightfield."""
    uses_profile: bool = False
    """Whether colours go through the file's ICC profile to sRGB."""

    @property
    def key(self) -> str:
        """Stable id of the rendition: 16 hexadecimal digits."""
        return hashlib.sha256(repr(self).encode()).hexdigest()[:16]


def rendered(backend: SlideBackend, rendition: Rendition) -> SlideBackend:
    """Return a backend whose colours are those of a rendition.

    Raises
    ------
    NapariMilError
        If the profile of the file cannot be used.
    """
    if rendition.channels:
        return cast(SlideBackend, _RenderedChannels(backend, rendition.channels))
    if rendition.uses_profile:
        return cast(SlideBackend, _ManagedColours(backend))
    return backend


class _Delegate:
    """A backend that hands on what it has no method of its own for."""

    def __init__(self, backend: SlideBackend) -> None:
        self._backend = backend

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)


class _RenderedChannels(_Delegate):
    """A fluorescence slide in other colours."""

    def __init__(self, backend: SlideBackend, channels: tuple[ShownChannel, ...]) -> None:
        super().__init__(backend)
        self._shown = [k for k, each in enumerate(channels) if each.visible]
        self._channels = [channels[k].channel for k in self._shown]

    @property
    def reductions(self) -> tuple[tuple[int, ...], ...]:
        """None: what is shrunk while it is decoded has its colours already."""
        return tuple(() for _ in self._backend.level_dimensions)

    def read(self, level: int, column: int, row: int, width: int, height: int) -> np.ndarray:
        """Read a window that lies inside a level, uint8 (height, width, 3)."""
        raw = self._backend.read_channels(level, column, row, width, height)
        return render(raw[..., self._shown], self._channels)


class _ManagedColours(_Delegate):
    """A brightfield slide in sRGB, by the profile of its scanner."""

    def __init__(self, backend: SlideBackend) -> None:
        super().__init__(backend)
        self._convert = _to_srgb(backend)

    def read(self, level: int, column: int, row: int, width: int, height: int) -> np.ndarray:
        """Read a window that lies inside a level, uint8 (height, width, 3)."""
        return self._convert(self._backend.read(level, column, row, width, height))

    def read_reduced(
        self, level: int, factor: int, column: int, row: int, width: int, height: int
    ) -> np.ndarray:
        """Read a window at 1 / `factor` of a level: uint8 (height, width, 3)."""
        return self._convert(self._backend.read_reduced(level, factor, column, row, width, height))


def _to_srgb(backend: SlideBackend) -> Callable[[np.ndarray], np.ndarray]:
    """Return the conversion of uint8 (h, w, 3) from the colours of a file to sRGB."""
    name = backend.files[0].name
    try:
        transform = ImageCms.buildTransform(
            ImageCms.ImageCmsProfile(io.BytesIO(backend.icc_profile)),
            ImageCms.createProfile("sRGB"),
            "RGB",
            "RGB",
            renderingIntent=ImageCms.Intent.PERCEPTUAL,
            # Threads share the transform.
            flags=ImageCms.Flags.NOCACHE,
        )
    except (OSError, ImageCms.PyCMSError) as error:
        raise NapariMilError(
            f"{name} has a colour profile that cannot be used ({error}); its own colours are shown."
        ) from error

    def convert(pixels: np.ndarray) -> np.ndarray:
        if pixels.size == 0:
            return pixels
        image = Image.fromarray(pixels)
        managed = ImageCms.applyTransform(image, transform)
        return np.asarray(managed).copy()

    return convert
