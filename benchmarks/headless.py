"""Tiles per second and memory of the pipeline beside a plain openslide-python + PIL loop over the same tiles."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time

ROUNDS = 3
CASES = (("breast-malignancy", 1), ("colon-epithelium", 1))


def main() -> None:
    if len(sys.argv) > 1:
        print(json.dumps(measure(sys.argv[1], sys.argv[2])))
        return
    print("## From slide to answer, headless\n")
    print(
        f"The sample slide (2220 × 2967), {os.cpu_count()} cores; each run in a process of its own, medians of {ROUNDS}, interleaved. "
        "*Plain loop*: `read_region(…).convert('RGB').resize(…)` of openslide-python and PIL over the same tiles, the same encoder tile by tile, "
        "the aggregator at the end.\n"
    )
    print(
        "| classifier | tiles | ours, tiles/s | plain loop, tiles/s | ratio | ours, tiles/CPU-s | plain, tiles/CPU-s | ours, peak MB | plain, peak MB |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for classifier, _ in CASES:
        runs: dict[str, list[dict[str, float]]] = {"ours": [], "plain": []}
        for _ in range(ROUNDS):
            for kind in runs:
                command = [sys.executable, "-m", "benchmarks.headless", kind, classifier]
                runs[kind].append(
                    json.loads(
                        subprocess.run(
                            command, check=True, stdout=subprocess.PIPE, text=True
                        ).stdout
                    )
                )
        middle = {
            kind: {key: sorted(run[key] for run in some)[ROUNDS // 2] for key in some[0]}
            for kind, some in runs.items()
        }
        ours, plain = middle["ours"], middle["plain"]
        print(
            f"| {classifier} | {ours['tiles']:.0f} | {ours['rate']:.0f} | {plain['rate']:.0f} | {ours['rate'] / plain['rate']:.2f} × | "
            f"{ours['cpu_rate']:.0f} | {plain['cpu_rate']:.0f} | {ours['peak_mb']:.0f} | {plain['peak_mb']:.0f} |"
        )


def measure(kind: str, classifier: str) -> dict[str, float]:
    from napari_mil.gui.samples import SLIDE, sample_path
    from napari_mil.inference.classifier import load_classifier
    from napari_mil.inference.pipeline import classify
    from napari_mil.inference.planning import plan_tiles
    from napari_mil.slides import open_slide

    path, loaded = sample_path(SLIDE), load_classifier(classifier)
    with open_slide(path) as slide:
        grid = plan_tiles(slide, loaded.card.tiling).grid
    started, cpu = time.perf_counter(), time.process_time()
    if kind == "ours":
        with open_slide(path) as slide:
            classify(slide, loaded, device="cpu", grid=grid, mask=None)
    else:
        plain_loop(path, grid, loaded)
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "tiles": len(grid),
        "rate": len(grid) / seconds,
        "cpu_rate": len(grid) / cpu_seconds,
        "peak_mb": peak,
    }


def plain_loop(path, grid, classifier) -> None:
    import numpy as np
    import openslide
    import torch

    from napari_mil.encoders import create_encoder

    encoder = create_encoder("texture", device="cpu")
    features = []
    with openslide.OpenSlide(str(path)) as slide:
        side = round(grid.tile_size0 / slide.level_downsamples[grid.level])
        for x, y in grid.coords:
            tile = (
                slide.read_region((int(x), int(y)), grid.level, (side, side))
                .convert("RGB")
                .resize((grid.tile_px, grid.tile_px))
            )
            features.append(encoder.encode(np.asarray(tile)[None]))
    with torch.inference_mode():
        classifier.aggregator(classifier.standardise(np.concatenate(features)))


if __name__ == "__main__":
    main()
