"""Benchmark of encoders: tiles per CPU-second on one thread, in interleaved rounds."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping

import numpy as np
import torch

from napari_mil.bags import tile_grid
from napari_mil.encoders import create_encoder
from napari_mil.encoders.efficientnet_lite import has_bfloat16_units
from napari_mil.gui.samples import SLIDE, sample_path
from napari_mil.networks import ResNet18
from napari_mil.slides import open_slide

ROUNDS = 5
SIDES = (224, 96, 64)
"""Sides of tiles, px."""
TILES = 32
MANY_TILES = 1024
"""Tiles of the measurement of memory."""
WARM_TILES = 128
"""Tiles of its first call, after which the allocator has what it keeps."""
AT_ONCE = 8
"""Tiles that pass through ResNet-18 together."""
LITE = "`efficientnet-lite0`"
RESNET = "ResNet-18, channels last"
Encode = Callable[[np.ndarray], object]


def main() -> None:
    torch.set_num_threads(1)
    encoders = make_encoders()
    print("## Encoders\n")
    print(
        f"Tiles of the sample slide per CPU-second, one thread, medians of {ROUNDS} interleaved "
        "rounds; uint8 in, vectors out. ResNet-18 is the plain network with its batch norms, "
        f"{AT_ONCE} tiles at once, as a loop over a DataLoader runs it.\n"
    )
    print("| encoder | " + " | ".join(f"{side} px" for side in SIDES) + " |")
    print("| --- |" + " --- |" * len(SIDES))
    rates = {side: measure(encoders, tiles_of(side)) for side in SIDES}
    for name in encoders:
        print(f"| {name} | " + " | ".join(f"{rates[side][name]:.0f}" for side in SIDES) + " |")
    print()
    print(precision_note())
    print(memory_note())


def make_encoders() -> dict[str, Encode]:
    """Return every encoder that is measured."""
    made: dict[str, Encode] = {
        f"{LITE}, float32": create_encoder(
            "efficientnet-lite0", device="cpu", threads=1, precision="float32"
        ).encode
    }
    dtypes = [torch.float32]
    if has_bfloat16_units():
        dtypes.append(torch.bfloat16)
        made[f"{LITE}, bfloat16"] = create_encoder(
            "efficientnet-lite0", device="cpu", threads=1, precision="bfloat16"
        ).encode
    made["`texture`"] = create_encoder("texture", device="cpu", threads=1).encode
    for dtype in dtypes:
        name = str(dtype).removeprefix("torch.")
        made[f"{RESNET}, {name}"] = resnet(dtype)
    return made


def resnet(dtype: torch.dtype) -> Encode:
    """Return ResNet-18 with fresh weights: its speed does not depend on them."""
    network = ResNet18().eval().to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def encode(tiles: np.ndarray) -> list[torch.Tensor]:
        vectors = []
        with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
            for start in range(0, len(tiles), AT_ONCE):
                batch = torch.tensor(tiles[start : start + AT_ONCE]).permute(0, 3, 1, 2)
                vectors.append(network(batch.float() / 127.5 - 1).float())
        return vectors

    return encode


def tiles_of(side: int) -> np.ndarray:
    """Return tiles of the sample slide, uint8 (TILES, side, side, 3)."""
    with open_slide(sample_path(SLIDE)) as slide:
        grid = tile_grid(slide, side, 0.5)
        return np.stack([grid.read(slide, i) for i in range(TILES)])


def measure(encoders: Mapping[str, Encode], tiles: np.ndarray) -> dict[str, float]:
    """Return the median of tiles per CPU-second of every encoder."""
    rates: dict[str, list[float]] = {name: [] for name in encoders}
    for encode in encoders.values():
        encode(tiles)
    for _ in range(ROUNDS):
        for name, encode in encoders.items():
            started = time.process_time()
            encode(tiles)
            rates[name].append(len(tiles) / (time.process_time() - started))
    return {name: float(np.median(values)) for name, values in rates.items()}


def precision_note() -> str:
    """Return how far features in bfloat16 lie from those in float32."""
    tiles = tiles_of(224)
    exact, rounded = (
        create_encoder("efficientnet-lite0", device="cpu", threads=1, precision=precision).encode(
            tiles
        )
        for precision in ("float32", "bfloat16")
    )
    squares = (((rounded - exact) / exact.std(0)) ** 2).mean(0)
    return (
        f"bfloat16 deviates from float32 by {np.sqrt(squares.mean()):.3f} standard deviations of a "
        f"feature (root mean square over features), the worst feature by "
        f"{np.sqrt(squares.max()):.3f}."
    )


def memory_note() -> str:
    """Return what many tiles in one call add to the process's peak, in a process of its own."""
    code = "from benchmarks.encoders import added_mb; print(added_mb())"
    result = subprocess.run(
        [sys.executable, "-c", code], check=True, stdout=subprocess.PIPE, text=True
    )
    return (
        f"{MANY_TILES} tiles of 224 px in one call of {LITE} add {float(result.stdout):.0f} MB to "
        f"the peak of {WARM_TILES} tiles."
    )


def added_mb() -> float:
    """Measure what many tiles add to the peak of this process, after a first call."""
    encode = create_encoder(
        "efficientnet-lite0", device="cpu", threads=1, precision="float32"
    ).encode
    tiles = np.tile(tiles_of(224), (MANY_TILES // TILES, 1, 1, 1))
    encode(tiles[:WARM_TILES])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    encode(tiles)
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


if __name__ == "__main__":
    main()
