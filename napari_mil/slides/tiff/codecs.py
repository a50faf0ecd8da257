"""Decoders of single tiles and strips."""

from __future__ import annotations

import math
from io import BytesIO
from typing import Any, Protocol

import imagecodecs
import numpy as np
import simplejpeg
import tifffile
from PIL import Image

from napari_mil.errors import short_cause
from napari_mil.slides.damage import DamagedPixelsError
from napari_mil.slides.pixels import rgb_from_ycbcr

SOI = b"\xff\xd8"
"""JPEG's start of image."""
EOI = b"\xff\xd9"
"""JPEG's end of image."""
APP0 = b"\xff\xe0"
ADOBE_RGB = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00"
"""Adobe's marker with transform 0: the three components are red, green and blue."""
J2K_SIZE = b"\xff\x4f\xff\x51"
"""Start of a JPEG 2000 codestream and its marker of the size."""
JPEG = tifffile.COMPRESSION.JPEG
JPEG_2000_YCBCR = 33003
JPEG_2000 = (JPEG_2000_YCBCR, 33004, 33005, 34712)


LONGEST_HEADER = 4096
"""Bytes within which the codestream of a JPEG 2000 tile begins."""
PNG = b"\x89PNG"
FACTORS = (2, 4, 8)
"""By how much JPEG and JPEG 2000 tiles are shrunk while they are decoded."""
LARGEST_FACTOR = max(FACTORS)


def _other_size(codec: str, size: tuple[int, ...]) -> DamagedPixelsError:
    """Return the error of an image of (height, width) in a tile of another size."""
    return DamagedPixelsError(f"{codec}: {size[1]} x {size[0]} pixels in a tile of another size")


class Decoder(Protocol):
    """Decoder of the tiles of one directory; safe to use from several threads."""

    factors: tuple[int, ...]
    """By how much it can shrink a tile while it decodes it, for less work."""

    def __call__(self, data: bytes, index: int, buffer: np.ndarray) -> np.ndarray:
        """Decode the bytes of a tile: (h, w, samples).

        `buffer`, uint8 of a whole tile, may hold the result.

        Raises
        ------
        DamagedPixelsError
            If they cannot be decoded, or to another size than the directory says.
        """

    def reduced(self, data: bytes, index: int, factor: int) -> np.ndarray:
        """Decode a tile at 1 / `factor` of its sides: (h, w, samples).

        Raises
        ------
        DamagedPixelsError
            As without a factor.
        """


def decoder_for(page: Any) -> Decoder:
    """Return the fastest exact decoder of a directory's tiles.

    Parameters
    ----------
    page
        A `tifffile.TiffPage`.
    """
    samples = page.samplesperpixel if page.planarconfig == 1 else 1
    is_tiled = bool(page.is_tiled)
    if page.compression == JPEG and page.bitspersample == 8 and samples in (1, 3):
        return JpegDecoder(page, samples, is_tiled)
    if page.compression in JPEG_2000 and is_tiled:
        return Jpeg2000Decoder(page)
    return TifffileDecoder(page)


