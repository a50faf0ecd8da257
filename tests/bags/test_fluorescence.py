import numpy as np
import pytest

from napari_mil.bags.fluorescence import has_dark_ground, signal
from tests.bags.tissue.pictures import dimmed, fluorescent, sample


def nuclei(ground=6, height=90, noise=2.0):
    row, column = np.mgrid[:300, :400]
    inside = ((row % 75 - 37) ** 2 + (column % 80 - 40) ** 2) < 20**2
    light = ground + height * inside + np.random.default_rng(6).normal(0, noise, inside.shape)
    return np.clip(np.repeat(light[..., None], 3, 2), 0, 255).astype(np.uint8), inside


@pytest.mark.parametrize("ground", [0, 6, 30])
@pytest.mark.parametrize("noise", [0.0, 2.0, 5.0])
def test_the_signal_is_what_is_brighter_than_the_ground(ground, noise):
    picture, inside = nuclei(ground, noise=noise)
    found = signal(picture)
    assert (found & inside).sum() / (found | inside).sum() > 0.95
    assert has_dark_ground(picture, None)


def test_dim_signal_is_found_and_a_label_mask_is_none():
    dim, inside = nuclei(2, height=14, noise=0.5)
    assert signal(dim)[inside].mean() > 0.95
    labels, _inside = nuclei(0, height=2, noise=0)
    assert not signal(labels).any()


def test_noise_alone_is_no_signal():
    noise = np.random.default_rng(8).normal(20, 3, (300, 400, 1))
    picture = np.repeat(np.clip(noise, 0, 255).astype(np.uint8), 3, 2)
    assert signal(picture).mean() < 0.001


@pytest.mark.parametrize("light", [1.0, 0.2])
def test_stained_tissue_has_no_dark_ground(light):
    tissue = dimmed(np.ascontiguousarray(sample()[560:740, 215:400]), light)
    assert not has_dark_ground(tissue, None)


def test_stain_turned_to_light_has_a_dark_ground():
    assert has_dark_ground(fluorescent(sample()), None)
