"""The window while it works: stalls of the event loop, first overlay, result, memory."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks import window_acts
from benchmarks.heartbeat import BEAT_MS, Heart
from benchmarks.window_acts import CANVAS, WINDOW
from scripts.window_driver import WindowDriver

KINDS = (
    "an image in memory, same camera drive",
    "the sample slide, same camera drive",
    "classifying the sample slide, same camera drive",
    "training beside the sample slide, one slide watched, same camera drive",
)
IN_MEMORY, CLASSIFYING, TRAINING = 0, 2, 3
CLASSIFIER = "breast-malignancy"
STEP_S = 0.06
"""Time between two steps of the camera."""
DRIVE_S = 5
TRAINING_DRIVE_S = 12
FEWEST_EPOCHS = 3
"""A run that came to less was not measured beside the window."""


def main() -> None:
    """Print both tables, or what one process has measured."""
    if len(sys.argv) > 1:
        print(json.dumps(measure(int(sys.argv[1]))))
        return
    rows = [run_process(kind) for kind in range(len(KINDS))]
    print("## The window while it works\n")
    print(
        f"Heartbeat of {BEAT_MS} ms beside a canvas of {CANVAS[0]} × {CANVAS[1]}, zooming and "
        f"panning one step per {STEP_S * 1000:.0f} ms; each row in a process of its own.\n"
    )
    print("| what runs | beats | p95 ms | p99 ms | longest ms | beats over 100 ms | peak MB |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for kind, row in zip(KINDS, rows, strict=True):
        print(
            f"| {kind} | {row['beats']} | {row['p95']:.0f} | {row['p99']:.0f} "
            f"| {row['longest']:.0f} | {row['over100']} | {row['peak_mb']:.0f} |"
        )
    last = rows[CLASSIFYING]
    print(
        f"\nFrom click to first overlay {last['first_overlay']:.2f} s, to the result "
        f"{last['result']:.2f} s (warm: torch was imported beside the window; "
        f"{last['tiles']:.0f} tiles, {last['tiles'] / last['result']:.0f} tiles/s, while the "
        "camera moves).\n"
    )
    window_acts.main()


def run_process(kind: int) -> dict[str, float]:
    """Measure one kind in a process of its own."""
    result = subprocess.run(
        [sys.executable, "-m", "benchmarks.window", str(kind)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return json.loads(result.stdout.splitlines()[-1])  # type: ignore[no-any-return]


def measure(kind: int) -> dict[str, float]:
    """Beat while the camera moves and something runs."""
    from napari_mil.gui.samples import SLIDE, sample_path

    driver = WindowDriver(WINDOW)
    driver.resize_canvas(*CANVAS)
    if kind == IN_MEMORY:
        pixels = np.random.default_rng(0).integers(0, 256, (2967, 2220, 3), dtype=np.uint8)
        driver.viewer.add_image(pixels, rgb=True)
    else:
        driver.open(sample_path(SLIDE))
        driver.show_tab("Classify")
        driver.choose_classifier(CLASSIFIER)
    driver.wait_until(lambda: "napari_mil.inference.pipeline" in sys.modules, "torch is warm")
    driver.resize_canvas(*CANVAS)
    driver.spin(2)
    if kind == TRAINING:
        prepare_training(driver)
    result: dict[str, float] = {}
    heart = Heart(driver)
    heart.start()
    if kind == CLASSIFYING:
        start_classifying(driver, result)
    if kind == TRAINING:
        driver.workbench.train_tab.run.button.click()
    drive_camera(driver, TRAINING_DRIVE_S if kind == TRAINING else DRIVE_S)
    if kind == CLASSIFYING:
        driver.wait_until(lambda: "result" in result, "the answer")
    stalls = heart.stop()
    if kind == TRAINING:
        epochs = len(driver.state.training.rows)
        assert epochs > FEWEST_EPOCHS, f"only {epochs} epochs were trained meanwhile"
        driver.workbench.run.cancel()
        driver.wait_until_idle()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    driver.close()
    return {**stalls.as_dict(), "peak_mb": peak, **result}


def start_classifying(driver: WindowDriver, result: dict[str, float]) -> None:
    """Press the button; note when the first overlay and the result come."""
    clicked = time.perf_counter()

    def on_change(before: object, after: object) -> None:
        if driver.state.run is None and driver.state.shown_answer is not None:
            result.setdefault("result", time.perf_counter() - clicked)
            result.setdefault("tiles", driver.state.shown_answer.prediction.n_instances)

    def on_inserted(event: object) -> None:
        if driver.workbench.book.layer("overlay") is not None:
            result.setdefault("first_overlay", time.perf_counter() - clicked)

    driver.viewer.layers.events.inserted.connect(on_inserted)
    driver.workbench.session.changed.connect(on_change)
    driver.workbench.classify_tab.button.click()


def prepare_training(driver: WindowDriver) -> None:
    """Look at a cohort of regions of the sample slide, with one of them to be watched."""
    from scripts.cohorts import sample_regions

    root = Path(tempfile.mkdtemp(prefix="napari-mil-benchmark-"))
    cohort = sample_regions(root / "cohort")
    workbench = driver.workbench
    setup = workbench.train_tab.setup
    workbench.setup.look_at(cohort)
    driver.wait_until_idle()
    workbench.setup.choose_out(root / "run")
    setup.strategy_box.choose("lr-ham")
    for name, value in {"tile_px": "32", "mpp": "0.5", "mask": "none", "patience": "10000"}.items():
        setup.advanced[name].value = value
    setup.epochs_box.setValue(5000)
    workbench.train_tab.watch.bag_box.choose(str(cohort / "left" / "region00.tiff"))
    driver.wait_until_idle()
    driver.show_tab("Train")
    # Nobody presses Start sooner.
    driver.spin(1)


def drive_camera(driver: WindowDriver, seconds: float) -> None:
    """Zoom in and out and pan from a timer, as a user's wheel would."""
    from qtpy.QtCore import QTimer

    camera = driver.viewer.scene.camera
    _, y, x = camera.center
    zoom = camera.zoom
    steps = int(seconds / STEP_S)
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        phase = 2 * np.pi * done / steps
        camera.zoom = zoom * (1 + 3 * np.sin(phase) ** 2)
        camera.center = (
            0,
            y * (1 + 0.3 * np.sin(3 * phase)),
            x * (1 + 0.3 * np.cos(2 * phase) - 0.3),
        )

    timer = QTimer()
    timer.setInterval(round(STEP_S * 1000))
    timer.timeout.connect(step)
    timer.start()
    driver.wait_until(lambda: done >= steps, "the drive is over")
    timer.stop()


if __name__ == "__main__":
    if os.environ.get("QT_QPA_PLATFORM") == "offscreen":
        sys.exit("napari draws nothing offscreen; use a virtual display")
    main()
