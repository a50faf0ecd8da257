import numpy as np
import pytest
import zarr
from PIL import Image

from napari_mil.bags import Bag, ImageBag
from napari_mil.errors import NapariMilError
from napari_mil.inference.targets import open_target
from napari_mil.slides import Slide


def test_a_slide_is_opened_with_its_identity_and_closed_at_the_end(slide_path):
    with open_target(slide_path, slide_mpp=0.25) as target:
        assert isinstance(target.content, Slide)
        assert target.identity.name == "CMU-1-Small-Region"
        assert target.identity.mpp == 0.25
        assert target.identity.fingerprint == target.content.fingerprint
    with pytest.raises(NapariMilError, match="closed"):
        target.content.read_region((0, 0), 0, (8, 8))


def test_a_folder_of_images_keeps_the_dots_of_its_name(tmp_path):
    folder = tmp_path / "S22.101"
    folder.mkdir()
    Image.new("RGB", (16, 16)).save(folder / "1.png")
    target = open_target(folder)
    assert isinstance(target.content, ImageBag)
    assert target.identity.name == "S22.101"
    assert set(target.identity.as_dict()) == {"name", "fingerprint"}


def test_a_feature_file_loses_its_ending_alone(tmp_path):
    np.save(tmp_path / "S22.101.npy", np.ones((3, 5), np.float32))
    target = open_target(tmp_path / "S22.101.npy")
    assert isinstance(target.content, Bag)
    assert target.identity.name == "S22.101"


@pytest.mark.parametrize("name", ["S22.101.csv", "S22.101.zarr"])
def test_tables_and_stores_of_features_are_bags(tmp_path, name):
    path = tmp_path / name
    if name.endswith(".csv"):
        np.savetxt(path, np.ones((3, 5)), delimiter=",")
    else:
        zarr.save_group(str(path), features=np.ones((3, 5), np.float32))
    with open_target(path) as target:
        assert isinstance(target.content, Bag)
        assert target.identity.name == "S22.101"
        assert len(target.identity.fingerprint) == 32


def test_the_side_of_tiles_can_be_given_where_features_do_not_say_it(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, features=np.ones((2, 5), np.float32), coords=np.array([[0, 0], [900, 0]]))
    with open_target(path, tile_size0=256.0) as target:
        assert target.content.tile_size0 == 256
