"""Features of labelled pictures for probes of encoders, kept in a file.

Every statistic that the encoder `efficientnet-lite0` could be made of is computed once; probes
choose among its columns.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from napari_mil.bags import tile_grid
from napari_mil.encoders import create_encoder
from napari_mil.encoders.efficientnet_lite import middle
from napari_mil.networks.efficientnet_lite import (
    EfficientNetLite0Trunk,
    as_levels,
    block_channels,
    released_weights,
)
from napari_mil.networks.folding import FoldedTrunk
from napari_mil.slides import open_slide
from scripts.shipped_classifiers import BASELINES, Tiling, are_coloured, colour_statistics

TAPS = (2, 4, 7, 10)
"""Blocks of which statistics are computed."""
STATISTICS = ("means", "sds", "centre means")
"""Statistics of a map: over all positions, and the mean of its middle half in each direction."""
ENCODER = "efficientnet-lite0"
SHUFFLED = "its shuffled copy"
TEXTURE = "texture"
COLOUR = "colour statistics"
SHUFFLES = 1
"""Shuffled copies, each with another permutation."""
BREAST_MPP = 0.25
"""Assumed µm per pixel of the breast images; they store none."""
BREAST_TILINGS = tuple(
    Tiling(px, mpp) for px, mpp in ((224, 0.5), (128, 0.5), (64, 0.5), (224, 0.25))
)
COLON_MPP = 0.55
CROPS = (32, 64, 96)
"""Sides of the squares around colon nuclei, px."""
NUCLEI = 4000
"""Nuclei that are drawn at random."""
AT_ONCE = 8
"""Tiles that pass through the network together."""
CARCINOMA = {
    "adenocarcinoma": 1,
    "high_grade_in": 1,
    "normal": 0,
    "polyp": 0,
    "serrated_adenoma": 0,
}
"""Label of the classes of colorectal biopsies; low grade is left out."""
Encode = Callable[[np.ndarray], np.ndarray]
"""Turns uint8 (B, H, W, 3) into float32 (B, D)."""


@dataclass(frozen=True)
class ProbeSet:
    """Labelled pictures as vectors, for every encoder and way to cut them.

    Pictures are averages over their tiles.
    """

    labels: np.ndarray
    """0 or 1, int (B,)."""
    groups: np.ndarray
    """What must stay on one side of a fold, (B,) texts."""
    features: Mapping[str, np.ndarray]
    """float32 (B, D) by ``encoder | way to cut``."""
    split: np.ndarray | None = None
    """Published split of each picture, (B,) texts; None where folds are drawn."""

    def of(self, encoder: str) -> dict[str, np.ndarray]:
        """Return the features of an encoder by the way to cut."""
        prefix = f"{encoder} | "
        return {
            key.removeprefix(prefix): matrix
            for key, matrix in self.features.items()
            if key.startswith(prefix)
        }


def column_names() -> list[tuple[int, str]]:
    """Return block and statistic of every column of the network's features."""
    channels = block_channels()
    return [(tap, kind) for tap in TAPS for kind in STATISTICS for _ in range(channels[tap])]


def columns(taps: Sequence[int], statistics: Sequence[str]) -> np.ndarray:
    """Return the columns of some statistics of some blocks."""
    return np.array(
        [k for k, (tap, kind) in enumerate(column_names()) if tap in taps and kind in statistics]
    )


def network_statistics(weights: Mapping[str, Tensor]) -> Encode:
    """Return a function that computes all statistics of the network's maps, in float32."""
    trunk = EfficientNetLite0Trunk(TAPS).eval()
    trunk.load_state_dict({name: weights[name] for name in trunk.state_dict()})
    network = FoldedTrunk(trunk)

    @torch.inference_mode()
    def encode(tiles: np.ndarray) -> np.ndarray:
        parts = []
        for start in range(0, len(tiles), AT_ONCE):
            maps = network(as_levels(torch.tensor(tiles[start : start + AT_ONCE])))
            parts.append(torch.cat([part for each in maps for part in _statistics(each)], 1))
        return torch.cat(parts).numpy()

    return encode


def _statistics(maps: Tensor) -> list[Tensor]:
    """Return the statistics (B, C) of maps (B, C, h, w), in the order of `STATISTICS`."""
    return [
        maps.mean((2, 3)),
        maps.flatten(2).std(2, correction=0),
        middle(maps).mean((2, 3)),
    ]


def shuffled(weights: Mapping[str, Tensor], seed: int) -> dict[str, Tensor]:
    """Permute the values of every kernel, each output channel's by itself.

    Batch norms stay as they are.
    """
    random = np.random.default_rng(seed)
    return {
        name: torch.from_numpy(random.permuted(tensor.flatten(1).numpy(), axis=1)).view_as(tensor)
        if tensor.ndim == 4
        else tensor
        for name, tensor in weights.items()
    }


def encoders() -> dict[str, Encode]:
    """Return every encoder that is compared."""
    weights = released_weights()
    return {
        ENCODER: network_statistics(weights),
        **{
            f"{SHUFFLED} {seed}": network_statistics(shuffled(weights, seed))
            for seed in range(SHUFFLES)
        },
        TEXTURE: create_encoder(TEXTURE, device="cpu", threads=1).encode,
        COLOUR: colour_statistics,
    }


def summary(encoder: str, features: np.ndarray) -> np.ndarray:
    """Summarise the tiles of a picture: their average, of colours also the extremes."""
    if encoder == COLOUR and len(features) > 1:
        return np.asarray(BASELINES["colour statistics, mean and extremes"](features))
    return np.asarray(features.mean(0))


