"""Benchmark of encoding a slide beside a DataLoader over OpenSlide, on the same tiles.

Each measurement runs in a process of its own (`python -m benchmarks.pipeline KIND …`); the ways
alternate, and medians are reported. Every process first encodes a few tiles of noise, which loads
libraries and compiles kernels.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
SLIDES = (
    ROOT / "sample_data/CMU-1-Small-Region.svs",
    ROOT.parent / "shared/data/slides/derived/cmu1-mosaic-398MP.tiff",
)
TILES = 400
"""Tiles of a slide at most."""
TILE_PX, MPP = 224, 0.5
BATCH = 32
"""Tiles in a batch of the DataLoader."""
ROUNDS = 3
ENCODERS = (("texture", "auto"), ("efficientnet-lite0", "float32"), ("efficientnet-lite0", "auto"))
LEARNED = "efficientnet-lite0"


@dataclass(frozen=True)
class Measured:
    """What one run took."""

    tiles: int
    seconds: float
    cpu_seconds: float
    """Of the process and its workers."""
    encoder_seconds: float
    """In which the encoder was at work."""
    logit: float = 0.0

    @property
    def busy(self) -> float:
        """Share of the time in which the encoder was at work."""
        return self.encoder_seconds / self.seconds


def main() -> None:
    if len(sys.argv) > 1:
        kind, slide, *rest = sys.argv[1:]
        print(json.dumps(vars(KINDS[kind](Path(slide), *rest))))
        return
    slides = [slide for slide in SLIDES if slide.is_file()]
    print("## From pixels to features, and to a score\n")
    print(
        f"Tiles of {TILE_PX} px at {MPP} µm per pixel, at most {TILES} of a slide, the same "
        f"coordinates on both sides; {os.cpu_count()} cores; each run in a process of its own, "
        f"medians of {ROUNDS}, interleaved. *DataLoader*: torch's, over "
        "`read_region(…).convert('RGB').resize(…)` of openslide-python and PIL, a worker a core, "
        f"batches of {BATCH}, the same encoder. *Busy*: share of the time in which the encoder is "
        "at work. *Reading*: CPU time of reading the same tiles and nothing else, as a share of "
        "the whole.\n"
    )
    print(
        "| slide | tiles | encoder | napari-mil, tiles/s | DataLoader, tiles/s | ratio "
        "| napari-mil, tiles/CPU-s | DataLoader, tiles/CPU-s | busy | DataLoader, busy | reading |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for slide in slides:
        reading = run_rounds(slide, [("read",)])[0]
        for encoder, precision in ENCODERS:
            ours, loader = run_rounds(
                slide, [("ours", encoder, precision), ("loader", encoder, precision)]
            )
            numbers = "" if precision == "auto" else f", {precision}"
            print(
                f"| {slide.name} | {ours.tiles} | {encoder}{numbers} "
                f"| {ours.tiles / ours.seconds:.0f} | {loader.tiles / loader.seconds:.0f} "
                f"| {loader.seconds / ours.seconds:.2f} × "
                f"| {ours.tiles / ours.cpu_seconds:.0f} | {loader.tiles / loader.cpu_seconds:.0f} "
                f"| {ours.busy:.0%} | {loader.busy:.0%} "
                f"| {reading.cpu_seconds / ours.cpu_seconds:.0%} |",
                flush=True,
            )
    report_scores(slides)


def report_scores(slides: list[Path]) -> None:
    """Print what a score of a slide takes."""
    print("\n### Slide to score\n")
    print(
        f"`{LEARNED}` and gated attention MIL with the same weights on both sides, from opening "
        "the file to the score; networks are loaded, and nothing of an earlier run is used. "
        "*Reference*: the DataLoader as above, the published network in float32 as torch runs it, "
        "torchmil's `ABMIL`. Scores differ by the resampling of tiles and by bfloat16.\n"
    )
    print("| slide | tiles | napari-mil, s | reference, s | ratio | logit | reference |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for slide in slides:
        ours, reference = run_rounds(slide, [("score",), ("reference",)])
        print(
            f"| {slide.name} | {ours.tiles} | {ours.seconds:.2f} | {reference.seconds:.2f} "
            f"| {reference.seconds / ours.seconds:.1f} × "
            f"| {ours.logit:.3f} | {reference.logit:.3f} |",
            flush=True,
        )
    print()


def run_rounds(slide: Path, ways: list[tuple[str, ...]]) -> list[Measured]:
    """Run some ways in turn; return the run of median seconds of each."""
    runs: list[list[Measured]] = [[] for _ in ways]
    for _ in range(ROUNDS):
        for k, (kind, *rest) in enumerate(ways):
            command = [sys.executable, "-m", "benchmarks.pipeline", kind, str(slide), *rest]
            result = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            runs[k].append(Measured(**json.loads(result.stdout)))
    median = statistics.median_low
    return [
        next(run for run in each if run.seconds == median([run.seconds for run in each]))
        for each in runs
    ]


class Stopwatch:
    """An encoder whose time is taken."""

    def __init__(self, encoder: Any) -> None:
        self._encoder = encoder
        self.device = encoder.device
        self.seconds = 0.0

    def encode(self, tiles: np.ndarray) -> np.ndarray:
        """Encode and count the seconds."""
        started = time.perf_counter()
        features: np.ndarray = self._encoder.encode(tiles)
        self.seconds += time.perf_counter() - started
        return features


def cpu_seconds() -> float:
    """Return the CPU time of this process and of its children that have ended."""
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(use.ru_utime + use.ru_stime for use in map(resource.getrusage, who))


def tiles_of(path: Path) -> Any:
    """Return the grid of the tiles that both sides encode."""
    from napari_mil.bags import tile_grid
    from napari_mil.slides import open_slide

    with open_slide(path) as slide:
        grid = tile_grid(slide, TILE_PX, MPP)
    return grid.subset(np.arange(len(grid)) < TILES)


def create(encoder: str, precision: str) -> Any:
    """Create an encoder and let it encode noise."""
    from napari_mil.encoders import create_encoder

    made: Any = create_encoder(encoder, device="cpu", precision=precision)  # type: ignore[arg-type]
    noise = np.random.default_rng(0).integers(0, 256, (8, TILE_PX, TILE_PX, 3), dtype=np.uint8)
    made.encode(noise)
    return made


def measure_reading(path: Path) -> Measured:
    """Read the tiles and do nothing with them."""
    from napari_mil.slides import open_slide

    grid = tiles_of(path)
    started, cpu = time.perf_counter(), cpu_seconds()
    with open_slide(path) as slide:
        for i in range(len(grid)):
            grid.read(slide, i)
    return Measured(len(grid), time.perf_counter() - started, cpu_seconds() - cpu, 0.0)


def measure_ours(path: Path, encoder: str, precision: str) -> Measured:
    """Encode the tiles by the pipeline."""
    from napari_mil.events import CancellationToken
    from napari_mil.inference.embedding import embed_tiles
    from napari_mil.settings import Settings
    from napari_mil.slides import open_slide

    grid = tiles_of(path)
    watch: Any = Stopwatch(create(encoder, precision))
    started, cpu = time.perf_counter(), cpu_seconds()
    with open_slide(path) as slide:
        embed_tiles(slide, grid, watch, Settings(), CancellationToken())
    return Measured(len(grid), time.perf_counter() - started, cpu_seconds() - cpu, watch.seconds)


class OpenSlideTiles:
    """Data set of the tiles of a grid, read by openslide-python; each worker opens the slide."""

    def __init__(self, path: Path, grid: Any) -> None:
        self._path = str(path)
        self._grid = grid
        self._slide: Any = None

    def __len__(self) -> int:
        return len(self._grid)

    def __getitem__(self, i: int) -> np.ndarray:
        import openslide

        if self._slide is None:
            self._slide = openslide.OpenSlide(self._path)
        grid = self._grid
        side = round(grid.tile_size0 / self._slide.level_downsamples[grid.level])
        corner = tuple(int(value) for value in grid.coords[i])
        region = self._slide.read_region(corner, grid.level, (side, side)).convert("RGB")
        return np.array(region.resize((grid.tile_px, grid.tile_px)))


def loaded_batches(path: Path, grid: Any) -> Iterator[np.ndarray]:
    """Yield batches of tiles as torch's DataLoader reads them."""
    from torch.utils.data import DataLoader

    tiles: Any = OpenSlideTiles(path, grid)
    for batch in DataLoader(tiles, batch_size=BATCH, num_workers=os.cpu_count() or 1):
        yield batch.numpy()


