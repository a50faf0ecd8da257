"""Small cohorts with a planted signal."""

import numpy as np
import pytest
import torch

from napari_mil.settings import Settings
from napari_mil.training.config import make_config
from napari_mil.training.scanning import scan_annotated_folder

DIM = 8


@pytest.fixture(autouse=True)
def _as_in_a_run():
    """Two threads of torch on a busy machine wait for each other a hundred times longer than they work."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)  # as every run computes
    yield
    torch.use_deterministic_algorithms(False)
    torch.set_num_threads(before)


def planted(random, label, classes, dim=DIM, signal=3.0, sizes=(5, 30)):
    """A bag in which a third of the instances is shifted along the axis of its class; the first class has none."""
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
        root, random = tmp_path / name, np.random.default_rng(seed)
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
    root, random = tmp_path / "multi", np.random.default_rng(1)
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
                "epochs": 4,
                "learning_rate": 5e-3,
                "aggregator_options": {"hidden": 16},
                "device": "cpu",
                "threads": 1,
                **fields,
            }
        )

    return make
