"""How long single acts hold up the window, beside plain napari doing the like.

Each round is one process with the workbench, then one with plain napari, which adds images of the
sizes that the workbench's layers had.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.heartbeat import Heart, Settled, Stalls
from scripts.window_driver import (
    SETTLING_S,
    ViewerDriver,
    WindowDriver,
    prepare_private_window,
)

ROUNDS = 2
WINDOW = (1500, 700)
"""The docks take half of it."""
CANVAS = (760, 560)
"""Small, so that software drawing does not hide everything else."""
REST_S = 1.5
N_IMAGES = 2000
IMAGE_PX = 48
N_REGIONS = 200
CLASSIFIER = "colon-epithelium"
"""It has every kind of map."""
LIMIT_MS = 100
"""No act may hold up the event loop longer."""


@dataclass(frozen=True)
class Act:
    """One measured act, and what plain napari does for comparison."""

    name: str
    stalls: dict[str, float]
    reference: str = "rest"
    """``add``, ``values``, ``show``, ``remove``, ``close`` or ``rest``."""
    shape: tuple[int, ...] = ()
    """Of the image that is added for comparison."""
    dtype: str = "uint8"


REFERENCES = {
    "add": "adds an image of that size",
    "values": "gives an image of that size other values",
    "show": "shows another image",
    "remove": "removes an image",
    "close": "closes",
    "rest": "rests",
}


def main() -> None:
    """Print the table, or what one process has measured."""
    if len(sys.argv) > 1:
        rows = measure_plain(json.load(sys.stdin)) if sys.argv[1] == "plain" else measure()
        print(json.dumps(rows))
        return
    rounds = []
    for _ in range(ROUNDS):
        acts = run_process("workbench", "")
        rounds.append((acts, run_process("plain", json.dumps(acts))))
    report(rounds)


def run_process(kind: str, text: str) -> list[dict[str, Any]]:
    """Measure one kind of window in a process of its own."""
    result = subprocess.run(
        [sys.executable, "-m", "benchmarks.window_acts", kind],
        check=True,
        input=text,
        stdout=subprocess.PIPE,
        text=True,
    )
    return json.loads(result.stdout.splitlines()[-1])  # type: ignore[no-any-return]


def report(rounds: list[tuple[list[dict[str, Any]], list[dict[str, Any]]]]) -> None:
    """Print one row for each act: the worst of the rounds, on both sides."""
    print("### Single acts\n")
    print(
        f"The worst of {ROUNDS} rounds, on both sides; each act is done once in a round, so that "
        "what the first layer of a kind costs is in it. *Plain napari* is a window of the same "
        "size without the workbench. *Took* ends when the window is idle again.\n"
    )
    print("| act | took, s | p99 ms | longest ms | plain napari | p99 ms | longest ms | ratio |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    over = []
    for place, act in enumerate(rounds[0][0]):
        own = worst([acts[place]["stalls"] for acts, _ in rounds])
        plain = worst([references[place] for _, references in rounds])
        if own["longest"] > LIMIT_MS:
            over.append(act["name"])
        print(
            f"| {act['name']} | {own['seconds']:.2f} | {own['p99']:.0f} | {own['longest']:.0f} "
            f"| {REFERENCES[act['reference']]} | {plain['p99']:.0f} | {plain['longest']:.0f} "
            f"| {own['longest'] / plain['longest']:.1f} × |"
        )
    print(f"\nOver {LIMIT_MS} ms: {', '.join(over) or 'none'}.")


def worst(stalls: list[dict[str, float]]) -> dict[str, float]:
    """Return the largest of each figure."""
    return {name: max(each[name] for each in stalls) for name in stalls[0]}


def measure() -> list[dict[str, Any]]:
    """Do every act in a window with the workbench."""
    driver = WindowDriver(WINDOW)
    driver.resize_canvas(*CANVAS)
    driver.wait_until(lambda: "napari_mil.inference.pipeline" in sys.modules, "torch is warm")
    driver.spin(2)
    with tempfile.TemporaryDirectory() as temporary:
        acts = Acts(driver)
        acts.do_on_slide(write_regions(Path(temporary) / "regions.geojson"))
        acts.do_on_bags(write_images(Path(temporary) / f"{N_IMAGES} images"))
        acts.close_window()
    return [vars(act) for act in acts.done]


class Acts:
    """Acts in one window, in the order in which a person would do them.

    Parameters
    ----------
    driver
        The window.
    """

    def __init__(self, driver: WindowDriver) -> None:
        self._driver = driver
        self._workbench = driver.workbench
        self._heart = Heart(driver)
        self.done: list[Act] = [Act("rest", self._heart.at_rest(REST_S).as_dict())]

    def do_on_slide(self, regions: Path) -> None:
        """Open a slide, add each kind of layer, classify, cancel."""
        from napari_mil.gui.samples import SLIDE, sample_path

        workbench = self._workbench
        maps = workbench.inspect_tab.kind_box
        self._add("open a slide", lambda: workbench.open([sample_path(SLIDE)]))
        self._add("tissue", workbench.slide_tab.tissue_button.click)
        self._add(f"annotations, {N_REGIONS} regions", lambda: workbench.open([regions]))
        self._driver.show_tab("Classify")
        self._driver.choose_classifier(CLASSIFIER)
        self._add("classify, with its overlay", workbench.classify_tab.button.click)
        self._driver.show_tab("Inspect")
        self._change("overlay of attention", lambda: maps.choose("attention"), ("overlay",))
        self._add("clusters", lambda: maps.choose("clusters"))
        self._change("masks", lambda: maps.choose("masks"), ("groups",))
        self._add("mark of the critical tile", lambda: maps.choose("critical"))
        self._driver.choose_map("attention")
        self._add("select a tile", lambda: workbench.inspection.step(1))
        self._driver.show_tab("Classify")
        self._cancel()

    def do_on_bags(self, images: Path) -> None:
        """Open a small and a large bag of images, go back to the slide, close a bag."""
        from napari_mil.gui.samples import BAG, SLIDE, sample_path

        workbench = self._workbench
        self._driver.show_tab("Slide")
        self._add("open a bag of 10 images", lambda: workbench.open([sample_path(BAG)]))
        self._add(f"open a bag of {N_IMAGES} images", lambda: workbench.open([images]))
        box = workbench.slide_tab.subject_box
        keys = {subject.name: subject.key for subject in self._driver.state.subjects}
        for words, name in (
            ("go back to the slide, with its answer", Path(SLIDE).stem),
            (f"go back to the bag of {N_IMAGES} images", images.name),
        ):
            self._measure(words, lambda name=name: box.choose(keys[name]), "show")
        self._measure("close that bag", workbench.slide_tab.close_button.click, "remove")
        box.choose(keys[Path(SLIDE).stem])
        self._driver.wait_until_idle()

    def close_window(self) -> None:
        """Close the window while it classifies."""
        self._start_classifying()
        stalls = self._heart.during(self._driver.viewer.close, lambda: True, lead=0)
        self.done.append(Act("close the window while it classifies", stalls.as_dict(), "close"))

    def _cancel(self) -> None:
        """Cancel a run of the whole slide, which is longer, once the first tiles are there."""
        tissue = self._workbench.classify_tab.tissue_box
        before = tissue.key
        tissue.choose("whole")
        self._start_classifying()
        button = self._workbench.classify_tab.button
        stalls = self._heart.during(button.click, lambda: self._driver.state.run is None, lead=0)
        assert "ancelled" in self._driver.state.message, "the run ended before it was cancelled"
        self.done.append(Act("cancel classifying", stalls.as_dict()))
        tissue.choose(before)
        self._driver.wait_until_idle()

    def _start_classifying(self) -> None:
        tab = self._workbench.classify_tab
        tab.button.click()
        self._driver.wait_until(lambda: tab.bar.value() > 0, "the first tiles")

    def _add(self, name: str, act: Callable[[], object]) -> None:
        """Measure an act that adds a layer."""
        before = list(self._driver.viewer.layers)
        stalls = self._during(act)
        added = [layer for layer in self._driver.viewer.layers if layer not in before]
        assert added, f"no layer came: {name}"
        shape, dtype = image_like(added[-1])
        self.done.append(Act(name, stalls.as_dict(), "add", shape, dtype))

    def _change(self, name: str, act: Callable[[], object], key: tuple[str, ...]) -> None:
        """Measure an act that gives a layer other values."""
        stalls = self._during(act)
        shape, dtype = image_like(self._workbench.book.layer(*key))
        self.done.append(Act(name, stalls.as_dict(), "values", shape, dtype))

    def _measure(self, name: str, act: Callable[[], object], reference: str) -> None:
        self.done.append(Act(name, self._during(act).as_dict(), reference))

    def _during(self, act: Callable[[], object]) -> Stalls:
        return self._heart.during(act, Settled(self._driver.is_idle, SETTLING_S))


def image_like(layer: Any) -> tuple[tuple[int, ...], str]:
    """Return shape and type of an image as large as a layer's data; of points one small square."""
    from napari.layers import Image, Labels

    if not isinstance(layer, (Image, Labels)):
        return (64, 64), "float32"
    data = layer.data[0] if layer.multiscale else layer.data
    return tuple(int(side) for side in data.shape), str(np.dtype(data.dtype))


