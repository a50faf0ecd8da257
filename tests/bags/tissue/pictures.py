"""Pictures in which tissue is looked for: real ones, and kinds made from the sample slide.

All are uint8 RGB of at most about 1000 pixels a side.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from napari_mil.slides import open_slide

ROOT = Path(__file__).resolve().parents[3]
SAMPLE_SLIDE = ROOT / "sample_data" / "CMU-1-Small-Region.svs"
SHARED = ROOT.parent / "shared"
LONGEST_PX = 742
"""Longest side of a thumbnail of a slide; the sample slide is then 4 times smaller."""
GLASS = np.array([243, 243, 243])
"""Colour of the glass of the sample slide."""
INKS = {
    "blue": (30, 60, 180),
    "green": (20, 130, 60),
    "red": (200, 30, 40),
    "black": (22, 22, 26),
}

SLIDES = (
    "svs/CMU-1-Small-Region.svs",
    "svs/TCGA-CR-7395-01A-01-TS1.svs",
    "svs/tiny-16x16.svs",
    "tiff/biopsy-packed-3level.tif",
    "tiff/boxes-4level-deflate.tiff",
    "tiff/mask-361MP-3level.tiff",
    "dicom/CMU-1-Small-Region",
    "dicom/camelyon-overview-jpeg.dcm",
    "plain/TCGA-HT-7470-DX4-roi.png",
    "plain/ihc.png",
    "derived/cmu1-mosaic-398MP.tiff",
    "derived/two-regions-mimic.scn",
    "derived/tcga-cr-7395-overview.jpg",
)
"""Files under ``data/slides`` of the shared data."""
BRIGHTFIELD_FIELDS = ("colon", "breast", "ebhi", "bags/bdgp-ish", "bags/mixed-ish")
FLUORESCENCE_FIELDS = ("bags/hpa-cells", "bags/fly-kc167", "bags/mixed-size")
"""Folders of pictures under ``data`` of the shared data."""


@functools.cache
def sample() -> np.ndarray:
    """Read the sample slide 4 times smaller."""
    with open_slide(SAMPLE_SLIDE) as slide:
        width, height = slide.dimensions
        return slide.thumbnail((width // 4, height // 4))


def read_picture(path: Path) -> np.ndarray:
    """Read a plain picture."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def faded(picture: np.ndarray, contrast: float = 0.12) -> np.ndarray:
    """Weaken the stain to a share of its contrast with the glass."""
    return _as_bytes(GLASS + contrast * (picture.astype(float) - GLASS))


def dimmed(picture: np.ndarray, light: float = 0.2) -> np.ndarray:
    """Lower the light of the scanner."""
    return _as_bytes(picture * light)


def tinted(picture: np.ndarray) -> np.ndarray:
    """Turn the glass yellow."""
    return _as_bytes(picture * np.array([1.0, 0.96, 0.82]))


def vignetted(picture: np.ndarray, corner: float = 0.5) -> np.ndarray:
    """Darken the picture towards its corners."""
    height, width = picture.shape[:2]
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    return _as_bytes(picture * (1 - (1 - corner) * (x**2 + y**2) / 2)[..., None])


def greyed(picture: np.ndarray) -> np.ndarray:
    """Drop the colours."""
    return np.repeat(np.asarray(Image.fromarray(picture).convert("L"))[..., None], 3, 2)


def compressed(picture: np.ndarray, quality: int = 20) -> np.ndarray:
    """Compress and read again as JPEG of a low quality."""
    file = BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def noisy(picture: np.ndarray, deviation: float = 4) -> np.ndarray:
    """Add noise of the camera, in grey levels."""
    return _as_bytes(picture + np.random.default_rng(3).normal(0, deviation, picture.shape))


def fluorescent(picture: np.ndarray) -> np.ndarray:
    """Turn stain into light on a black ground with noise."""
    light = np.clip(GLASS - picture.astype(float), 0, None) * np.array([0.2, 1.0, 0.4])
    return _as_bytes(6 + light + np.random.default_rng(4).normal(0, 1.5, picture.shape))


