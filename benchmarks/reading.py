"""Reading of slides beside bare decoding, openslide-python and napari-wsi.

CPU seconds of one thread, medians of interleaved rounds; caches are emptied before each round. The
slides lie beside the checkout; without them only the sample slide is read.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openslide

from napari_mil.slides import Slide, open_slide
from napari_mil.slides.tiff import TiffBackend

ROUNDS = 5
MEGAPIXELS = 6.0
"""Pixels read in each round."""
ROOT = Path(__file__).resolve().parent.parent
SLIDES = ROOT.parent / "shared/data/slides"
JPEG = (ROOT / "sample_data/CMU-1-Small-Region.svs", SLIDES / "derived/cmu1-mosaic-398MP.tiff")
JPEG_2000 = (SLIDES / "svs/TCGA-CR-7395-01A-01-TS1.svs",)
SIDES = (256, 512, 1024)
PAN_STEPS = 20
PAN_PX = 150
VIEW_PX = 1024
Box = tuple[int, int, int]
"""(column, row, side) in pixels of level 0."""


@dataclass
class Seconds:
    """CPU seconds of each way, by its name."""

    rounds: dict[str, list[float]]

    def median(self, name: str) -> float:
        """Return the median of the rounds of one way."""
        return statistics.median(self.rounds[name])


def main() -> None:
    print("## Reading\n")
    print(
        f"CPU seconds of one thread, medians of {ROUNDS} interleaved rounds; every cache of tiles "
        "is off in the first table and at its default in the others, empty at first. "
        "openslide-python: `np.asarray(read_region(…).convert('RGB'))`. Bare decoding: the tiles "
        "that a region touches, read by position and decoded, and nothing else.\n"
    )
    slides = [path for path in (*JPEG, *JPEG_2000) if path.is_file()]
    print("### Regions, nothing cached\n")
    print("| slide | region | napari-mil, MP/s | openslide-python | ratio | bare decoding |")
    print("| --- | --- | --- | --- | --- | --- |")
    for path in slides:
        for side, aligned in ((0, True), (256, False), (512, False), (1024, False)):
            report_regions(path, side, aligned)
    print("\n### Regions row by row, as tiles are cut\n")
    print("| slide | region | napari-mil, MP/s | openslide-python | ratio |")
    print("| --- | --- | --- | --- | --- |")
    for path in slides:
        for side in SIDES[:2]:
            report_rows(path, side)
    print("\n### Slices of the dask pyramid, and a pan of a view of 1024²\n")
    print("| slide | what | napari-mil, MP/s | reference | its MP/s | ratio |")
    print("| --- | --- | --- | --- | --- | --- |")
    for path in slides:
        report_dask(path)
        report_pan(path)
    print("\n### Views below the scale of a level\n")
    print("| slide | shrunk by | napari-mil, MP/s of the level | whole decoding | ratio |")
    print("| --- | --- | --- | --- | --- |")
    for path in slides:
        for factor in (2, 4, 8):
            report_reduced(path, factor)
    print()


def measure(ways: dict[str, Callable[[], object]]) -> Seconds:
    """Time each way in turn, round by round."""
    seconds = Seconds({name: [] for name in ways})
    for _ in range(ROUNDS):
        for name, read in ways.items():
            began = time.process_time()
            read()
            seconds.rounds[name].append(time.process_time() - began)
    return seconds


def drop(results: Iterable[object]) -> None:
    """Make results one after another and keep none."""
    for _ in results:
        pass


def boxes_of(backend: TiffBackend, side: int, aligned: bool) -> list[Box]:
    """Draw regions of a side; of 0 they are tiles of the file."""
    width, height = backend.level_dimensions[0]
    tile = backend.tile_sizes[0]
    assert tile is not None
    side = side or tile[0]
    random = np.random.default_rng(0)
    count = max(4, int(MEGAPIXELS * 1e6 / side**2))
    corners = random.integers(0, (width - side, height - side), (count, 2))
    if aligned:
        corners = corners // side * side
    return [(int(x), int(y), side) for x, y in corners]


def report_regions(path: Path, side: int, aligned: bool) -> None:
    """Print one row: regions anywhere, nothing cached."""
    backend = TiffBackend(path)
    backend.store.capacity = 0
    reference = openslide.OpenSlide(path)
    reference.set_cache(openslide.OpenSlideCache(0))
    boxes = boxes_of(backend, side, aligned)
    decode = bare_decoding(backend, boxes)
    seconds = measure(
        {
            "ours": lambda: drop(backend.read(0, x, y, side, side) for x, y, side in boxes),
            "openslide": lambda: drop(read_openslide(reference, box) for box in boxes),
            "bare": decode,
        }
    )
    megapixels = sum(box[2] ** 2 for box in boxes) / 1e6
    words = f"tiles of {boxes[0][2]} px" if aligned else f"{side}² anywhere"
    ours = seconds.median("ours")
    print(
        f"| {path.name} | {words} | {megapixels / ours:.0f} "
        f"| {megapixels / seconds.median('openslide'):.0f} "
        f"| {seconds.median('openslide') / ours:.2f} × "
        f"| {100 * seconds.median('bare') / ours:.0f} % of the time |",
        flush=True,
    )
    backend.close()


def bare_decoding(backend: TiffBackend, boxes: list[Box]) -> Callable[[], object]:
    """Return what decodes the tiles that some regions touch, and drops them."""
    segments = backend._planes[0][0]
    buffer = np.empty(segments.buffer_shape, np.uint8)
    width, height = segments.tile
    tiles = [
        (i, j)
        for x, y, side in boxes
        for i in range(y // height, -(-(y + side) // height))
        for j in range(x // width, -(-(x + side) // width))
    ]
    return lambda: drop(segments.tile_at(i, j, buffer) for i, j in tiles)


def read_openslide(slide: openslide.OpenSlide, box: Box) -> np.ndarray:
    """Read a region as RGB as openslide-python's users do."""
    x, y, side = box
    return np.asarray(slide.read_region((x, y), 0, (side, side)).convert("RGB"))