class JpegDecoder:
    """JPEG tiles with 8 bits, decoded by libjpeg-turbo.

    libjpeg-turbo warns of broken data and goes on. A warning counts as damage while `strict`.
    """

    def __init__(self, page: Any, samples: int, is_tiled: bool) -> None:
        tables = page.jpegtables
        self._samples = samples
        self._colours = "RGB" if samples == 3 else "GRAY"
        is_rgb = samples == 3 and page.photometric == tifffile.PHOTOMETRIC.RGB
        self._marker = ADOBE_RGB if is_rgb else b""
        # Abbreviated streams lack the tables, which stand in the directory once.
        self._head = SOI + self._marker + (tables[2:-2] if tables else b"")
        self._page_size = (page.imagelength, page.imagewidth)
        self._tile_size = (
            (page.tilelength, page.tilewidth) if is_tiled else (page.rowsperstrip, page.imagewidth)
        )
        is_divisible = all(side % LARGEST_FACTOR == 0 for side in self._tile_size)
        self.factors: tuple[int, ...] = FACTORS if is_tiled and is_divisible else ()
        self.strict = True
        """Whether a warning of the decoder counts as damage."""

    def __call__(self, data: bytes, index: int, buffer: np.ndarray) -> np.ndarray:
        """Decode a tile: uint8 (h, w, 3 or 1)."""
        stream = self._head + self._body(data)
        try:
            # An image that is larger than the buffer is refused before anything is allocated.
            tile: np.ndarray = simplejpeg.decode_jpeg(
                stream, self._colours, strict=self.strict, buffer=buffer
            )
        except ValueError as error:
            raise DamagedPixelsError(f"JPEG: {error}") from error
        size = tile.shape[:2]
        if size != self._tile_size and size != self._rest(index):
            raise _other_size("JPEG", size)
        return tile

    def reduced(self, data: bytes, index: int, factor: int) -> np.ndarray:
        """Decode a tile from the low frequencies of its blocks: uint8 (h, w, 3 or 1)."""
        stream = self._head + self._body(data)
        try:
            size = simplejpeg.decode_jpeg_header(stream, strict=self.strict)[:2]
            if size != self._tile_size and size != self._rest(index):
                raise _other_size("JPEG", size)
            tile: np.ndarray = simplejpeg.decode_jpeg(
                stream,
                self._colours,
                strict=self.strict,
                min_height=-(-size[0] // factor),
                min_width=-(-size[1] // factor),
                min_factor=factor,
            )
        except ValueError as error:
            raise DamagedPixelsError(f"JPEG: {error}") from error
        return tile

    def _body(self, data: bytes) -> bytes:
        """Return a stream without its start, and without a JFIF marker that contradicts ours."""
        if data[:2] != SOI:
            raise DamagedPixelsError("JPEG: no start of image")
        if self._marker and data[2:4] == APP0:
            return data[4 + int.from_bytes(data[4:6], "big") :]
        return data[2:]

    def _rest(self, index: int) -> tuple[int, int]:
        """Return the (height, width) of a tile's part inside the image."""
        page_height, page_width = self._page_size
        height, width = self._tile_size
        row, column = divmod(index, math.ceil(page_width / width))
        return min(height, page_height - row * height), min(width, page_width - column * width)


class Jpeg2000Decoder:
    """JPEG 2000 tiles, decoded by OpenJPEG."""

    def __init__(self, page: Any) -> None:
        self._shape = (page.tilelength, page.tilewidth)
        self._is_ycbcr = page.compression == JPEG_2000_YCBCR
        is_divisible = all(side % LARGEST_FACTOR == 0 for side in self._shape)
        has_bytes = page.bitspersample == 8 and page.samplesperpixel in (1, 3)
        self.factors: tuple[int, ...] = FACTORS if is_divisible and has_bytes else ()

    def __call__(self, data: bytes, index: int, buffer: np.ndarray) -> np.ndarray:
        """Decode a tile: (h, w, samples)."""
        self._check_size(data)
        try:
            tile = imagecodecs.jpeg2k_decode(data)
        except (RuntimeError, ValueError) as error:
            raise DamagedPixelsError(f"JPEG 2000: {error}") from error
        if tile.ndim == 2:
            tile = tile[..., None]
        if tile.shape[:2] != self._shape:
            raise _other_size("JPEG 2000", tile.shape)
        return rgb_from_ycbcr(tile) if self._is_ycbcr else tile

    def reduced(self, data: bytes, index: int, factor: int) -> np.ndarray:
        """Decode a tile from its coarser wavelets alone: uint8 (h, w, samples)."""
        self._check_size(data)
        try:
            with Image.open(BytesIO(data)) as image:
                # imagecodecs decodes whole tiles only.
                image.reduce = factor.bit_length() - 1  # type: ignore[method-assign, assignment]
                tile = np.asarray(image)
        except (OSError, ValueError, SyntaxError) as error:
            raise DamagedPixelsError(f"JPEG 2000: {error}") from error
        if tile.shape[:2] != tuple(side // factor for side in self._shape):
            raise _other_size("JPEG 2000", tile.shape)
        if tile.ndim == 2:
            tile = tile[..., None]
        return rgb_from_ycbcr(tile) if self._is_ycbcr else tile

    def _check_size(self, data: bytes) -> None:
        """Refuse a tile of another size before anything is allocated."""
        at = data.find(J2K_SIZE, 0, LONGEST_HEADER)
        if at < 0:
            return
        size = (
            int.from_bytes(data[at + 12 : at + 16], "big"),
            int.from_bytes(data[at + 8 : at + 12], "big"),
        )
        if size != self._shape:
            raise _other_size("JPEG 2000", size)


class TifffileDecoder:
    """Tiles and strips of every other compression, decoded by tifffile and imagecodecs."""

    factors: tuple[int, ...] = ()

    def __init__(self, page: Any) -> None:
        self._decode = page.decode
        self._tables = page.jpegtables
        self._largest = (
            (page.tilelength, page.tilewidth)
            if page.is_tiled
            else (page.rowsperstrip, page.imagewidth)
        )

    def __call__(self, data: bytes, index: int, buffer: np.ndarray) -> np.ndarray:
        """Decode a tile or strip: (h, w, samples)."""
        if data[:4] == PNG:
            # The size is checked before anything is allocated.
            size = (int.from_bytes(data[20:24], "big"), int.from_bytes(data[16:20], "big"))
            if size[0] > self._largest[0] or size[1] > self._largest[1]:
                raise _other_size("PNG", size)
        try:
            tile, _, shape = self._decode(data, index, jpegtables=self._tables)
        except Exception as error:  # every codec has errors of its own
            raise DamagedPixelsError(short_cause(error)) from error
        if tile is None:
            raise DamagedPixelsError("an empty tile")
        decoded: np.ndarray = tile[0]
        return decoded[: shape[1], : shape[2]]

    def reduced(self, data: bytes, index: int, factor: int) -> np.ndarray:
        """Refuse: these tiles are decoded whole."""
        raise NotImplementedError("these tiles are decoded whole")
