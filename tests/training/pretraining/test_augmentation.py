from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_mil.training.pretraining.augmentation import Augmentation

STILL = Augmentation(
    view_px=32,
    resampled=0,
    stain_factor=0,
    stain_offset=0,
    brightness=0,
    contrast=0,
    blurred=0,
)


@pytest.fixture
def tiles(slide):
    corners = [(300, 300), (900, 900), (1200, 2000), (700, 1500)]
    return torch.tensor(np.stack([slide.read_region(xy, 0, (48, 48)) for xy in corners]))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_equal_seeds_give_equal_views(tiles):
    views = [Augmentation(32).views(tiles, generator(seed)) for seed in (1, 1, 2)]
    assert torch.equal(views[0], views[1])
    assert not torch.equal(views[0], views[2])
    assert views[0].shape == (4, 32, 32, 3)
    assert views[0].min() >= 0
    assert views[0].max() <= 255


def test_a_view_that_is_not_resampled_is_a_part_of_its_tile_turned_or_mirrored(tiles):
    views = STILL.views(tiles, generator()).numpy()
    for tile, view in zip(tiles.numpy(), views, strict=True):
        turned = [np.rot90(side, k) for side in (tile, tile[:, ::-1]) for k in range(4)]
        parts = [
            each[top : top + 32, left : left + 32]
            for each in turned
            for top in range(17)
            for left in range(17)
        ]
        assert min(np.abs(part - view).max() for part in parts) < 0.1


def test_views_cover_all_turns(tiles):
    whole = replace(STILL, view_px=48)
    random = generator()
    seen = set()
    for _ in range(60):
        view = whole.views(tiles[:1], random)[0].round().byte().numpy()
        seen.add(view.tobytes())
    assert len(seen) == 8


@pytest.mark.parametrize(
    "change",
    [
        {"resampled": 1.0},
        {"stain_factor": 0.2},
        {"stain_offset": 0.1},
        {"brightness": 0.1},
        {"contrast": 0.2},
        {"blurred": 1.0},
    ],
)
def test_every_kind_of_change_changes_a_view(tiles, change):
    changed = replace(STILL, **change)
    plain = STILL.views(tiles, generator())
    assert not torch.allclose(changed.views(tiles, generator()), plain, atol=1)


def test_glass_is_not_stained():
    glass = torch.full((8, 32, 32, 3), 254, dtype=torch.uint8)
    views = replace(STILL, stain_factor=0.2, stain_offset=0.1).views(glass, generator())
    assert (views - 254).abs().max() < 1


def test_blur_keeps_the_mean_and_smooths(tiles):
    plain = STILL.views(tiles, generator())
    blurred = replace(STILL, blurred=1.0, blur=(1.0, 1.5)).views(tiles, generator())
    assert torch.allclose(blurred.mean((1, 2)), plain.mean((1, 2)), atol=2)
    assert (blurred.var((1, 2)) < plain.var((1, 2))).all()