def rows_of(path: Path, side: int) -> list[Box]:
    """Return regions beside each other, row by row, over at most 30 MP."""
    with open_slide(path) as slide:
        width, height = slide.dimensions
    columns = width // side
    rows = max(1, min(height // side, int(30e6 / (columns * side**2))))
    return [(j * side, i * side, side) for i in range(rows) for j in range(columns)]


def report_rows(path: Path, side: int) -> None:
    """Print one row: regions beside each other, with the caches of both."""
    boxes = rows_of(path, side)

    def ours() -> None:
        backend = TiffBackend(path)
        for x, y, size in boxes:
            backend.read(0, x, y, size, size)
        backend.close()

    def theirs() -> None:
        with openslide.OpenSlide(path) as slide:
            for box in boxes:
                read_openslide(slide, box)

    seconds = measure({"ours": ours, "openslide": theirs})
    megapixels = len(boxes) * side**2 / 1e6
    print(
        f"| {path.name} | {side}² | {megapixels / seconds.median('ours'):.0f} "
        f"| {megapixels / seconds.median('openslide'):.0f} "
        f"| {seconds.median('openslide') / seconds.median('ours'):.2f} × |",
        flush=True,
    )


def report_dask(path: Path) -> None:
    """Print one row: slices of the pyramid computed by dask in this thread."""
    with open_slide(path) as slide:
        width, height = slide.dimensions
        level = slide.pyramid()[0]
        random = np.random.default_rng(1)
        corners = random.integers(0, (width - VIEW_PX, height - VIEW_PX), (6, 2)).tolist()

        def ours() -> None:
            forget_tiles(slide)
            for x, y in corners:
                level[y : y + VIEW_PX, x : x + VIEW_PX].compute(scheduler="synchronous")

        def theirs() -> None:
            with openslide.OpenSlide(path) as reference:
                for x, y in corners:
                    read_openslide(reference, (x, y, VIEW_PX))

        seconds = measure({"ours": ours, "openslide": theirs})
    print_ratio(path, "slices of 1024²", "openslide-python", seconds, len(corners), "openslide")


def forget_tiles(slide: Slide) -> None:
    """Empty the cache of decoded tiles."""
    backend = slide._backend
    assert isinstance(backend, TiffBackend)
    backend.store.clear()


def report_pan(path: Path) -> None:
    """Print one row: a view that moves, in steps, beside napari-wsi's layer."""
    try:
        from napari_wsi.backends.openslide import OpenSlideStore
    except ImportError:
        return
    with open_slide(path) as slide:
        width, height = slide.dimensions
    steps = min(PAN_STEPS, (width - VIEW_PX) // PAN_PX, (height - VIEW_PX) // PAN_PX)
    corners = [(k * PAN_PX, k * PAN_PX) for k in range(steps)]

    def ours() -> None:
        with open_slide(path) as slide:
            for x, y in corners:
                slide.levels[0][y : y + VIEW_PX, x : x + VIEW_PX]

    def theirs() -> None:
        store = OpenSlideStore(path)
        ((levels, _, _),) = store.to_layer_data_tuples()
        for x, y in corners:
            levels[0][y : y + VIEW_PX, x : x + VIEW_PX].compute(scheduler="synchronous")
        store.close()

    seconds = measure({"ours": ours, "napari-wsi": theirs})
    words = f"pan, {steps} steps of {PAN_PX} px"
    print_ratio(path, words, "napari-wsi", seconds, len(corners), "napari-wsi")


def print_ratio(
    path: Path, words: str, reference: str, seconds: Seconds, n_views: int, name: str
) -> None:
    """Print one row of views beside a reference."""
    megapixels = n_views * VIEW_PX**2 / 1e6
    ours = seconds.median("ours")
    theirs = seconds.median(name)
    print(
        f"| {path.name} | {words} | {megapixels / ours:.0f} | {reference} "
        f"| {megapixels / theirs:.0f} | {theirs / ours:.1f} × |",
        flush=True,
    )


def report_reduced(path: Path, factor: int) -> None:
    """Print one row: tiles shrunk while they are decoded, beside whole decoding."""
    backend = TiffBackend(path)
    backend.store.capacity = 0
    boxes = boxes_of(backend, 0, True)
    side = boxes[0][2]
    small = side // factor

    def shrunk() -> None:
        for x, y, _ in boxes:
            backend.read_reduced(0, factor, x // factor, y // factor, small, small)

    seconds = measure(
        {
            "ours": shrunk,
            "whole": lambda: drop(backend.read(0, x, y, side, side) for x, y, _ in boxes),
        }
    )
    megapixels = len(boxes) * side**2 / 1e6
    print(
        f"| {path.name} | {factor} | {megapixels / seconds.median('ours'):.0f} "
        f"| {megapixels / seconds.median('whole'):.0f} "
        f"| {seconds.median('whole') / seconds.median('ours'):.2f} × |",
        flush=True,
    )
    backend.close()


if __name__ == "__main__":
    main()
