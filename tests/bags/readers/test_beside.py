import json

import h5py
import numpy as np
import pytest
import torch

from napari_mil.bags import read_bag
from napari_mil.errors import BagError
from napari_mil.findings import FindingKind
from tests.bags.readers.canvas import Canvas

FEATURES = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)
CORNERS = np.stack(np.meshgrid(np.arange(3), np.arange(2)), -1).reshape(-1, 2) * 256


def save_bag(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(torch.from_numpy(FEATURES), path)
    return path


def save_coords(path, coords, **attributes):
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file["coords"] = coords
        file["coords"].attrs.update(attributes)


@pytest.fixture
def slideflow_bag(tmp_path):
    """Return a bag with an index of centres, tiles of 128 µm, beside it."""
    config = {"extractor": {"class": "resnet50"}, "tile_px": 256, "tile_um": 128}
    (tmp_path / "bags_config.json").write_text(json.dumps(config))
    np.savez(tmp_path / "case 1.2.index.npz", arr_0=CORNERS + 128)
    return save_bag(tmp_path / "case 1.2.pt")


def test_centres_of_slideflow_become_corners(slideflow_bag):
    bag = read_bag(slideflow_bag, Canvas(mpp=0.5))
    assert np.array_equal(bag.coords, CORNERS)
    assert (bag.tile_size0, bag.warnings) == (256, ())
    assert bag.extraction.encoder == bag.provenance["encoder name"] == "resnet50"


def test_bags_of_slideflow_without_their_slide_go_by_their_neighbours(slideflow_bag):
    bag = read_bag(slideflow_bag)
    assert np.array_equal(bag.coords, CORNERS)
    assert [finding.kind for finding in bag.warnings] == [FindingKind.UNCERTAIN_PLACE]


def test_an_index_of_slideflow_with_locations_holds_centres_there(slideflow_bag):
    index = slideflow_bag.with_name("case 1.2.index.npz")
    np.savez(index, arr_0=np.ones((6, 2), int), locations=CORNERS + 128)
    assert np.array_equal(read_bag(slideflow_bag, Canvas(mpp=0.5)).coords, CORNERS)


def test_an_index_of_slideflow_may_be_one_array(slideflow_bag):
    slideflow_bag.with_name("case 1.2.index.npz").unlink()
    np.save(slideflow_bag.with_name("case 1.2.index.npy"), CORNERS + 128)
    assert np.array_equal(read_bag(slideflow_bag, Canvas(mpp=0.5)).coords, CORNERS)


def test_tiles_of_slideflow_by_magnification_take_the_nearest_level(slideflow_bag):
    config = {"tile_px": 64, "tile_um": "10x"}
    slideflow_bag.with_name("bags_config.json").write_text(json.dumps(config))
    assert read_bag(slideflow_bag, Canvas(power="40")).tile_size0 == 256


def test_an_index_is_no_bag(slideflow_bag):
    with pytest.raises(BagError, match="holds the positions of tiles"):
        read_bag(slideflow_bag.with_name("case 1.2.index.npz"))


def test_a_damaged_index_leaves_the_bag_without_a_place(slideflow_bag):
    slideflow_bag.with_name("case 1.2.index.npz").write_bytes(b"PK\x03\x04 cut short")
    bag = read_bag(slideflow_bag)
    assert bag.coords is None
    assert "is damaged" in bag.warnings[0].text


def test_an_index_of_other_tiles_is_not_used(slideflow_bag):
    np.savez(slideflow_bag.with_name("case 1.2.index.npz"), arr_0=CORNERS[:4])
    bag = read_bag(slideflow_bag)
    assert bag.coords is None
    assert "has 4 positions for 6 instances" in bag.warnings[0].text


@pytest.fixture
def slide2vec_run(tmp_path):
    """Return the folder of a run with one slide, ``a``."""
    save_bag(tmp_path / "tile_embeddings" / "a.pt")
    meta = {
        "artifact_type": "tile_embeddings",
        "encoder_name": "uni",
        "tile_size_lv0": 224,
        "coordinates_npz_path": "/elsewhere/a.coordinates.npz",
    }
    (tmp_path / "tile_embeddings" / "a.meta.json").write_text(json.dumps(meta))
    (tmp_path / "tiles").mkdir()
    x, y = CORNERS.T
    np.savez(tmp_path / "tiles" / "a.coordinates.npz", tile_index=np.arange(6), x=x, y=y)
    facts = {"slide": {"dimensions": [900, 700]}, "tiling": {"tile_size_lv0": 224}}
    (tmp_path / "tiles" / "a.coordinates.meta.json").write_text(json.dumps(facts))
    return tmp_path


def test_positions_of_slide2vec_stand_in_the_folder_of_tiles(slide2vec_run):
    bag = read_bag(slide2vec_run / "tile_embeddings" / "a.pt", Canvas(900, 700))
    assert np.array_equal(bag.coords, CORNERS)
    assert (bag.tile_size0, bag.extraction.encoder, bag.warnings) == (224, "uni", ())


def test_the_slide_of_slide2vec_is_known_by_its_size(slide2vec_run):
    bag = read_bag(slide2vec_run / "tile_embeddings" / "a.pt", Canvas(5000, 4000))
    assert [finding.kind for finding in bag.warnings] == [FindingKind.OTHER_SLIDE]


def test_rows_of_slide2vec_are_joined_by_the_number_of_the_tile(slide2vec_run):
    path = slide2vec_run / "tile_embeddings" / "a.npz"
    np.savez(path, features=FEATURES[::2], tile_index=np.array([4, 2, 0]))
    assert np.array_equal(read_bag(path).coords, CORNERS[[4, 2, 0]])
    np.savez(path, features=FEATURES[::2], tile_index=np.array([4, 2, 9]))
    with pytest.raises(BagError, match="1 tiles without a position"):
        read_bag(path)


def test_other_embeddings_of_slide2vec_are_named(slide2vec_run):
    meta = slide2vec_run / "tile_embeddings" / "a.meta.json"
    meta.write_text(json.dumps({"artifact_type": "slide_embeddings"}))
    with pytest.raises(BagError, match="slide embeddings rather than those of tiles"):
        read_bag(slide2vec_run / "tile_embeddings" / "a.pt")


def test_features_of_trident_without_positions_take_those_of_its_patches(tmp_path):
    bag_path = save_bag(tmp_path / "features_uni" / "a.b.pt")
    attributes = {"patch_size_level0": 512, "level0_width": 900, "level0_height": 700}
    save_coords(tmp_path / "patches" / "a.b_patches.h5", CORNERS, **attributes)
    bag = read_bag(bag_path, Canvas(901, 700))
    assert np.array_equal(bag.coords, CORNERS)
    assert bag.tile_size0 == 512
    assert [finding.kind for finding in bag.warnings] == [FindingKind.OTHER_SLIDE]


def test_files_beside_are_found_from_within_the_folder(tmp_path, monkeypatch):
    bag_path = save_bag(tmp_path / "features_uni" / "a.pt")
    save_coords(tmp_path / "patches" / "a_patches.h5", CORNERS, patch_size_level0=512)
    monkeypatch.chdir(bag_path.parent)
    assert read_bag("a.pt").tile_size0 == 512


def test_tensors_of_clam_take_the_positions_of_the_same_run(tmp_path):
    bag_path = save_bag(tmp_path / "feats" / "pt_files" / "a.pt")
    save_coords(tmp_path / "feats" / "h5_files" / "a.h5", CORNERS)
    attributes = {"patch_size": 256, "downsample": np.array([4.0, 4.0]), "patch_level": 1}
    save_coords(tmp_path / "patches" / "a.h5", CORNERS, **attributes)
    bag = read_bag(bag_path)
    assert np.array_equal(bag.coords, CORNERS)
    # Patches are read from a level, coordinates count in level 0.
    assert bag.tile_size0 == 1024


def test_patches_of_another_run_say_nothing_of_the_size(tmp_path):
    path = tmp_path / "feats" / "h5_files" / "a.h5"
    save_coords(path, CORNERS)
    with h5py.File(path, "a") as file:
        file["features"] = FEATURES
    other = CORNERS + 1
    save_coords(tmp_path / "patches" / "a.h5", other, patch_size=512, downsample=np.ones(2))
    bag = read_bag(path)
    assert bag.tile_size0 == 256
    assert "the distance of neighbours" in bag.warnings[0].text


@pytest.mark.parametrize("content", [b"", b"words", b"\x89HDF\r\n\x1a\n cut short"])
def test_damaged_files_beside_hdf5_are_not_taken_for_the_bag(tmp_path, content):
    path = tmp_path / "feats" / "h5_files" / "a.h5"
    save_coords(path, CORNERS)
    with h5py.File(path, "a") as file:
        file["features"] = FEATURES
    patches = tmp_path / "patches" / "a.h5"
    patches.parent.mkdir()
    patches.write_bytes(content)
    assert read_bag(path).tile_size0 == 256
    with h5py.File(path, "a") as file:
        del file["coords"]
    trident = tmp_path / "feats" / "patches" / "a_patches.h5"
    trident.parent.mkdir()
    trident.write_bytes(content)
    bag = read_bag(path)
    assert bag.coords is None
    assert "is damaged" in bag.warnings[0].text


def test_boxes_of_tiatoolbox_lie_beside_its_features(tmp_path):
    np.save(tmp_path / "a.features.0.npy", FEATURES)
    np.save(tmp_path / "a.position.npy", np.concatenate([CORNERS, CORNERS + 256], 1))
    path = tmp_path / "a.features.0.npy"
    assert np.array_equal(read_bag(path, tile_size0=512).coords, CORNERS * 2)
    unsure = read_bag(path)
    assert np.array_equal(unsure.coords, CORNERS)
    assert "at which scale its tiles were read" in unsure.warnings[0].text
    with pytest.raises(BagError, match="holds the positions of tiles"):
        read_bag(tmp_path / "a.position.npy")