def measure_plain(acts: list[dict[str, Any]]) -> list[dict[str, float]]:
    """Do the like of every act in plain napari."""
    prepare_private_window()
    import napari

    driver = ViewerDriver(napari.Viewer(show_welcome_screen=False), WINDOW)
    driver.resize_canvas(*CANVAS)
    driver.spin(2)
    heart = Heart(driver)
    plain = PlainActs(driver.viewer)
    stalls = []
    for act in acts:
        do = plain.prepare(act["reference"], tuple(act["shape"]), act["dtype"])
        if do is None:
            stalls.append(heart.at_rest(REST_S).as_dict())
            continue
        settled = Settled(lambda: all(layer.loaded for layer in driver.viewer.layers), SETTLING_S)
        stalls.append(heart.during(do, settled).as_dict())
    return stalls


class PlainActs:
    """What plain napari does for comparison.

    Parameters
    ----------
    viewer
        Viewer without the workbench.
    """

    def __init__(self, viewer: Any) -> None:
        self._viewer = viewer
        self._rng = np.random.default_rng(0)
        self._images: list[Any] = []

    def prepare(
        self, reference: str, shape: tuple[int, ...], dtype: str
    ) -> Callable[[], object] | None:
        """Return the act, with its pixels made; None for no act."""
        if reference == "add":
            pixels = self._pixels(shape, dtype)
            return lambda: self._add(pixels)
        if reference == "values":
            pixels = self._pixels(shape, dtype)
            layer = next(each for each in self._images if each.data.shape == shape)
            return lambda: setattr(layer, "data", pixels)
        if reference == "show":
            return self._show_another
        if reference == "remove":
            return lambda: self._viewer.layers.remove(self._images.pop())
        if reference == "close":
            return lambda: self._viewer.close()
        return None

    def _pixels(self, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        whole = np.issubdtype(np.dtype(dtype), np.integer)
        if whole or np.dtype(dtype) == bool:
            return self._rng.integers(0, 256, shape, dtype=np.uint8)
        return self._rng.random(shape, dtype=np.float32)

    def _add(self, pixels: np.ndarray) -> None:
        is_rgb = pixels.ndim == 3 and pixels.shape[-1] in (3, 4)
        self._images.append(self._viewer.add_image(pixels, rgb=is_rgb))

    def _show_another(self) -> None:
        first = self._images[0]
        last = self._images[-1]
        first.visible = not first.visible
        last.visible = not first.visible


def write_regions(path: Path) -> Path:
    """Write annotations of round regions all over the sample slide."""
    import shapely

    from napari_mil.annotations import Region, write_geojson

    centres = np.random.default_rng(0).uniform((100, 100), (2100, 2800), (N_REGIONS, 2))
    write_geojson([Region(shapely.Point(*at).buffer(40), "region") for at in centres], path)
    return path


def write_images(folder: Path) -> Path:
    """Write a bag of small images cut from the sample slide."""
    from PIL import Image

    from napari_mil.gui.samples import SLIDE, sample_path
    from napari_mil.slides import open_slide

    folder.mkdir()
    with open_slide(sample_path(SLIDE)) as slide:
        pixels = slide.read_region((0, 0), 0, slide.dimensions)
    height, width = pixels.shape[:2]
    corners = np.random.default_rng(0).integers(
        0, (height - IMAGE_PX, width - IMAGE_PX), (N_IMAGES, 2)
    )
    for number, (y, x) in enumerate(corners):
        image = Image.fromarray(pixels[y : y + IMAGE_PX, x : x + IMAGE_PX])
        image.save(folder / f"image{number:04d}.png", compress_level=1)
    return folder


if __name__ == "__main__":
    main()
