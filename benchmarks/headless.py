"""Benchmark of the pipeline beside a plain loop over the same tiles.

Tiles per second and memory; the plain loop uses openslide-python and PIL.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time

ROUNDS = 3
CLASSIFIERS = ("breast-malignancy", "colon-epithelium")
KINDS = ("pipeline", "plain")


def main() -> None:
    if len(sys.argv) > 1:
        print(json.dumps(measure(sys.argv[1], sys.argv[2])))
        return
    print("## From slide to answer, headless\n")
    print(
        f"The sample slide (2220 × 2967), {os.cpu_count()} cores; each run in a process of its "
        f"own, medians of {ROUNDS}, interleaved. *Plain loop*: "
        "`read_region(…).convert('RGB').resize(…)` of openslide-python and PIL over the same "
        "tiles, the same encoder tile by tile, the aggregator at the end.\n"
    )
    print(
        "| classifier | tiles | napari-mil, tiles/s | plain loop, tiles/s | ratio "
        "| napari-mil, tiles/CPU-s | plain, tiles/CPU-s | napari-mil, peak MB | plain, peak MB |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for classifier in CLASSIFIERS:
        report(classifier)


def report(classifier: str) -> None:
    """Print the row of one classifier."""
    runs: dict[str, list[dict[str, float]]] = {kind: [] for kind in KINDS}
    for _ in range(ROUNDS):
        for kind in KINDS:
            runs[kind].append(measure_in_process(kind, classifier))
    medians = {
        kind: {key: sorted(run[key] for run in results)[ROUNDS // 2] for key in results[0]}
        for kind, results in runs.items()
    }
    pipeline = medians["pipeline"]
    plain = medians["plain"]
    print(
        f"| {classifier} | {pipeline['tiles']:.0f} | {pipeline['rate']:.0f} "
        f"| {plain['rate']:.0f} | {pipeline['rate'] / plain['rate']:.2f} × "
        f"| {pipeline['cpu_rate']:.0f} | {plain['cpu_rate']:.0f} "
        f"| {pipeline['peak_mb']:.0f} | {plain['peak_mb']:.0f} |"
    )


def measure_in_process(kind: str, classifier: str) -> dict[str, float]:
    """Run one measurement in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.headless", kind, classifier]
    result = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(result.stdout)  # type: ignore[no-any-return]


def measure(kind: str, classifier: str) -> dict[str, float]:
    """Measure one way to classify the sample slide."""
    from napari_mil.gui.samples import SLIDE, sample_path
    from napari_mil.inference.classifier import load_classifier
    from napari_mil.inference.pipeline import classify
    from napari_mil.inference.planning import plan_tiles
    from napari_mil.settings import Settings
    from napari_mil.slides import open_slide

    path = sample_path(SLIDE)
    loaded = load_classifier(classifier)
    with open_slide(path) as slide:
        grid = plan_tiles(slide, loaded.card.tiling).grid
    started = time.perf_counter()
    cpu_started = time.process_time()
    if kind == "pipeline":
        with open_slide(path) as slide:
            # Every round encodes: nothing is taken from the cache.
            settings = Settings(cache_gb=0)
            classify(slide, loaded, device="cpu", grid=grid, mask=None, settings=settings)
    else:
        run_plain_loop(path, grid, loaded)
    seconds = time.perf_counter() - started
    cpu_seconds = time.process_time() - cpu_started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "tiles": len(grid),
        "rate": len(grid) / seconds,
        "cpu_rate": len(grid) / cpu_seconds,
        "peak_mb": peak,
    }


def run_plain_loop(path, grid, classifier) -> None:
    """Classify the tiles of a grid with openslide-python and PIL."""
    import numpy as np
    import openslide
    import torch

    from napari_mil.encoders import create_encoder

    encoder = create_encoder("texture", device="cpu")
    features = []
    with openslide.OpenSlide(str(path)) as slide:
        side = round(grid.tile_size0 / slide.level_downsamples[grid.level])
        for x, y in grid.coords:
            region = slide.read_region((int(x), int(y)), grid.level, (side, side))
            tile = region.convert("RGB").resize((grid.tile_px, grid.tile_px))
            features.append(encoder.encode(np.asarray(tile)[None]))
    with torch.inference_mode():
        classifier.aggregator(classifier.standardise(np.concatenate(features)))


if __name__ == "__main__":
    main()
