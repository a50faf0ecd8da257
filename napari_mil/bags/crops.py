"""Selective cropping: patches around the objects of an image become its instances."""

from __future__ import annotations

import csv
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

# Their parts load when they are used, which takes 0.2 s.
import scipy
import skimage
from PIL import Image

from napari_mil.bags.images import ImageBag
from napari_mil.errors import BagError, OptionError, OutputError
from napari_mil.events import Advanced, CancellationToken, Fallback, OnEvent, Started, ignore
from napari_mil.files import whole_folder_or_nothing

PATCH_PX = 64
"""Side of a patch in pixels unless another is asked for."""
SMALLEST_PX = 8
BLUR_SHARE = 1 / 64
"""Blur before thresholding, as a share of a patch's side: noise goes, objects stay."""
AREA_SHARE = 1 / 64
"""Least area of an object, as a share of a patch's."""
LEAST_CONTRAST = 8
"""Grey values between objects and background at least; less is noise."""
LARGEST_OVERLAP = 0.5
"""Share of a patch that an earlier one may cover."""
TABLE = "objects.csv"
"""File beside the patches: where each was."""


@dataclass(frozen=True, eq=False)
class Crops:
    """Patches around the N objects of an image, the largest object first."""

    pixels: np.ndarray
    """uint8 (N, size, size, 3)."""
    corners: np.ndarray
    """Top left corners (x, y) of the patches in pixels of the image, int64 (N, 2).

    Negative where the image is smaller than a patch.
    """
    centres: np.ndarray
    """Centres of mass (x, y) of the objects in pixels of the image, float64 (N, 2)."""
    areas: np.ndarray
    """Areas of the objects in square pixels, int64 (N,)."""

    def __len__(self) -> int:
        return len(self.pixels)


def crop_objects(
    image: np.ndarray, size: int = PATCH_PX, *, least_area: int | None = None
) -> Crops:
    """Cut patches around the objects of an image: nuclei, cells, embryos.

    What differs from the colour of the image's border, by more than Otsu's threshold (IEEE Trans.
    Syst. Man Cybern. 9, 1979), is an object; touching ones are parted by a watershed of the
    distance to their rims. A patch that a larger object's patch covers by more than half is left
    out. HAMIL's Task I cuts its instances by selective search, whose settings are not stated; this
    stands in for it where objects stand out from their background.

    Parameters
    ----------
    image
        uint8 (H, W, 3): bright objects on black, or dark ones on white.
    size
        Side of a patch in pixels. A patch reaching over the edge is moved inwards; an image smaller
        than a patch is continued by reflection.
    least_area
        Square pixels of an object at least; None is a 64th of a patch.

    Returns
    -------
    Crops
        Without patches where nothing stands out.

    Raises
    ------
    OptionError
        If the size is below 8 pixels or the area below 1.
    ValueError
        If it is no such image.
    """
    if size < SMALLEST_PX:
        raise OptionError(f"Patches have at least {SMALLEST_PX} px, not {size}.")
    if least_area is None:
        least_area = max(1, round(AREA_SHARE * size**2))
    if least_area < 1:
        raise OptionError(f"Objects have at least 1 square pixel, not {least_area}.")
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(f"an image is uint8 (H, W, 3), not {image.dtype} {image.shape}")
    labels = _labelled_objects(image, size, least_area)
    table = skimage.measure.regionprops_table(labels, properties=("centroid", "area"))
    centres = np.stack([table["centroid-1"], table["centroid-0"]], 1)
    areas = table["area"].astype(np.int64)
    order = np.lexsort((centres[:, 0], centres[:, 1], -areas))
    centres, areas = centres[order], areas[order]
    corners = _corners(centres, size, image.shape[1::-1])
    kept = _apart(corners, size)
    pixels = _cut(image, corners[kept], size)
    return Crops(pixels, corners[kept], centres[kept], areas[kept])


