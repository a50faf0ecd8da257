import shutil

import h5py
import numpy as np
import pytest
import torch

from napari_mil.bags import TileSpec, read_bag
from napari_mil.encoders import create_encoder
from napari_mil.errors import CancelledError, NoTissueError
from napari_mil.events import CancellationToken, Finished, Started
from napari_mil.inference.embedding import embed_tiles
from napari_mil.inference.feature_files import EmbedRequest, FeatureStore
from napari_mil.inference.planning import plan_tiles
from napari_mil.settings import Settings
from napari_mil.slides import open_slide

TILES = TileSpec(96, 1.0)
REQUEST = EmbedRequest(TILES)


@pytest.fixture(scope="module")
def encoder():
    return create_encoder("texture", device=torch.device("cpu"))


@pytest.fixture
def store(tmp_path):
    return FeatureStore(tmp_path / "out")


def test_the_file_holds_the_features_of_the_pipeline_on_their_slide(slide, store, encoder):
    events = []
    written = store.embed(slide, encoder, REQUEST, events.append)
    bag = read_bag(written.path, slide)
    grid = plan_tiles(slide, TILES).grid
    expected = embed_tiles(slide, grid, encoder, Settings(), CancellationToken())
    assert np.array_equal(bag.features, expected)
    assert np.array_equal(bag.coords, grid.coords)
    assert bag.tile_size0 == grid.tile_size0
    assert bag.warnings == ()
    assert bag.extraction.encoder_fingerprint == encoder.fingerprint
    assert bag.extraction.slide_fingerprint == slide.fingerprint
    assert [event for event in events if isinstance(event, Started | Finished)]
    assert written.path.relative_to(store.out).parts == (
        "10x_96px_0px_overlap",
        "features_texture",
        f"{slide.name}.h5",
    )


def test_coordinates_alone_stand_where_trident_looks_for_them(slide, store, encoder):
    written = store.embed(slide, encoder, REQUEST)
    patches = written.path.parent.parent / "patches" / f"{slide.name}_patches.h5"
    with h5py.File(patches) as file, h5py.File(written.path) as features:
        assert np.array_equal(file["coords"][...], features["coords"][...])
        assert file["coords"].attrs["patch_size"] == 96


def test_the_same_work_is_kept_and_other_tiles_replace_it(slide, store, encoder):
    first = store.embed(slide, encoder, REQUEST)
    before = first.path.stat().st_mtime_ns
    again = store.embed(slide, encoder, REQUEST)
    assert (again.kept, again.path, again.n_instances) == (True, first.path, first.n_instances)
    assert first.path.stat().st_mtime_ns == before
    whole = store.embed(slide, encoder, EmbedRequest(TILES, mask=None))
    assert (whole.kept, whole.path) == (False, first.path)
    assert len(read_bag(whole.path)) == whole.n_instances > first.n_instances


def test_another_slide_of_the_same_name_gets_a_name_of_its_own(
    slide, store, encoder, paint, noise, tmp_path
):
    first = store.embed(slide, encoder, REQUEST)
    kept = first.path.read_bytes()
    paint(noise, mpp=1.0, name="other.tiff")
    (tmp_path / "b").mkdir()
    namesake_path = tmp_path / "b" / f"{slide.name}.tiff"
    shutil.copy(tmp_path / "other.tiff", namesake_path)
    with open_slide(namesake_path) as namesake:
        whole = EmbedRequest(TILES, mask=None)
        second = store.embed(namesake, encoder, whole)
        assert second.path.name == f"{slide.name}-2.h5"
        assert store.embed(namesake, encoder, whole).kept
    assert first.path.read_bytes() == kept


@pytest.mark.parametrize("content", [b"", b"\x89HDF\r\n\x1a\n cut short", b"of another tool"])
def test_a_file_of_unknown_origin_is_left_alone(slide, store, encoder, content):
    first = store.embed(slide, encoder, REQUEST)
    first.path.write_bytes(content)
    second = store.embed(slide, encoder, REQUEST)
    assert second.path.name == f"{slide.name}-2.h5"
    assert first.path.read_bytes() == content


def test_a_cancelled_slide_leaves_no_file(slide, store, encoder):
    cancel = CancellationToken()

    def stop_at_first_batch(event):
        if isinstance(event, Started):
            cancel.cancel()

    with pytest.raises(CancelledError):
        store.embed(slide, encoder, REQUEST, stop_at_first_batch, cancel)
    assert not store.out.exists()


def test_a_slide_without_tissue_leaves_no_file(store, encoder, paint):
    glass = paint(np.full((400, 400, 3), 245, np.uint8), mpp=1.0)
    with pytest.raises(NoTissueError):
        store.embed(glass, encoder, REQUEST)
    assert not store.out.exists()


def test_tiles_of_a_level_of_a_slide_without_scale_have_a_place(store, encoder, paint, noise):
    unscaled = paint(noise, mpp=None)
    request = EmbedRequest(TileSpec(96, 0.5, level=0), mask=None)
    written = store.embed(unscaled, encoder, request)
    assert written.path.parts[-3] == "level0_96px_0px_overlap"
    assert read_bag(written.path, unscaled).tile_size0 == 96
