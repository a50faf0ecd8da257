"""Opening, zooming and panning slides in the real window, beside an image in memory and napari-wsi.

Each row is a process of its own with a window of 760 × 560.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import psutil
import tifffile

from benchmarks.heartbeat import BEAT_MS, Heart
from benchmarks.reading import JPEG, JPEG_2000
from benchmarks.window_acts import CANVAS, WINDOW
from scripts.window_driver import ViewerDriver, WindowDriver

STEP_S = 0.06
"""Time between two steps of the camera."""
ZOOM_STEPS = 30
PAN_STEPS = 100
PAN_SHARE = 0.15
"""Share of the view that a step of the pan moves."""
SIDE_PX = 100_000
TILE_PX = 512
IN_MEMORY = "memory"
OURS = "window"
PEER = "napari-wsi"
WAYS = {IN_MEMORY: "an image in memory", OURS: "napari-mil", PEER: "napari-wsi"}


@dataclass(frozen=True)
class Viewed:
    """What a drive over one slide came to."""

    open_s: float
    """Seconds from the call to the first pixels."""
    beats: int
    p95: float
    p99: float
    longest: float
    over100: int
    blurred: float
    """Share of the time of the drive in which the pixels of the view had not come yet."""
    longest_blur: float
    """Longest time that they had not, in seconds."""
    peak_mb: float
    """Memory above an empty window."""


def main() -> None:
    """Print the table, or what one process has measured."""
    parser = argparse.ArgumentParser()
    parser.add_argument("way", nargs="?", choices=WAYS)
    parser.add_argument("path", nargs="?", type=Path)
    arguments = parser.parse_args()
    if arguments.way:
        print(json.dumps(asdict(view(arguments.way, arguments.path))))
        return
    with tempfile.TemporaryDirectory() as temporary:
        report(Path(temporary))


def report(folder: Path) -> None:
    """Measure every slide and print the table."""
    synthetic = folder / "synthetic-100000.tif"
    write_pyramid(synthetic)
    slides = [path for path in (*JPEG, *JPEG_2000, synthetic) if path.is_file()]
    print("## Looking at a slide\n")
    print(
        f"Open, zoom in by {ZOOM_STEPS} steps and pan by {PAN_STEPS} steps of {PAN_SHARE:.0%} of "
        f"the view, one step per {STEP_S * 1000:.0f} ms; heartbeat of {BEAT_MS} ms in the same "
        f"window with a canvas of {CANVAS[0]} × {CANVAS[1]}; each row in a process of its own. "
        "*Coarse*: the share of the time "
        "in which a part of the view was not sharp yet, and the longest such time; meanwhile "
        "napari-mil shows the coarsest level there, plain napari the background.\n"
    )
    print(
        "| slide | shown by | first pixels s | p95 ms | p99 ms | longest ms | over 100 ms "
        "| coarse | longest coarse ms | MB |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    print_row("2220 × 2967 px", IN_MEMORY, measure(IN_MEMORY, JPEG[0]))
    for path in slides:
        print_row(path.name, OURS, measure(OURS, path))
        if find_spec("napari_wsi") is not None:
            print_row(path.name, PEER, measure(PEER, path))
    print()


def print_row(slide: str, way: str, viewed: Viewed | str) -> None:
    """Print one row of the table; a way that failed says why."""
    if isinstance(viewed, str):
        print(f"| {slide} | {WAYS[way]} | {viewed} |  |  |  |  |  |  |  |", flush=True)
        return
    print(
        f"| {slide} | {WAYS[way]} | {viewed.open_s:.2f} | {viewed.p95:.0f} | {viewed.p99:.0f} "
        f"| {viewed.longest:.0f} | {viewed.over100} | {viewed.blurred:.0%} "
        f"| {1000 * viewed.longest_blur:.0f} | {viewed.peak_mb:.0f} |",
        flush=True,
    )


def measure(way: str, path: Path) -> Viewed | str:
    """Measure one way in a process of its own; return the last line of what went wrong."""
    result = subprocess.run(
        [sys.executable, "-m", "benchmarks.viewing", way, str(path)],
        capture_output=True,
        text=True,
    )
    if result.returncode:
        lines = result.stderr.strip().splitlines() or ["it ended without a word"]
        return lines[-1][:80]
    return Viewed(**json.loads(result.stdout.splitlines()[-1]))


def view(way: str, path: Path) -> Viewed:
    """Open a slide and drive the camera over it."""
    driver = WindowDriver(WINDOW)
    driver.resize_canvas(*CANVAS)
    driver.wait_until(lambda: "torch" in sys.modules, "torch is imported beside the window")
    driver.spin(3)
    empty = psutil.Process().memory_info().rss
    began = time.perf_counter()
    OPENERS[way](driver, path)
    layer = driver.viewer.layers[-1]
    driver.wait_until(lambda: is_sharp(layer), "the first pixels")
    open_s = time.perf_counter() - began
    driver.resize_canvas(*CANVAS)
    driver.spin(2)
    sharpness = Sharpness(layer)
    heart = Heart(driver)
    heart.start()
    drive(driver, sharpness)
    stalls = heart.stop()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    driver.close()
    return Viewed(
        open_s,
        stalls.beats,
        stalls.p95,
        stalls.p99,
        stalls.longest,
        stalls.over100,
        sharpness.share,
        sharpness.longest,
        (peak - empty) / 1e6,
    )


def open_in_window(driver: Any, path: Path) -> None:
    """Open a slide as a person who drops it does."""
    driver.workbench.open([path])
    driver.wait_until(lambda: len(driver.viewer.layers) > 0, "the layer")


def open_in_memory(driver: Any, path: Path) -> None:
    """Add an image of the size of a slide."""
    with tifffile.TiffFile(path) as file:
        shape = file.pages[0].shape
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    driver.viewer.add_image(pixels, rgb=True)


def open_in_peer(driver: Any, path: Path) -> None:
    """Open a slide with napari-wsi's own reader."""
    reader = import_module("napari_wsi.reader").wsi_reader_openslide(str(path))
    for data, arguments, kind in reader(str(path)):
        getattr(driver.viewer, f"add_{kind}")(data, **arguments)


