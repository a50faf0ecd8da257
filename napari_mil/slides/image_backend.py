"""Reader of plain pictures (PNG, JPEG, BMP, WebP, GIF).

They have one level, are held in memory, and say no scale.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path

import imagecodecs
import numpy as np
from PIL import Image, ImageOps

from napari_mil.errors import UnreadableSlideError
from napari_mil.findings import Finding, FindingKind
from napari_mil.slides.backend import WholeLevels
from napari_mil.slides.channels import Channel
from napari_mil.slides.damage import Damage
from napari_mil.slides.pixels import PixelFormat, used_bits
from napari_mil.slides.resolution import ScaleSource

PNG = b"\x89PNG\r\n\x1a\n"
MAGIC = (PNG, b"\xff\xd8\xff", b"BM", b"GIF8")
"""First bytes of PNG, JPEG, BMP and GIF files."""
LARGEST_MP = 500
"""Size limit of a picture in megapixels.

A picture is decoded whole: 500 MP take 1.5 GB.
"""
PILLOW_LIMIT = threading.Lock()
"""Held while Pillow's limit, which counts for the whole process, is lifted."""
DEPTH_OF_PNG = 24
"""Place of the byte with a PNG's bits per sample."""
COLOUR_MODES = ("RGB", "RGBA")
"""Pillow's modes of pictures whose profile is one of RGB."""
DEEP_MODES = ("I;16", "I;16B", "I;16L", "I", "F")
"""Pillow's modes of grey pictures with more than 8 bits."""


class ImageBackend(WholeLevels):
    """A plain picture as a slide of one level without tiles.

    Its dpi tag says how to print it, not how large the tissue is, so there is no scale. A picture
    that its camera turned is shown upright; of an animation the first frame.
    """

    vendor = "image"
    mpp_xy: tuple[float, float] | None = None
    mpp_source = ScaleSource.UNKNOWN
    quick_hash = ""
    channels: tuple[Channel, ...] = ()
    missing = 0.0

    def __init__(self, path: Path) -> None:
        self.files: tuple[Path, ...] = (path,)
        self.damage = Damage()
        self.findings: tuple[Finding, ...] = ()
        try:
            with _open_of_any_size(path) as image:
                _check_size(path, image)
                self.properties: Mapping[str, str] = {
                    "image.format": image.format or "",
                    "image.mode": image.mode,
                }
                if image.mode in COLOUR_MODES:
                    self.icc_profile = bytes(image.info.get("icc_profile") or b"")
                n_frames = int(getattr(image, "n_frames", 1))
                if n_frames > 1:
                    text = f"The picture is an animation; shown is the first of {n_frames}."
                    self.findings = (Finding(FindingKind.LEFT_OUT, path, text),)
                self._pixels = self._read(path, image)
        except (OSError, SyntaxError, ValueError, RuntimeError) as error:
            raise UnreadableSlideError(
                f"{path.name} is a damaged picture that cannot be decoded; copy it again."
            ) from error
        height, width = self._pixels.shape[:2]
        self.level_dimensions: tuple[tuple[int, int], ...] = ((width, height),)
        self.level_downsamples: tuple[float, ...] = (1.0,)
        self.tile_sizes: tuple[tuple[int, int] | None, ...] = (None,)
        self.bounds = (0, 0, width, height)
        self.associated_images: Mapping[str, np.ndarray] = {}

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """Say whether the file begins like a picture and is not the thumbnail of a slide."""
        if not path.is_file() or (path.with_suffix("") / "Slidedat.ini").exists():
            return False
        with path.open("rb") as file:
            start = file.read(12)
        return start.startswith(MAGIC) or (start[:4] == b"RIFF" and start[8:] == b"WEBP")

    def _read(self, path: Path, image: Image.Image) -> np.ndarray:
        """Return the picture as uint8 (h, w, 3), upright."""
        raw, stored = read_picture(path, image)
        if stored.bits != 8 * stored.dtype.itemsize:
            text = f"{stored.bits} of {8 * stored.dtype.itemsize} bits are used."
            self.findings += (Finding(FindingKind.DEPTH, path, text),)
        return stored.to_rgb(raw)

    def read(self, level: int, column: int, row: int, width: int, height: int) -> np.ndarray:
        """Return a copy of the window, uint8 (height, width, 3)."""
        return self._pixels[row : row + height, column : column + width].copy()

    def close(self) -> None:
        """Do nothing: no file is held open."""


def read_picture(path: Path, image: Image.Image) -> tuple[np.ndarray, PixelFormat]:
    """Decode a picture upright.

    Parameters
    ----------
    path
        Its file.
    image
        The file as Pillow opened it.

    Returns
    -------
    raw, stored
        (h, w, samples) with the format that makes them RGB. Pictures of 8 bits are RGB on white
        already.
    """
    is_deep_png = image.format == "PNG" and _is_deep_png(path)
    if image.mode not in DEEP_MODES and not is_deep_png:
        rgb = _rgb_on_white(ImageOps.exif_transpose(image))
        return rgb, PixelFormat(3, rgb.dtype)
    # Pillow cuts colours of 16 bits to 8.
    raw = imagecodecs.png_decode(path.read_bytes()) if is_deep_png else np.asarray(image)
    raw = raw.reshape(*raw.shape[:2], -1)
    samples = raw.shape[2]
    has_alpha = samples in (2, 4)
    colours = raw[..., :-1] if has_alpha else raw
    bits = used_bits(float(np.nan_to_num(colours).max(initial=0)), raw.dtype)
    return raw, PixelFormat(samples, raw.dtype, bits, has_alpha=has_alpha)


def _open_of_any_size(path: Path) -> Image.Image:
    """Open a picture without Pillow's own limit of size and its warning."""
    with PILLOW_LIMIT:
        limit = Image.MAX_IMAGE_PIXELS
        Image.MAX_IMAGE_PIXELS = None
        try:
            return Image.open(path)
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _check_size(path: Path, image: Image.Image) -> None:
    """Refuse a picture that is too large to be decoded whole."""
    width, height = image.size
    if width * height > LARGEST_MP * 1e6:
        raise UnreadableSlideError(
            f"{path.name} is a plain picture of {width * height / 1e6:.0f} MP, "
            f"more than {LARGEST_MP}; convert it to a tiled TIFF."
        )


def _is_deep_png(path: Path) -> bool:
    """Say whether a file is a PNG with 16 bits a sample."""
    with path.open("rb") as file:
        start = file.read(DEPTH_OF_PNG + 1)
    return start.startswith(PNG) and start[DEPTH_OF_PNG:] == b"\x10"


def _rgb_on_white(image: Image.Image) -> np.ndarray:
    """Return a picture as uint8 (h, w, 3), transparent pixels white."""
    if "A" in image.mode or "transparency" in image.info:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return np.array(image.convert("RGB"))