def drawn_on(picture: np.ndarray, ink: str, *, width: int = 14) -> np.ndarray:
    """Draw a ring of ink around tissue and a line across glass, as a marker does."""
    image = Image.fromarray(picture)
    draw = ImageDraw.Draw(image)
    across, down = image.size
    draw.ellipse((0.62 * across, 0.05 * down, 0.97 * across, 0.42 * down), None, INKS[ink], width)
    draw.line(
        [(0.05 * across, 0.55 * down), (0.12 * across, 0.75 * down), (0.05 * across, 0.95 * down)],
        INKS[ink],
        width,
        "curve",
    )
    return np.asarray(image.filter(ImageFilter.GaussianBlur(0.8)))


def drawn_over(picture: np.ndarray, ink: str) -> np.ndarray:
    """Draw a line of thin ink over tissue, which shows through."""
    over = Image.new("L", picture.shape[1::-1], 0)
    across, down = over.size
    ImageDraw.Draw(over).line([(0, 0.6 * down), (across, 0.75 * down)], 255, 16)
    share = 0.5 * np.asarray(over)[..., None] / 255
    light = picture / 255 * (np.array(INKS[ink]) / 255) ** share
    return _as_bytes(255 * light)


def under_cover_slip(picture: np.ndarray) -> np.ndarray:
    """Lay the edge of a cover slip over the glass, and its shadow."""
    light = np.ones(picture.shape[:2])
    light[:, 30:34] = 0.45
    light[:, 34:36] = 1.04
    light[-60:] = np.linspace(1, 0.7, 60)[:, None]
    return _as_bytes(picture * light[..., None])


def bare_glass(*, dust: bool = False) -> np.ndarray:
    """Paint glass with noise and, asked for, grains of dust."""
    picture = np.broadcast_to(GLASS, (600, 800, 3)).copy()
    if dust:
        random = np.random.default_rng(5)
        for x, y, radius in zip(
            random.integers(20, 780, 40),
            random.integers(20, 580, 40),
            random.integers(1, 5, 40),
            strict=True,
        ):
            row, column = np.mgrid[:600, :800]
            picture[(row - y) ** 2 + (column - x) ** 2 <= radius**2] = (110, 104, 98)
    return compressed(noisy(picture, 2), 50)


MADE: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "as scanned": lambda picture: picture,
    "pale": faded,
    "dark": dimmed,
    "yellow glass": tinted,
    "vignette": vignetted,
    "greyscale": greyed,
    "greyscale with vignette": lambda picture: greyed(vignetted(picture, 0.7)),
    "low JPEG quality": compressed,
    "noise": noisy,
    "fluorescence": fluorescent,
    "cover slip": under_cover_slip,
    **{f"{ink} ink": functools.partial(drawn_on, ink=ink) for ink in INKS},
    **{f"thin {ink} ink": functools.partial(drawn_over, ink=ink) for ink in ("blue", "green")},
    "greyscale with black ink": lambda picture: greyed(drawn_on(picture, "black")),
    "dark with blue ink": lambda picture: dimmed(drawn_on(picture, "blue")),
}
"""Kinds of pictures made from one; the tissue in them is that of the picture."""


def small_fields(picture: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Yield fields of 100 to 300 pixels of the sample slide."""
    yield "field of tissue, 100 px", picture[560:660, 210:310]
    yield "field of tissue, 160 px", picture[300:460, 265:330]
    yield "field with glass, 200 px", picture[420:620, 60:260]
    yield "field with glass, 300 px", picture[400:700, 50:350]
    yield "field of glass, 150 px", picture[550:700, 0:130]


def _as_bytes(values: np.ndarray) -> np.ndarray:
    return np.clip(np.round(values), 0, 255).astype(np.uint8)