OPENERS: dict[str, Callable[[Any, Path], None]] = {
    IN_MEMORY: open_in_memory,
    OURS: open_in_window,
    PEER: open_in_peer,
}


def is_sharp(layer: Any) -> bool:
    """Say whether a layer has the pixels of the view."""
    return bool(layer.loaded)


class Sharpness:
    """How long a layer lacks the pixels of the view."""

    def __init__(self, layer: Any) -> None:
        self._layer = layer
        self._began = time.perf_counter()
        self._last = self._began
        self._lacking = 0.0
        self._run = 0.0
        self.longest = 0.0
        """Longest time without a break, in seconds."""

    def look(self) -> None:
        """Look once more."""
        now = time.perf_counter()
        if is_sharp(self._layer):
            self._run = 0.0
        else:
            self._lacking += now - self._last
            self._run += now - self._last
            self.longest = max(self.longest, self._run)
        self._last = now

    @property
    def share(self) -> float:
        """Share of the time without the pixels of the view."""
        return self._lacking / (self._last - self._began)


def drive(driver: ViewerDriver, sharpness: Sharpness) -> None:
    """Zoom in to level 0, then pan in a spiral, from a timer as a user's wheel would."""
    from qtpy.QtCore import QTimer

    layer = driver.viewer.layers[-1]
    camera = driver.viewer.scene.camera
    finest = 1 / float(layer.scale[-1])
    growth = (max(finest / camera.zoom, 2.0)) ** (1 / ZOOM_STEPS)
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        if done <= ZOOM_STEPS:
            camera.zoom *= growth
            return
        angle = 4 * np.pi * (done - ZOOM_STEPS) / PAN_STEPS
        move = PAN_SHARE * CANVAS[1] / camera.zoom
        _, y, x = camera.center
        camera.center = (0, y + move * np.sin(angle), x + move * np.cos(angle))

    timer = QTimer()
    timer.setInterval(round(STEP_S * 1000))
    timer.timeout.connect(step)
    eye = QTimer()
    eye.setInterval(BEAT_MS)
    eye.timeout.connect(sharpness.look)
    timer.start()
    eye.start()
    driver.wait_until(lambda: done >= ZOOM_STEPS + PAN_STEPS, "the drive is over")
    timer.stop()
    eye.stop()


def write_pyramid(path: Path) -> None:
    """Write a JPEG pyramid of 100 000 × 100 000 px; its tiles are few and come again and again."""
    random = np.random.default_rng(0)
    tiles = [
        np.kron(random.integers(90, 255, (32, 32, 3), dtype=np.uint8), np.ones((16, 16, 1), "u1"))
        for _ in range(8)
    ]
    with tifffile.TiffWriter(path, bigtiff=True) as writer:
        side = SIDE_PX
        level = 0
        while side > 2 * TILE_PX:
            across = -(-side // TILE_PX)
            encoded = [_jpeg(tile) for tile in tiles]
            order = random.integers(0, len(tiles), across * across)
            writer.write(
                (encoded[k] for k in order),
                shape=(side, side, 3),
                dtype=np.uint8,
                tile=(TILE_PX, TILE_PX),
                compression="jpeg",
                photometric="rgb",
                subfiletype=1 if level else 0,
                metadata=None,
                resolution=(40_000 / 2**level, 40_000 / 2**level),
                resolutionunit="CENTIMETER",
            )
            side //= 2
            level += 1


def _jpeg(tile: np.ndarray) -> bytes:
    """Return a tile as a JPEG stream in RGB."""
    return bytes(imagecodecs.jpeg8_encode(tile, level=80, colorspace="rgb", outcolorspace="rgb"))


if __name__ == "__main__":
    main()
