"""Bags whose positive instances are known, drawn from data beside the repository.

And how a method is trained on one draw of them.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from napari_mil.encoders import create_encoder
from napari_mil.events import CancellationToken, ignore
from napari_mil.settings import Settings
from napari_mil.training.bundle import calibrate
from napari_mil.training.cohorts.scanning import scan_annotated_folder
from napari_mil.training.config import TrainingConfig
from napari_mil.training.evaluation.metrics import accuracy, auc
from napari_mil.training.evaluation.splits import split_of
from napari_mil.training.fitting import Fitting
from napari_mil.training.network import make_plan
from napari_mil.training.relevance import relevance
from napari_mil.training.stages import Course
from napari_mil.training.store import BagStore

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
"""Labelled data beside the repository."""
TILE_PX = 64
"""Side of the square around a nucleus, px."""
MNIST_MEAN_SIZE = 10
MNIST_DIGIT = 9
CLASSES = ("negative", "positive")


@dataclass(frozen=True)
class Draw:
    """Bags of one draw, with the instances that make a bag positive where they are known."""

    bags: tuple[np.ndarray, ...]
    """float32 (N, D), or uint8 (N, H, W, 3) of images."""
    labels: np.ndarray
    """0 or 1, (B,)."""
    tests: np.ndarray
    """Whether each bag is held out, bool (B,)."""
    witnesses: tuple[np.ndarray, ...] = ()
    """0 or 1 of each instance, (N,) each; empty where they are unknown."""

    def write(self, folder: Path) -> None:
        """Write the bags and the table of their labels and splits."""
        rows = ["slide,label,split"]
        for b, bag in enumerate(self.bags):
            split = "test" if self.tests[b] else "train"
            name = _write_bag(folder, f"bag{b:04d}", bag)
            rows.append(f"{name},{CLASSES[self.labels[b]]},{split}")
        (folder / "labels.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")


@dataclass(frozen=True)
class Outcome:
    """How one way of training did on the held-out bags of one draw."""

    auc: float
    accuracy: float
    """At the threshold that the run chose."""
    instance_auc: float
    """Of the overlay within positive bags; NaN where instances or overlay are unknown."""
    epochs: int
    """Epochs that were trained, over all stages."""


def fit_draw(draw: Draw, config: TrainingConfig, folder: Path) -> Outcome:
    """Train as the command line does, on the training bags of a draw.

    Parameters
    ----------
    draw
        The bags.
    config
        How to train; open fields come from the recipe.
    folder
        Where the bags are written unless they are there.
    """
    if not (folder / "labels.csv").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        draw.write(folder)
    settings = Settings(cache_folder=folder / "cache")
    cohort = scan_annotated_folder(folder)
    filled = config.with_recipe()
    store = BagStore(cohort, filled, settings, ignore, CancellationToken(), None)
    split = split_of(store.cohort, filled)
    torch.manual_seed(filled.seed)
    plan = make_plan(filled, store, None, ignore)
    fitting = Course(store, split, filled, plan, None, torch.device("cpu")).fit(CancellationToken())
    fitting.use_best()
    return _outcome(draw, fitting, filled)


def _outcome(draw: Draw, fitting: Fitting, config: TrainingConfig) -> Outcome:
    order = [int(bag.path.stem.removeprefix("bag")) for bag in fitting.store.cohort.bags]
    tests = fitting.split.test
    targets = fitting.store.cohort.targets[list(tests)]
    logits = fitting.logits(tests)[:, 0]
    chosen = calibrate(config, fitting)
    cut = np.log(chosen["threshold"] / (1 - chosen["threshold"])) * chosen["temperature"]
    return Outcome(
        auc(targets, logits),
        accuracy(targets, logits - cut),
        _instance_auc(draw, fitting, [(b, order[b]) for b in tests]),
        len(fitting.history),
    )


@torch.no_grad()
def _instance_auc(draw: Draw, fitting: Fitting, tests: Iterable[tuple[int, int]]) -> float:
    """Return the AUC of the overlay within positive held-out bags, averaged over them."""
    areas = []
    for b, drawn in tests:
        if not draw.witnesses or not draw.labels[drawn]:
            continue
        values, _ = relevance(fitting.network.eval()(fitting.bag(b)))
        if len(values):
            areas.append(auc(draw.witnesses[drawn], values))
    return float(np.nanmean(areas)) if areas else float("nan")


def _write_bag(folder: Path, name: str, bag: np.ndarray) -> str:
    if bag.ndim == 2:
        np.save(folder / f"{name}.npy", bag)
        return f"{name}.npy"
    (folder / name).mkdir(exist_ok=True)
    for i, image in enumerate(bag):
        Image.fromarray(image).save(folder / name / f"{i:03d}.png")
    return name


@dataclass(frozen=True)
class Nuclei:
    """Embedded nuclei of the colon images."""

    features: np.ndarray
    """float32 (n, D)."""
    is_epithelial: np.ndarray
    """bool (n,)."""
    images: np.ndarray
    """Number of the image of each, (n,)."""


def embed_nuclei(cache: Path) -> Nuclei:
    """Embed the square around every nucleus by the default encoder; kept in a file."""
    if not cache.is_file():
        rows = list(csv.DictReader((DATA / "colon" / "nuclei.csv").open()))
        tiles = np.stack(list(_cut_nuclei(rows)))
        features = create_encoder("efficientnet-lite0", device="cpu").encode(tiles)
        cache.parent.mkdir(parents=True, exist_ok=True)
        np.savez(
            cache,
            features=features,
            is_epithelial=np.array([row["class"] == "epithelial" for row in rows]),
            images=np.array([int(row["image"].removeprefix("img")) for row in rows]),
        )
    with np.load(cache) as stored:
        return Nuclei(stored["features"], stored["is_epithelial"], stored["images"])


def _cut_nuclei(rows: Iterable[dict[str, str]]) -> Iterable[np.ndarray]:
    """Yield the square around each nucleus, mirrored at the border of its image."""
    half = TILE_PX // 2
    name = ""
    for row in rows:
        if row["image"] != name:
            name = row["image"]
            picture = np.asarray(Image.open(DATA / "colon" / f"{name}.jpg").convert("RGB"))
            padded = np.pad(picture, ((half, half), (half, half), (0, 0)), mode="reflect")
        # Coordinates are 1-based, with fractions.
        x, y = (int(np.clip(round(float(row[axis]) - 1), 0, 499)) for axis in "xy")
        yield padded[y : y + TILE_PX, x : x + TILE_PX]


def draw_nuclei(
    nuclei: Nuclei, seed: int, size: int, witnesses: tuple[int, int], bags: tuple[int, int]
) -> Draw:
    """Draw bags of nuclei, positive ones with epithelial nuclei among others.

    Half of the images give the training bags, the others those that are held out.

    Parameters
    ----------
    nuclei
        Embedded nuclei.
    seed
        Seed of the draw.
    size
        Instances of a bag.
    witnesses
        Fewest and most epithelial nuclei of a positive bag.
    bags
        Number of training bags and of held-out bags, half of each positive.
    """
    random = np.random.default_rng((seed, size))
    images = random.permutation(np.unique(nuclei.images))
    half = len(images) // 2
    drawn: list[tuple[np.ndarray, int, np.ndarray, bool]] = []
    for test, part, n in ((False, images[:half], bags[0]), (True, images[half:], bags[1])):
        inside = np.isin(nuclei.images, part)
        epithelial = np.flatnonzero(inside & nuclei.is_epithelial)
        others = np.flatnonzero(inside & ~nuclei.is_epithelial)
        for b in range(n):
            k = int(random.integers(witnesses[0], witnesses[1] + 1)) if b % 2 else 0
            chosen = np.concatenate(
                [
                    random.choice(epithelial, k, replace=False),
                    random.choice(others, size - k, replace=False),
                ]
            )
            order = random.permutation(size)
            drawn.append((nuclei.features[chosen[order]], b % 2, (order < k).astype(int), test))
    features, labels, instances, tests = zip(*drawn, strict=True)
    return Draw(features, np.array(labels), np.array(tests), instances)


def draw_digits(seed: int, bags: tuple[int, int]) -> Draw:
    """Draw bags of MNIST digits; a bag with a 9 is positive, half of the bags are.

    Held-out bags are drawn from the test digits. Sizes are normal, 10 ± 2.
    """
    random = np.random.default_rng((seed, MNIST_DIGIT))
    stored = np.load(DATA / "mnist" / "mnist_subset.npz")
    drawn: list[tuple[np.ndarray, int, np.ndarray, bool]] = []
    for test, part, n in ((False, "train", bags[0]), (True, "test", bags[1])):
        images, digits = stored[f"x_{part}"], stored[f"y_{part}"]
        nines = np.flatnonzero(digits == MNIST_DIGIT)
        others = np.flatnonzero(digits != MNIST_DIGIT)
        for b in range(n):
            size = max(1, int(random.normal(MNIST_MEAN_SIZE, 2)))
            pool = others
            chosen = random.choice(pool, size)
            if b % 2:
                # A bag of random digits that holds a 9.
                k = 0
                while not k:
                    k = int(random.binomial(size, len(nines) / len(digits)))
                chosen[:k] = random.choice(nines, k)
            chosen = random.permutation(chosen)
            grey = np.repeat(images[chosen][..., None], 3, axis=3)
            drawn.append((grey, b % 2, (digits[chosen] == MNIST_DIGIT).astype(int), test))
    pictures, labels, instances, tests = zip(*drawn, strict=True)
    return Draw(pictures, np.array(labels), np.array(tests), instances)


def draw_classical(name: str, seed: int) -> Draw:
    """Draw a third of the bags of a classical set to be held out, evenly over the classes."""
    stored = np.load(DATA / "mil" / f"{name}.npz")
    labels = stored["y"].astype(int)
    bags = tuple(stored["X"][stored["bag_id"] == b].astype(np.float32) for b in range(len(labels)))
    random = np.random.default_rng((seed, 7))
    tests = np.zeros(len(labels), bool)
    for c in (0, 1):
        members = random.permutation(np.flatnonzero(labels == c))
        tests[members[round(len(members) * 2 / 3) :]] = True
    return Draw(bags, labels, tests)


def draws(cache: Path) -> dict[str, Callable[[int], Draw]]:
    """Return the function that draws each set, by name.

    Parameters
    ----------
    cache
        Folder for what is embedded.
    """

    def nuclei() -> Nuclei:
        return embed_nuclei(cache / "nuclei.npz")

    return {
        "nuclei, 2-6 of 50": lambda seed: draw_nuclei(nuclei(), seed, 50, (2, 6), (120, 200)),
        "nuclei, 5 of 500": lambda seed: draw_nuclei(nuclei(), seed, 500, (5, 5), (120, 100)),
        "MUSK1": lambda seed: draw_classical("musk1", seed),
        "ELEPHANT": lambda seed: draw_classical("elephant", seed),
        "MNIST bags": lambda seed: draw_digits(seed, (100, 200)),
    }
