"""Small cohorts with a planted signal."""

import numpy as np
import pytest
import torch
from PIL import Image

from napari_mil.events import CancellationToken, ignore
from napari_mil.settings import Settings
from napari_mil.training.cohorts.scanning import scan_annotated_folder
from napari_mil.training.config import make_config
from napari_mil.training.evaluation.folds import Split
from napari_mil.training.fitting import Fitting
from napari_mil.training.network import build, make_plan
from napari_mil.training.store import BagStore
from tests.conftest import write_pyramid
from tests.training.sample_cohorts import write_annotated_slides

CPU = torch.device("cpu")
DIM = 8


@pytest.fixture(autouse=True)
def _as_in_a_run():
    """Compute with one thread and deterministic kernels.

    Two threads of torch on a busy machine wait a hundred times longer than they work.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)
    torch.set_num_threads(before)


def planted(random, label, classes, dim=DIM, signal=3.0, sizes=(5, 30)):
    """Return a bag with a planted signal.

    A third of the instances is shifted along the axis of the class; none in the first of two.
    """
    bag = random.normal(0, 1, (int(random.integers(*sizes)), dim)).astype(np.float32)
    for k in (label,) if np.isscalar(label) else label:
        if k or classes > 2 or not np.isscalar(label):
            bag[: len(bag) // 3 + 1, k] += signal
    return bag * 20 + 100  # far from standardised


@pytest.fixture
def settings(tmp_path):
    return Settings(
        user_folder=tmp_path / "user", cache_folder=tmp_path / "cache", encoder_threads=1
    )


@pytest.fixture
def feature_folder(tmp_path):
    """Return a function that writes root/<class>/*.npy."""

    def write(n=12, classes=("benign", "malignant"), name="cohort", seed=0, **options):
        root = tmp_path / name
        random = np.random.default_rng(seed)
        for k, label in enumerate(classes):
            (root / label).mkdir(parents=True)
            for i in range(n):
                np.save(
                    root / label / f"{label}_{i:02d}.npy",
                    planted(random, k, len(classes), **options),
                )
        return root

    return write


@pytest.fixture
def multi_label_folder(tmp_path):
    root = tmp_path / "multi"
    random = np.random.default_rng(1)
    root.mkdir()
    lines = ["slide,label"]
    for i in range(30):
        labels = [k for k in range(3) if random.random() < 0.4]
        np.save(root / f"bag{i:02d}.npy", planted(random, tuple(labels), 3, signal=4.0))
        lines.append(f"bag{i:02d},{';'.join('xyz'[k] for k in labels)}")
    (root / "labels.csv").write_text("\n".join(lines))
    return root


@pytest.fixture
def cohort(feature_folder):
    return scan_annotated_folder(feature_folder())


@pytest.fixture(scope="session")
def quick():
    """Return a configuration that learns the planted signal in a moment."""

    def make(**fields):
        return make_config(
            **{
                "recipe": "published",
                "epochs": 4,
                "learning_rate": 5e-3,
                "aggregator_options": {"hidden": 16},
                "device": "cpu",
                "threads": 1,
                **fields,
            }
        )

    return make


@pytest.fixture
def slides(tmp_path):
    """Six slides; the left half of two is annotated, under another name."""
    return write_annotated_slides(tmp_path / "slides", per_class=3, n_annotated=2)


@pytest.fixture
def slide_cohort(tmp_path, slide):
    """Regions of a real slide, two classes by where they lie."""
    for k in range(8):
        folder = tmp_path / "slides" / ("left", "right")[k % 2]
        folder.mkdir(parents=True, exist_ok=True)
        pixels = slide.read_region((400 + 700 * (k % 2), 300 + 260 * (k // 2)), 0, (256, 256))
        write_pyramid(folder / f"region{k}.tiff", pixels, mpp=None)
    return scan_annotated_folder(tmp_path / "slides")


@pytest.fixture
def image_folder(tmp_path):
    random = np.random.default_rng(0)
    for label, level in (("dim", 60), ("bright", 200)):
        for b in range(4):
            folder = tmp_path / "cells" / label / f"bag{b}"
            folder.mkdir(parents=True)
            for i in range(3):
                Image.fromarray(
                    (random.integers(0, 40, (30, 34, 3)) + level).astype(np.uint8)
                ).save(folder / f"{i}.png")
    return tmp_path / "cells"


@pytest.fixture
def image_cohort(tmp_path):
    """Bags of small pictures; in one class some hold bright squares."""
    random = np.random.default_rng(0)
    for label in ("dark", "bright"):
        for b in range(8):
            folder = tmp_path / "images" / label / f"bag{b}"
            folder.mkdir(parents=True)
            for i in range(int(random.integers(2, 5))):
                side = int(random.integers(30, 40))
                pixels = random.integers(0, 90, (side, side + 4, 3))
                if label == "bright" and i < 2:
                    pixels[5:20, 5:20] = 250
                Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{i}.png")
    return scan_annotated_folder(tmp_path / "images")


@pytest.fixture
def noise_cohort(feature_folder):
    return scan_annotated_folder(feature_folder(n=20, signal=0.0, name="noise"))


@pytest.fixture
def fit(settings):
    """Return a function that sets up a fitting of a cohort."""

    def make(cohort, config, split=None, store=None):
        config = config.with_recipe()
        store = store or BagStore(cohort, config, settings, ignore, CancellationToken(), None)
        torch.manual_seed(config.seed)
        plan = make_plan(config, store, None, ignore)
        n = len(store)
        split = split or Split(tuple(k for k in range(n) if k % 4), tuple(range(0, n, 4)))
        return Fitting(build(config, plan, store, None, ignore), store, split, config, CPU)

    return make