def measure_loader(path: Path, encoder: str, precision: str) -> Measured:
    """Encode the tiles by a DataLoader over OpenSlide."""
    grid = tiles_of(path)
    watch = Stopwatch(create(encoder, precision))
    started, cpu = time.perf_counter(), cpu_seconds()
    np.concatenate([watch.encode(batch) for batch in loaded_batches(path, grid)])
    return Measured(len(grid), time.perf_counter() - started, cpu_seconds() - cpu, watch.seconds)


def measure_score(path: Path) -> Measured:
    """Classify the slide by the product."""
    import torch

    from benchmarks.aggregators import create_abmil_pair
    from napari_mil.inference.card import ClassifierCard
    from napari_mil.inference.classifier import Classifier
    from napari_mil.inference.facts import AggregatorRef, EncoderRef
    from napari_mil.inference.loaded_encoders import loaded_encoder
    from napari_mil.inference.pipeline import classify
    from napari_mil.settings import Settings

    grid = tiles_of(path)
    # As in a window: the encoder stays loaded from the run before.
    encoder = loaded_encoder(LEARNED, torch.device("cpu"), Settings().encoder_threads)
    encoder.encode(np.zeros((8, TILE_PX, TILE_PX, 3), np.uint8))
    torch.manual_seed(0)
    aggregator, _ = create_abmil_pair(encoder.dim)
    card = ClassifierCard(
        name="benchmark",
        title="Untrained",
        classes=("a", "b"),
        link="sigmoid",
        encoder=EncoderRef(LEARNED, encoder.fingerprint),
        in_dim=encoder.dim,
        tile_px=TILE_PX,
        mpp=MPP,
        mpp_assumed=False,
        overlap=0.0,
        aggregator=AggregatorRef("gated-abmil", {"hidden": None}),
        temperature=1.0,
        threshold=0.5,
        licence="BSD-3-Clause",
        intended_use="Benchmark.",
    )
    dim = encoder.dim
    classifier = Classifier(card, aggregator.eval(), torch.zeros(dim), torch.ones(dim))
    started, cpu = time.perf_counter(), cpu_seconds()
    found = classify(
        path, classifier, device="cpu", grid=grid, mask=None, settings=Settings(cache_gb=0)
    )
    seconds = time.perf_counter() - started
    return Measured(len(grid), seconds, cpu_seconds() - cpu, 0.0, float(found.logits[0]))


