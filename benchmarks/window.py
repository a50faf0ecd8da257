"""The window while it classifies: first overlay, result, stalls of the event loop, memory."""

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

BEAT_MS = 5
SIZE = (760, 560)
"""Small, so that software drawing does not hide everything else."""
KINDS = (
    "an image in memory, same camera drive",
    "the sample slide, same camera drive",
    "classifying the sample slide, same camera drive",
    "training beside the sample slide, one slide watched, same camera drive",
)
CLASSIFYING, TRAINING = 2, 3


def main() -> None:
    if len(sys.argv) > 1:
        print(json.dumps(measure(int(sys.argv[1]))))
        return
    rows = [
        json.loads(
            subprocess.run(
                [sys.executable, "-m", "benchmarks.window", str(k)],
                check=True,
                stdout=subprocess.PIPE,
                text=True,
            ).stdout.splitlines()[-1]
        )
        for k in range(len(KINDS))
    ]
    print("## The window while it works\n")
    print(
        f"Heartbeat of {BEAT_MS} ms in a window of {SIZE[0]} × {SIZE[1]}, zooming and panning one step per 60 ms; each row in a process of its own.\n"
    )
    print("| what runs | beats | p95 ms | p99 ms | longest ms | beats over 100 ms | peak MB |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for kind, row in zip(KINDS, rows, strict=True):
        print(
            f"| {kind} | {row['beats']} | {row['p95']:.0f} | {row['p99']:.0f} | {row['max']:.0f} | {row['over100']} | {row['peak_mb']:.0f} |"
        )
    last = rows[CLASSIFYING]
    print(
        f"\nFrom click to first overlay {last['first_overlay']:.2f} s, to the result {last['result']:.2f} s "
        f"(warm: torch was imported beside the window; {last['tiles']} tiles, {last['tiles'] / last['result']:.0f} tiles/s, while the camera moves)."
    )


def measure(kind: int) -> dict[str, float]:
    from scripts.window_driver import WindowDriver

    driver = WindowDriver(SIZE)
    from qtpy.QtCore import QTimer

    from napari_mil.gui.samples import SLIDE, sample_path

    if kind == 0:
        pixels = np.random.default_rng(0).integers(0, 256, (2967, 2220, 3), dtype=np.uint8)
        driver.viewer.add_image(pixels, rgb=True)
    else:
        driver.open(sample_path(Path(SLIDE).name))
        driver.show_tab("Classify")
    driver.wait_until(lambda: "napari_mil.inference.pipeline" in sys.modules, "torch is warm")
    driver.spin(4)
    if kind == TRAINING:
        prepare_training(driver)
    beats: list[float] = []
    timer = QTimer()
    timer.setInterval(BEAT_MS)
    timer.timeout.connect(lambda: beats.append(time.perf_counter()))
    result: dict[str, float] = {}
    timer.start()
    if kind == CLASSIFYING:
        start_classifying(driver, result)
    if kind == TRAINING:
        start_training(driver)
    drive_camera(driver, seconds=20 if kind == TRAINING else 8)
    if kind == TRAINING:
        driver.workbench.jobs.cancel("train")
        assert len(driver.workbench.training.history.rows) > 3, "nothing was trained meanwhile"
    if kind == CLASSIFYING:
        driver.wait_until(lambda: "result" in result, "the answer")
    timer.stop()
    gaps = np.diff(beats) * 1000
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    summary = {
        "beats": len(gaps),
        "p95": np.percentile(gaps, 95),
        "p99": np.percentile(gaps, 99),
        "max": gaps.max(),
        "over100": int((gaps > 100).sum()),
    }
    driver.close()
    return {
        **{key: float(value) for key, value in summary.items()},
        "beats": len(gaps),
        "over100": summary["over100"],
        "peak_mb": peak,
        **result,
    }


def start_classifying(driver, result: dict[str, float]) -> None:
    clicked = time.perf_counter()
    driver.viewer.layers.events.inserted.connect(
        lambda event: (
            result.setdefault("first_overlay", time.perf_counter() - clicked)
            if "attention" in event.value.name
            else None
        )
    )
    driver.workbench.classify_tab.button.click()

    def watch() -> None:
        if "result" not in result and not driver.workbench.jobs.is_running("classify"):
            result["result"] = time.perf_counter() - clicked
            result["tiles"] = driver.workbench.state.answer.prediction.n_instances

    from qtpy.QtCore import QTimer

    watcher = QTimer(driver.workbench)
    watcher.setInterval(20)
    watcher.timeout.connect(watch)
    QTimer.singleShot(100, watcher.start)


def prepare_training(driver) -> None:
    """Look at a cohort of regions of the sample slide, with one of them to be watched."""
    from scripts.cohorts import sample_regions

    root = Path(tempfile.mkdtemp(prefix="napari-mil-benchmark-"))
    sample_regions(root / "cohort")
    training, tab = driver.workbench.training, driver.workbench.train_tab
    training.look_at(root / "cohort")
    driver.wait_until(lambda: training.cohort is not None, "the cohort")
    training.choose_out(root / "run")
    for name, value in {"tile_px": "32", "mpp": "0.5", "mask": "none", "patience": "10000"}.items():
        tab.advanced[name].value = value
    tab.strategy_box.setCurrentIndex(tab.strategy_box.findData("lr-ham"))
    tab.watch_box.setCurrentIndex(
        tab.watch_box.findData(str(root / "cohort" / "left" / "region00.tiff"))
    )
    tab.epochs_box.setValue(5000)
    driver.spin(1)  # nobody presses Start sooner


def start_training(driver) -> None:
    driver.show_tab("Train")
    driver.workbench.train_tab.button.click()


def drive_camera(driver, seconds: float) -> None:
    """Zoom in and out and pan, one step per 60 ms, from a timer as a user's wheel would."""
    from qtpy.QtCore import QTimer

    camera, centre, zoom = (
        driver.viewer.scene.camera,
        driver.viewer.scene.camera.center,
        driver.viewer.scene.camera.zoom,
    )
    steps = int(seconds / 0.06)
    state = {"k": 0}

    def step() -> None:
        k = state["k"] = state["k"] + 1
        phase = 2 * np.pi * k / steps
        camera.zoom = zoom * (1 + 3 * np.sin(phase) ** 2)
        camera.center = (
            centre[0],
            centre[1] * (1 + 0.3 * np.sin(3 * phase)),
            centre[2] * (1 + 0.3 * np.cos(2 * phase) - 0.3),
        )

    timer = QTimer()
    timer.setInterval(60)
    timer.timeout.connect(step)
    timer.start()
    driver.wait_until(lambda: state["k"] >= steps, "the drive is over")
    timer.stop()


if __name__ == "__main__":
    if os.environ.get("QT_QPA_PLATFORM") == "offscreen":
        sys.exit("napari draws nothing offscreen; use a virtual display")
    main()
