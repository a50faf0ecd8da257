"""Memory of classifying many tiles of a large slide, beside what torch itself takes.

The slide is made up of JPEG tiles of the sample slide, drawn at random.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SIDE = 12_160
"""Side of the slide in pixels: 190 tiles of 64 px at 0.5 µm per pixel."""
FILE_TILE = 256
LEVELS = 4
MPP = 0.5
COUNTS = (1_000, 36_000)
CLASSIFIER = "breast-malignancy"


def main() -> None:
    if len(sys.argv) > 1:
        print(json.dumps(measure(Path(sys.argv[1]), int(sys.argv[2]))))
        return
    print("### Memory of many tiles\n")
    print(
        f"`{CLASSIFIER}` on a synthetic slide of {SIDE} × {SIDE} pixels made up of tiles of the "
        "sample slide; each row in a process of its own. Peaks of resident memory.\n"
    )
    print("| tiles | torch imported, MB | peak, MB | above torch, MB | tiles/CPU-s |")
    print("| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        path = write_slide(Path(folder) / "many-tiles.tif")
        for count in COUNTS:
            command = [sys.executable, "-m", "benchmarks.many_tiles", str(path), str(count)]
            result = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            m = json.loads(result.stdout)
            print(
                f"| {m['tiles']:,} | {m['torch_mb']:.0f} | {m['peak_mb']:.0f} "
                f"| {m['peak_mb'] - m['torch_mb']:.0f} | {m['cpu_rate']:.0f} |"
            )
    print()


def write_slide(path: Path) -> Path:
    """Write a pyramid whose tiles are drawn from those of the sample slide."""
    import numpy as np
    import simplejpeg
    import tifffile

    from napari_mil.gui.samples import SLIDE, sample_path
    from napari_mil.slides import open_slide

    with open_slide(sample_path(SLIDE)) as slide:
        tiles = [
            slide.read_region((column * FILE_TILE, row * FILE_TILE), 0, (FILE_TILE, FILE_TILE))
            for row in range(2, 10)
            for column in range(8)
        ]
    encoded = [simplejpeg.encode_jpeg(tile, quality=80) for tile in tiles]
    random = np.random.default_rng(0)
    with tifffile.TiffWriter(path, bigtiff=True) as writer:
        for level in range(LEVELS):
            side = SIDE // 4**level
            drawn = random.integers(0, len(encoded), (-(-side // FILE_TILE)) ** 2)
            writer.write(
                (encoded[k] for k in drawn.tolist()),
                shape=(side, side, 3),
                dtype=np.uint8,
                tile=(FILE_TILE, FILE_TILE),
                compression="jpeg",
                photometric="ycbcr",
                subsampling=(2, 2),
                subfiletype=int(level > 0),
                resolution=(1e4 / MPP, 1e4 / MPP),
                resolutionunit="CENTIMETER",
            )
    return path


def measure(path: Path, count: int) -> dict[str, float]:
    """Classify the first tiles of a slide."""
    import numpy as np
    import torch

    torch.zeros(1)
    torch_mb = peak_mb()

    from napari_mil.inference.classifier import load_classifier
    from napari_mil.inference.pipeline import classify
    from napari_mil.inference.planning import plan_tiles
    from napari_mil.settings import Settings
    from napari_mil.slides import open_slide

    loaded = load_classifier(CLASSIFIER)
    with open_slide(path) as slide:
        grid = plan_tiles(slide, loaded.card.tiling, None).grid
        grid = grid.subset(np.arange(len(grid)) < count)
        began = time.process_time()
        settings = Settings(cache_gb=0)
        prediction = classify(slide, loaded, device="cpu", grid=grid, mask=None, settings=settings)
        seconds = time.process_time() - began
    return {
        "tiles": prediction.n_instances,
        "torch_mb": torch_mb,
        "peak_mb": peak_mb(),
        "cpu_rate": prediction.n_instances / seconds,
    }


def peak_mb() -> float:
    """Return the peak of this process's resident memory in megabytes.

    Not ru_maxrss: that begins with the memory of the process that started this one.
    """
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    found = re.search(r"VmHWM:\s+(\d+)", status)
    assert found is not None
    return int(found[1]) * 1024 / 1e6


if __name__ == "__main__":
    main()