def _labelled_objects(image: np.ndarray, size: int, least_area: int) -> np.ndarray:
    """Return int (H, W): the number of each pixel's object, 0 for background."""
    rim = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
    background = np.median(rim, axis=0)
    gaussian = skimage.filters.gaussian
    blurred = gaussian(image, BLUR_SHARE * size, preserve_range=True, channel_axis=2)
    signal = np.abs(blurred - background).max(2).astype(np.float32)
    if np.ptp(signal) < LEAST_CONTRAST:
        return np.zeros(signal.shape, int)
    is_object = signal > skimage.filters.threshold_otsu(signal)
    if signal[is_object].mean() - signal[~is_object].mean() < LEAST_CONTRAST:
        return np.zeros(signal.shape, int)
    distance = gaussian(scipy.ndimage.distance_transform_edt(is_object), 1, preserve_range=True)
    together = skimage.measure.label(is_object)
    peaks = skimage.feature.peak_local_max(
        distance, min_distance=max(2, size // 8), labels=together, exclude_border=False
    )
    seeds = np.zeros(signal.shape, int)
    seeds[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    labels: np.ndarray = skimage.segmentation.watershed(-distance, seeds, mask=is_object)
    is_large = np.bincount(labels.ravel()) >= least_area
    return np.where(is_large[labels], labels, 0)


def _corners(centres: np.ndarray, size: int, within: tuple[int, ...]) -> np.ndarray:
    """Return top left corners of patches around centres, moved inside (width, height)."""
    corners = np.floor(centres + 0.5).astype(np.int64) - size // 2
    room = np.array(within) - size
    inside = np.clip(corners, 0, np.maximum(room, 0))
    return np.where(room < 0, room // 2, inside)


def _apart(corners: np.ndarray, size: int) -> np.ndarray:
    """Return the numbers of patches that no earlier kept one covers too far."""
    kept: list[int] = []
    for k, corner in enumerate(corners):
        shared = np.maximum(size - np.abs(corners[kept] - corner), 0).prod(1)
        if not np.any(shared > LARGEST_OVERLAP * size**2):
            kept.append(k)
    return np.array(kept, int)


def _cut(image: np.ndarray, corners: np.ndarray, size: int) -> np.ndarray:
    """Return the patches at some corners, uint8 (N, size, size, 3)."""
    height, width = image.shape[:2]
    before_x, before_y = (max(0, (size - side + 1) // 2) for side in (width, height))
    after_x, after_y = (max(0, size - side - (size - side + 1) // 2) for side in (width, height))
    padded = np.pad(image, ((before_y, after_y), (before_x, after_x), (0, 0)), mode="symmetric")
    patches = np.empty((len(corners), size, size, 3), np.uint8)
    for k, (x, y) in enumerate(corners + np.array([before_x, before_y])):
        patches[k] = padded[y : y + size, x : x + size]
    return patches


def write_crops(
    images: ImageBag,
    folder: Path,
    size: int = PATCH_PX,
    *,
    least_area: int | None = None,
    on_event: OnEvent = ignore,
    cancel: CancellationToken | None = None,
) -> int:
    """Write the patches around the objects of all images of a bag as a new bag.

    The folder gets a PNG a patch, ``<image> object 1.png`` and so on, and a table of their places.

    Parameters
    ----------
    images
        The bag; an image that cannot be read or holds no object is said and left out.
    folder
        Folder to write, whole or not at all; it must not exist yet.
    size, least_area
        As `crop_objects` takes them.
    on_event
        Told of progress and of what is left out.
    cancel
        Asked once an image.

    Returns
    -------
    int
        Number of patches.

    Raises
    ------
    BagError
        If no image holds an object.
    OptionError
        If a size is too small.
    OutputError
        If the folder exists or cannot be written.
    """
    if folder.exists():
        raise OutputError(f"{folder} exists already; give a folder that does not.")
    on_event(Started(len(images), "images"))
    try:
        with whole_folder_or_nothing(folder) as part:
            rows = []
            for i, crops in _cropped(images, size, least_area, on_event, cancel):
                rows += _write_patches(images.names[i], crops, part)
            if not rows:
                raise BagError(
                    f"{images.folder.name} holds no object that stands out from its background."
                )
            _write_table(part / TABLE, rows)
    except OSError as error:
        raise OutputError(
            f"{folder} cannot be written ({error.strerror or error}); choose another folder."
        ) from error
    return len(rows)


def _cropped(
    images: ImageBag,
    size: int,
    least_area: int | None,
    on_event: OnEvent,
    cancel: CancellationToken | None,
) -> Iterator[tuple[int, Crops]]:
    """Yield the number and the patches of each image that has any."""
    began = time.monotonic()
    for i, name in enumerate(images.names):
        if cancel is not None:
            cancel.raise_if_cancelled()
        try:
            crops = crop_objects(images.read(i), size, least_area=least_area)
        except BagError as error:
            on_event(Fallback(f"Left out: {error}"))
        else:
            if len(crops):
                yield i, crops
            else:
                on_event(Fallback(f"{name} holds no object and is left out."))
        rate = (i + 1) / max(time.monotonic() - began, 1e-6)
        on_event(Advanced(i + 1, rate, (len(images) - i - 1) / rate))


def _write_patches(name: str, crops: Crops, folder: Path) -> list[tuple[object, ...]]:
    """Write the patches of one image; return their rows of the table."""
    rows: list[tuple[object, ...]] = []
    for k, pixels in enumerate(crops.pixels):
        file = f"{name} object {k + 1}.png"
        Image.fromarray(pixels).save(folder / file, compress_level=1)
        x, y = crops.corners[k]
        rows.append((file, name, x, y, pixels.shape[0], crops.areas[k]))
    return rows


def _write_table(path: Path, rows: list[tuple[object, ...]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("patch", "image", "x", "y", "size", "area"))
        writer.writerows(rows)