def breast(folder: Path, compared: Mapping[str, Encode] | None = None) -> ProbeSet:
    """Encode the breast images, in every tiling, as the product cuts them.

    By default by all encoders that are compared; so do the other sets.
    """
    with (folder / "images.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    features: dict[str, list[np.ndarray]] = defaultdict(list)
    compared = compared or encoders()
    for row in rows:
        with open_slide(folder / row["file"], mpp=BREAST_MPP) as slide:
            for tiling in BREAST_TILINGS:
                grid = tile_grid(slide, tiling.tile_px, tiling.mpp)
                tiles = np.stack([grid.read(slide, i) for i in range(len(grid))])
                tiles = tiles[are_coloured(tiles)]
                for name, encode in compared.items():
                    features[f"{name} | {tiling}"].append(summary(name, encode(tiles)))
    return ProbeSet(
        np.array([int(row["label"] == "malignant") for row in rows]),
        np.array([row["acquisition"] for row in rows]),
        {key: np.stack(vectors) for key, vectors in features.items()},
    )


def colon(folder: Path, compared: Mapping[str, Encode] | None = None) -> ProbeSet:
    """Encode squares around random colon nuclei; epithelial ones are positive."""
    with (folder / "nuclei.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    drawn = np.sort(np.random.default_rng(0).choice(len(rows), NUCLEI, replace=False))
    rows = [rows[k] for k in drawn]
    images = {
        name: np.asarray(Image.open(folder / f"{name}.jpg").convert("RGB"))
        for name in {row["image"] for row in rows}
    }
    compared = compared or encoders()
    features = {}
    for side in CROPS:
        # The file counts pixels from 1.
        tiles = np.stack(
            [
                crop(images[row["image"]], float(row["x"]) - 1, float(row["y"]) - 1, side)
                for row in rows
            ]
        )
        for name, encode in compared.items():
            features[f"{name} | {side} px at {COLON_MPP} µm/px"] = encode(tiles)
    if COLOUR in compared:
        both = [features[f"{COLOUR} | {side} px at {COLON_MPP} µm/px"] for side in (32, 64)]
        features[f"{COLOUR} | 32 and 64 px"] = np.concatenate(both, 1)
    return ProbeSet(
        np.array([int(row["class"] == "epithelial") for row in rows]),
        np.array([row["image"] for row in rows]),
        features,
    )


def crop(image: np.ndarray, x: float, y: float, side: int) -> np.ndarray:
    """Cut a square around a point, continued by reflection at the border."""
    margin = side
    padded = np.pad(image, ((margin, margin), (margin, margin), (0, 0)), mode="symmetric")
    top = int(np.clip(round(y), 0, image.shape[0] - 1)) + margin - side // 2
    left = int(np.clip(round(x), 0, image.shape[1] - 1)) + margin - side // 2
    return padded[top : top + side, left : left + side]


def biopsies(folder: Path, compared: Mapping[str, Encode] | None = None) -> ProbeSet:
    """Encode images of colorectal biopsies, whole, as they are and halved."""
    rows = [row for row in biopsy_rows(folder) if _label_of(row["file"]) is not None]
    images = [Image.open(folder / row["file"]).convert("RGB") for row in rows]
    features = {}
    for side in (224, 112):
        tiles = np.stack(
            [np.asarray(image.resize((side, side), Image.Resampling.BOX)) for image in images]
        )
        for name, encode in (compared or encoders()).items():
            features[f"{name} | {side} px"] = encode(tiles)
    return ProbeSet(
        np.array([_label_of(row["file"]) for row in rows]),
        np.array([row["case"] for row in rows]),
        features,
    )


def biopsy_rows(folder: Path) -> list[dict[str, str]]:
    """Return the table of the biopsies' images, without those of another stain."""
    with (folder / "labels.csv").open(newline="") as file:
        return [
            row for row in csv.DictReader(file) if row["looks_ihc"] in ("", "0", "False", "false")
        ]


def _label_of(file: str) -> int | None:
    return CARCINOMA.get(Path(file).parts[0])


def lymph_nodes(folder: Path, compared: Mapping[str, Encode] | None = None) -> ProbeSet:
    """Encode tiles of lymph nodes, with their published split."""
    rows, tiles = lymph_node_tiles(folder)
    return ProbeSet(
        np.array([is_tumour(row) for row in rows]),
        np.array([row["file"] for row in rows]),
        {f"{name} | 96 px": encode(tiles) for name, encode in (compared or encoders()).items()},
        np.array([row["split"] for row in rows]),
    )


def lymph_node_tiles(folder: Path) -> tuple[list[dict[str, str]], np.ndarray]:
    """Return the table of the lymph node tiles, and the tiles: uint8 (N, 96, 96, 3)."""
    with (folder / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    images = (Image.open(folder / row["file"]).convert("RGB") for row in rows)
    return rows, np.stack([np.asarray(image) for image in images])


def is_tumour(row: Mapping[str, str]) -> int:
    """Return 1 for a lymph node tile with tumour in its middle, else 0."""
    return int(row["label"] in ("1", "tumor"))


def kept(cache: Path, name: str, make: Callable[[], ProbeSet]) -> ProbeSet:
    """Return a set from the cache, made first where it is not there."""
    file = cache / f"{name}.npz"
    if not file.exists():
        made = make()
        cache.mkdir(parents=True, exist_ok=True)
        split = {} if made.split is None else {"split": made.split}
        np.savez(file, labels=made.labels, groups=made.groups, **split, **made.features)
    with np.load(file) as arrays:
        features = {key: arrays[key] for key in arrays.files if " | " in key}
        split = arrays["split"] if "split" in arrays.files else None
        return ProbeSet(arrays["labels"], arrays["groups"], features, split)
