"""What a run keeps of its watched slide, and what is read of it."""

from pathlib import Path

import numpy as np
import pytest

from napari_mil.bags.grid import TileGrid
from napari_mil.bags.layout import layout_of_grid
from napari_mil.events import Fallback, Watched, Watching
from napari_mil.training.watch_record import FOLDER, WatchRecorder, read_record

SLIDE = Path("/slides/a.svs")


def grid(n=6):
    cells = np.stack(np.divmod(np.arange(n), 3), 1)
    return TileGrid(cells[:, ::-1] * 100, cells, (2, 3), 64, 0.5, 100.25, 100.25, 0)


def watched(seed=0, n=6):
    rng = np.random.default_rng(seed)
    masks = {"high": rng.random(n) > 0.7, "random": rng.random(n) > 0.5}
    return Watched(rng.random(n, np.float32), "score", rng.random(2, np.float32), masks)


@pytest.fixture
def told():
    return []


@pytest.fixture
def recorder(tmp_path, told):
    return WatchRecorder(tmp_path, SLIDE, Watching(grid(), "training"), told.append)


def assert_same(one, other):
    assert np.array_equal(one.values, other.values)
    assert np.array_equal(one.probabilities, other.probabilities)
    assert one.what == other.what
    assert {kind: mask.tolist() for kind, mask in one.masks.items()} == {
        kind: mask.tolist() for kind, mask in other.masks.items()
    }


def test_every_epoch_is_read_as_it_was_kept(tmp_path, recorder):
    for epoch in (1, 2, 10):
        recorder.keep(epoch, watched(epoch))
    record = read_record(tmp_path)
    assert (record.path, record.part) == (SLIDE, "training")
    assert record.layout.covers_the_same_as(layout_of_grid(grid()))
    assert [epoch for epoch, _ in record.epochs] == [1, 2, 10]
    for epoch, kept in record.epochs:
        assert_same(kept, watched(epoch))
    assert record.epochs[0][1].values.dtype == np.float32


def test_a_run_that_goes_on_keeps_what_was_there_and_replaces_what_it_does_again(
    tmp_path, recorder, told
):
    recorder.keep(1, watched(1))
    recorder.keep(2, watched(2))
    again = WatchRecorder(tmp_path, SLIDE, Watching(grid(), "training"), told.append)
    again.keep(2, watched(20))
    kept = dict(read_record(tmp_path).epochs)
    assert_same(kept[1], watched(1))
    assert_same(kept[2], watched(20))


@pytest.mark.parametrize(("slide", "n"), [(Path("/slides/b.svs"), 6), (SLIDE, 5)])
def test_answers_for_another_slide_or_other_tiles_are_removed(tmp_path, recorder, told, slide, n):
    recorder.keep(1, watched(1))
    WatchRecorder(tmp_path, slide, Watching(grid(n), "test"), told.append)
    record = read_record(tmp_path)
    assert (record.path, len(record.layout), record.epochs) == (slide, n, ())


def test_a_run_without_a_watched_slide_has_no_record(tmp_path):
    assert read_record(tmp_path) is None


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut", b"{}"])
def test_damaged_epochs_are_left_out(tmp_path, recorder, content):
    recorder.keep(1, watched(1))
    recorder.keep(2, watched(2))
    (tmp_path / FOLDER / "epoch-00001.npz").write_bytes(content)
    assert [epoch for epoch, _ in read_record(tmp_path).epochs] == [2]
    (tmp_path / FOLDER / "slide.npz").write_bytes(content)
    assert read_record(tmp_path) is None


def test_where_nothing_can_be_kept_that_is_said_once(tmp_path, told):
    (tmp_path / FOLDER).write_text("in the way")
    recorder = WatchRecorder(tmp_path, SLIDE, Watching(grid(), "training"), told.append)
    recorder.keep(1, watched())
    recorder.keep(2, watched())
    (remark,) = told
    assert isinstance(remark, Fallback)
    assert "not kept" in remark.message
    assert [path.name for path in tmp_path.iterdir()] == [FOLDER]
