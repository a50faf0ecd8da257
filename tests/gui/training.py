"""What tests of the Train tab share."""

import numpy as np
import psutil

TILES = {"tile_px": "64", "mpp": "0.5", "mask": "none"}


def features(tmp_path, n=10, dim=6, instances=12):
    random = np.random.default_rng(0)
    for k, label in enumerate(("benign", "malignant")):
        (tmp_path / "bags" / label).mkdir(parents=True)
        for i in range(n):
            bag = random.normal(size=(instances, dim)).astype(np.float32)
            bag[:4, k] += 3
            np.save(tmp_path / "bags" / label / f"{label}{i}.npy", bag)
    return tmp_path / "bags"


def wait_for_epochs(bench, n):
    bench.qtbot.waitUntil(lambda: len(bench.training.history.rows) >= n, timeout=120_000)


def child_of_this_window():
    return [
        child
        for child in psutil.Process().children(recursive=True)
        if "napari_mil.training.process" in " ".join(child.cmdline())
    ]