def measure_reference(path: Path) -> Measured:
    """Score the slide by OpenSlide, the network in float32 and torchmil."""
    import torch

    from benchmarks.aggregators import create_abmil_pair
    from napari_mil.encoders.efficientnet_lite import TAPS, middle
    from napari_mil.networks.efficientnet_lite import (
        EfficientNetLite0Trunk,
        as_levels,
        released_weights,
    )

    grid = tiles_of(path)
    torch.set_num_threads(os.cpu_count() or 1)

    @torch.inference_mode()
    def encode(network: Any, batch: np.ndarray) -> torch.Tensor:
        maps = network(as_levels(torch.from_numpy(batch)))
        return torch.cat([part.mean((2, 3)) for m in maps for part in (m, middle(m))], 1)

    def load() -> Any:
        trunk = EfficientNetLite0Trunk(TAPS).eval()
        released = released_weights()
        trunk.load_state_dict({name: released[name] for name in trunk.state_dict()})
        return trunk

    dim = encode(load(), np.zeros((8, TILE_PX, TILE_PX, 3), np.uint8)).shape[1]
    torch.manual_seed(0)
    _, model = create_abmil_pair(dim)
    model.eval()
    network = load()
    started, cpu = time.perf_counter(), cpu_seconds()
    features = torch.cat([encode(network, batch) for batch in loaded_batches(path, grid)])
    with torch.inference_mode():
        logit = model(features[None])
    seconds = time.perf_counter() - started
    return Measured(len(grid), seconds, cpu_seconds() - cpu, 0.0, float(logit))


KINDS = {
    "read": measure_reading,
    "ours": measure_ours,
    "loader": measure_loader,
    "score": measure_score,
    "reference": measure_reference,
}
"""Measurements by name."""


if __name__ == "__main__":
    main()
