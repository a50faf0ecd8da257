"""Small slides and folders of images to adapt an encoder to."""

import numpy as np
import pytest
from PIL import Image

from napari_mil.training.pretraining.config import make_pretraining_config
from napari_mil.training.pretraining.sources import find_sources
from napari_mil.training.pretraining.splitting import Lattice
from tests.conftest import write_pyramid


@pytest.fixture
def region_folder(tmp_path, slide):
    """Regions of a real slide in two classes, each as a slide of its own."""
    for k in range(8):
        folder = tmp_path / "cohort" / ("left", "right")[k % 2]
        folder.mkdir(parents=True, exist_ok=True)
        place = (400 + 700 * (k % 2), 300 + 260 * (k // 2))
        write_pyramid(folder / f"region{k}.tiff", slide.read_region(place, 0, (256, 192)))
    return tmp_path / "cohort"


@pytest.fixture
def regions(region_folder):
    return find_sources([region_folder])


@pytest.fixture
def image_bag(tmp_path):
    """Folder of six small images."""
    folder = tmp_path / "images"
    folder.mkdir()
    random = np.random.default_rng(0)
    for k in range(6):
        pixels = random.integers(0, 256, (96, 128, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{k}.png")
    return folder


@pytest.fixture
def small():
    """Return a configuration of few small tiles."""

    def make(**fields):
        return make_pretraining_config(
            **{
                "tiles": 40,
                "tile_px": 32,
                "mask": "none",
                "epochs": 3,
                "batch": 16,
                "device": "cpu",
                "threads": 1,
                **fields,
            }
        )

    return make


@pytest.fixture
def lattice():
    """Return a function that makes the lattice of a bag."""

    def make(bag=0, rows=4, columns=6, images=1):
        cells = np.concatenate([np.argwhere(np.ones((rows, columns)))] * images)
        return Lattice(bag, np.repeat(np.arange(images), rows * columns), cells)

    return make
