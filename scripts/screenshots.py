"""Each tab in each state, both themes, two sizes, on real data, to be looked at. `make screenshots`."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from scripts.window_driver import WindowDriver, rerun_in_virtual_display

RUNS = {
    "1366x768-dark": (("1366", "768", "dark"), {}),
    "1366x768-light": (("1366", "768", "light"), {}),
    "3840x2160-dark": (("1920", "1080", "dark"), {"QT_SCALE_FACTOR": "2"}),
}


def main() -> None:
    folder = sys.argv[1]
    if len(sys.argv) == 2:
        for name in RUNS:
            subprocess.run([sys.executable, "-m", "scripts.screenshots", folder, name], check=True)
        return
    name = sys.argv[2]
    (width, height, theme), environment = RUNS[name]
    if len(sys.argv) == 3:
        rerun_in_virtual_display(
            "scripts.screenshots", [folder, name, "inside"], screen="3840x2160x24", **environment
        )
    take(Path(folder) / name, (int(width), int(height)), theme)


def take(folder: Path, size: tuple[int, int], theme: str) -> None:
    from napari_mil.gui.samples import SLIDE, sample_bag, sample_path

    driver = WindowDriver(size, theme)
    driver.screenshot(folder / "1-nothing-open.png")
    driver.open(sample_path(SLIDE))
    driver.show_tab("Slide")
    driver.screenshot(folder / "2-slide.png")
    driver.workbench.slide_tab.tissue_button.click()
    driver.spin(0.1)
    driver.wait_until(lambda: not driver.workbench.jobs.is_running("tissue"), "tissue is found")
    driver.screenshot(folder / "3-tissue.png")
    driver.show_tab("Classify")
    driver.screenshot(folder / "4-classify-ready.png")
    for number, name in enumerate(("breast-malignancy", "colon-epithelium"), 5):
        driver.choose_classifier(name)
        driver.workbench.classify_tab.button.click()
        seen = time.monotonic()
        driver.wait_until(lambda: driver.workbench.classify_tab.bar.value() > 0, "the first tiles")
        driver.screenshot(folder / f"{number}a-{name}-running.png")
        driver.wait_until(lambda: not driver.workbench.jobs.is_running("classify"), "the answer")
        driver.screenshot(folder / f"{number}b-{name}-done.png")
        print(f"{folder.name}: {name} in {time.monotonic() - seen:.1f} s", flush=True)
        inspect(driver, folder, f"{number}", name)
        for layer in [layer for layer in driver.viewer.layers if "·" in layer.name]:
            driver.viewer.layers.remove(layer)
    driver.close_slides()
    with tempfile.TemporaryDirectory() as temporary:
        driver.open(_without_scale(Path(temporary)))
        driver.show_tab("Slide")
        driver.screenshot(folder / "7-slide-without-scale.png")
        driver.show_tab("Classify")
        driver.classify()
        driver.screenshot(folder / "8-classify-refused.png")
        driver.close_slides()
    with tempfile.TemporaryDirectory() as temporary:
        train(driver, folder, Path(temporary))
        driver.close_slides()
    for data, arguments, _ in sample_bag():
        driver.viewer.add_image(data, **arguments)
    driver.viewer.reset_view()
    driver.screenshot(folder / "9-sample-bag.png")
    driver.close()


def train(driver: WindowDriver, folder: Path, temporary: Path) -> None:
    """Empty, found, untrainable, running, paused, cancelled and done."""
    from scripts.cohorts import sample_regions

    workbench = driver.workbench
    tab, training, running = workbench.train_tab, workbench.training, workbench.jobs.is_running
    workbench._show_training()
    driver.screenshot(folder / "train-a-empty.png")
    cohort = sample_regions(temporary / "cohort")
    for what, path in (("b-one-class", cohort / "left"), ("c-found", cohort)):
        training.look_at(path)
        driver.spin(0.1)
        driver.wait_until(lambda: not running("scan"), "the folder")
        driver.screenshot(folder / f"train-{what}.png")
    training.choose_out(temporary / "run")
    for name, value in {"tile_px": "32", "mpp": "0.5", "mask": "none"}.items():
        tab.advanced[name].value = value
    tab.strategy_box.setCurrentIndex(tab.strategy_box.findData("lr-ham"))
    tab._fold.expand(animate=False)
    driver.screenshot(folder / "train-d-advanced.png")
    tab._fold.collapse(animate=False)
    tab.epochs_box.setValue(40)
    tab.watch_box.setCurrentIndex(tab.watch_box.findData(str(cohort / "right" / "region09.tiff")))
    tab.button.click()
    driver.wait_until(lambda: len(training.history.rows) >= 8, "epochs")
    driver.spin(0.6)
    driver.screenshot(folder / "train-e-running.png")
    tab.button.click()
    driver.screenshot(folder / "train-f-paused.png")
    tab.cancel_button.click()
    driver.wait_until(lambda: not running("train"), "the end")
    driver.screenshot(folder / "train-g-cancelled.png")
    tab.button.click()
    driver.wait_until(lambda: not running("train"), "the end")
    driver.spin(0.6)
    driver.screenshot(folder / "train-h-done.png")
    tab.epoch_slider.setValue(1)
    driver.spin(0.6)
    driver.screenshot(folder / "train-i-first-epoch.png")


def inspect(driver: WindowDriver, folder: Path, number: str, name: str) -> None:
    """Clusters, then masks, alone on the slide."""
    tab = driver.workbench.inspect_tab
    driver.show_tab("Inspect")
    for letter, what, button in (
        ("c", "clusters", tab.cluster_button),
        ("d", "masks", tab.mask_button),
    ):
        for layer in driver.viewer.layers[1:]:
            layer.visible = "critical" in layer.name
        tab.strategy_box.setCurrentIndex(tab.strategy_box.count() - 1)
        button.click()
        driver.spin(0.05)
        driver.wait_until(lambda: not driver.workbench.jobs.is_running("inspect"), what)
        driver.screenshot(folder / f"{number}{letter}-{name}-{what}.png")
    driver.show_tab("Classify")


def _without_scale(folder: Path) -> Path:
    from PIL import Image

    from napari_mil.gui.samples import SLIDE, sample_path
    from napari_mil.slides import open_slide

    with open_slide(sample_path(SLIDE)) as slide:
        path = (
            folder
            / "a picture with a name that is much too long for the narrow column it is shown in.png"
        )
        Image.fromarray(slide.read_region((600, 600), 0, (1000, 1200))).save(path)
    return path


if __name__ == "__main__":
    main()
