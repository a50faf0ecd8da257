import shutil

import numpy as np
import pytest

from napari_mil.errors import CancelledError, MissingMppError, OutputError, TrainingError
from napari_mil.events import CancellationToken, Fallback, ignore
from napari_mil.settings import Settings
from napari_mil.slides import open_slide
from napari_mil.training.pretraining import tiles as module
from napari_mil.training.pretraining.sources import find_sources
from napari_mil.training.pretraining.tiles import (
    LEARNED,
    TileDrawer,
    default_tile_px,
    read_tiles,
)
from napari_mil.training.work_folder import WorkFolder
from tests.conftest import write_pyramid


@pytest.fixture
def draw(tmp_path):
    """Return a function that draws the tiles of a cohort into a folder."""

    def run(cohort, config, name="run", on_event=ignore, cancel=None):
        (tmp_path / name).mkdir(exist_ok=True)
        config = config.model_copy(
            update={"mpp": config.mpp or 0.5, "tile_px": config.tile_px or 32}
        )
        token = cancel or CancellationToken()
        drawer = TileDrawer(cohort, config, Settings(reader_threads=2), on_event, token)
        return drawer.draw(WorkFolder(tmp_path / name))

    return run


def test_tiles_are_those_of_the_slides(regions, small, draw):
    tiles = draw(regions, small())
    assert len(tiles.learned) == 40
    for number in (*tiles.learned[:10], *tiles.probed[:4]):
        bag = regions.bags[tiles.bag[number]]
        row, column = tiles.cell[number]
        with open_slide(bag.path) as slide:
            expected = slide.read_region((32 * column, 32 * row), 0, (32, 32))
        assert np.array_equal(tiles.read(np.array([number]))[0], expected)


def test_no_slide_is_both_learned_from_and_held_out(regions, small, draw):
    tiles = draw(regions, small())
    assert not set(tiles.bag[tiles.learned]) & set(tiles.bag[tiles.probed])
    counts = np.bincount(tiles.bag[tiles.learned])
    assert counts[counts > 0].max() - counts[counts > 0].min() <= 1, "evenly from all slides"
    pairs = tiles.pair[tiles.probed].reshape(-1, 2)
    assert np.array_equal(pairs[:, 0], pairs[:, 1])
    assert (tiles.pair[tiles.learned] == LEARNED).all()


def test_equal_seeds_draw_equal_tiles(regions, small, draw):
    first, second, other = (
        draw(regions, small(seed=seed), name) for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert np.array_equal(first.pixels, second.pixels)
    assert not np.array_equal(first.pixels, other.pixels)


def test_tiles_that_were_drawn_are_found_without_their_slides(region_folder, small, draw):
    cohort = find_sources([region_folder])
    first = draw(cohort, small())
    shutil.rmtree(region_folder)
    assert np.array_equal(draw(cohort, small()).pixels, first.pixels)


def test_images_are_cut_from_their_middle(image_bag, small, draw):
    cohort = find_sources([image_bag])
    tiles = draw(cohort, small(tile_px=40))
    assert tiles.pixels.shape[1:] == (40, 40, 3)
    from napari_mil.bags import open_image_bag

    number = tiles.learned[0]
    image = open_image_bag(image_bag).read(int(tiles.image[number]))
    row, column = tiles.cell[number]
    top, left = 8 + 40 * row, 4 + 40 * column
    expected = image[top : top + 40, left : left + 40]
    assert np.array_equal(tiles.read(np.array([number]))[0], expected)
    assert tiles.held_out == "2 held-out images of the same folder"


def test_a_slide_that_cannot_be_read_is_left_out_and_named(region_folder, small, draw):
    cohort = find_sources([region_folder])
    gone = cohort.bags[2].path
    gone.unlink()
    events = []
    tiles = draw(cohort, small(), on_event=events.append)
    assert 2 not in tiles.bag
    (fallback,) = [event for event in events if isinstance(event, Fallback)]
    assert fallback.message.startswith(f"{gone.name} is left out: ")


def test_slides_that_are_all_without_a_scale_say_what_to_do(tmp_path, noise, small, draw):
    for name in ("a", "b"):
        write_pyramid(tmp_path / f"{name}.tiff", noise[::-1] if name == "a" else noise, mpp=None)
    cohort = find_sources([tmp_path / "a.tiff", tmp_path / "b.tiff"])
    with pytest.raises(MissingMppError):
        draw(cohort, small())
    assert len(draw(cohort, small(level=0)).learned) == 40
    assert len(draw(cohort, small(slide_mpp=0.5), name="given").learned) == 40


def test_too_few_tiles_are_refused(paint, noise, small, draw):
    tiny = paint(noise[:96, :96])
    with pytest.raises(TrainingError, match=r"There are \d+ tiles to learn from, too few"):
        draw(find_sources([tiny.path]), small())


def test_cancelling_leaves_no_tiles(regions, small, draw, tmp_path):
    token = CancellationToken()
    with pytest.raises(CancelledError):
        draw(regions, small(), on_event=lambda _: token.cancel(), cancel=token)
    assert list((tmp_path / "run").iterdir()) == []


def test_a_full_disk_is_one_sentence_and_leaves_nothing(
    regions, small, draw, tmp_path, monkeypatch
):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.np.lib.format, "open_memmap", full)
    with pytest.raises(OutputError, match="No space left"):
        draw(regions, small())
    assert list((tmp_path / "run").iterdir()) == []


@pytest.mark.parametrize("spoil", ["tiles.npy", "tiles.json"])
def test_damaged_tiles_are_refused(regions, small, draw, tmp_path, spoil):
    draw(regions, small())
    (tmp_path / "run" / spoil).write_bytes(b"x" * 20)
    with pytest.raises(TrainingError, match="tiles of run cannot be read"):
        read_tiles(tmp_path / "run")


def test_default_tiles_are_small_enough_for_slides_and_images(
    regions, image_bag, slide_path, small
):
    open_size = small(tile_px=None)
    assert default_tile_px(find_sources([slide_path]), open_size) == 224
    assert default_tile_px(regions, open_size) == 56
    assert default_tile_px(find_sources([image_bag]), open_size) == 48
    assert default_tile_px(regions, small(tile_px=None, level=0)) == 48
