import h5py
import numpy as np
import pytest

from napari_mil.bags import read_bag
from napari_mil.errors import BagError
from napari_mil.findings import FindingKind
from tests.bags.readers.canvas import Canvas

FEATURES = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)
CORNERS = np.stack(np.meshgrid(np.arange(3), np.arange(2)), -1).reshape(-1, 2) * 256


@pytest.fixture
def write(tmp_path):
    """Return a function that writes datasets, and attributes of coordinates."""

    def write_file(attributes=None, **datasets):
        path = tmp_path / "a.h5"
        with h5py.File(path, "w") as file:
            for name, values in datasets.items():
                file[name] = values
            if attributes is not None:
                file["coords"].attrs.update(attributes)
        return path

    return write_file


@pytest.mark.parametrize(
    ("attributes", "side"),
    [
        ({"patch_size_level0": 512, "patch_size": 256}, 512),
        ({"patch_size_level0": "512", "patch_size": 256}, 512),
        ({"patch_size_level0": 511.9999}, 511.9999),
        ({"patch_size": 256, "patch_level": 0, "custom_downsample": 2}, 512),
        ({"patch_size": 256, "patch_level": 1, "custom_downsample": 1}, 1024),
        ({"patch_size": 256, "downsample": np.array([2.0001, 2.0001])}, 512),
        ({"patch_size": 256, "downsample": np.array([1.0, 1.0])}, 256),
    ],
)
def test_the_side_of_tiles_is_read_from_attributes(write, attributes, side):
    path = write(attributes, features=FEATURES, coords=CORNERS)
    bag = read_bag(path, Canvas())
    assert bag.tile_size0 == side
    assert bag.warnings == ()


def test_a_side_in_pixels_of_an_unknown_level_is_taken_from_neighbours(write):
    attributes = {"patch_size": 256, "patch_level": 1, "custom_downsample": 1}
    bag = read_bag(write(attributes, features=FEATURES, coords=CORNERS))
    assert bag.tile_size0 == 256
    assert bag.warnings[0].kind is FindingKind.UNCERTAIN_PLACE


@pytest.mark.parametrize("side", ["None", "", np.nan, 0, -4])
def test_attributes_that_say_nothing_are_passed_over(write, side):
    bag = read_bag(write({"patch_size_level0": side}, features=FEATURES, coords=CORNERS))
    assert bag.tile_size0 == 256
    assert "the distance of neighbours" in bag.warnings[0].text


def test_how_features_were_made_is_kept(write):
    attributes = {
        "patch_size": 224,
        "patch_size_level0": 448,
        "overlap": 56,
        "level0_width": 900,
        "level0_height": 700,
    }
    path = write(attributes, features=FEATURES, coords=CORNERS)
    with h5py.File(path, "a") as file:
        file["features"].attrs.update({"encoder": "uni_v1", "name": "a"})
    extraction = read_bag(path).extraction
    assert (extraction.encoder, extraction.slide_name) == ("uni_v1", "a")
    assert (extraction.tile_px, extraction.overlap) == (224, 0.25)
    assert extraction.slide_size == (900, 700)


@pytest.mark.parametrize(
    ("datasets", "message"),
    [
        ({"coords": CORNERS}, "the positions of tiles, not their features"),
        ({"imgs": np.zeros((2, 8, 8, 3), np.uint8), "coords": CORNERS[:2]}, "images of tiles"),
        ({"features": FEATURES[0], "coords": CORNERS}, "one vector of 5, a whole slide's"),
        ({"features": FEATURES[:1], "coords": CORNERS}, "one vector of 5, a whole slide's"),
        ({"features": FEATURES[:0], "coords": CORNERS[:0]}, "no instance; the slide may show no"),
        ({"features": np.zeros(0), "coords": CORNERS[:0]}, "no instance; the slide may show no"),
        ({"features": FEATURES, "coords": CORNERS[:4]}, "6 feature rows but 4 coordinates"),
        ({"a": FEATURES, "b": FEATURES}, r"several matrices \(a, b\)"),
        ({"words": "none"}, r"holds no features \(it holds words\)"),
        ({"features/inner": FEATURES[:, :2]}, "holds no features"),
    ],
)
def test_files_without_features_are_named_as_what_they_are(write, datasets, message):
    with pytest.raises(BagError, match=rf"a\.h5 .*{message}"):
        read_bag(write(**datasets))


def test_the_only_matrix_is_the_features_whatever_its_name(write):
    path = write(virchow=FEATURES, ids=np.arange(6))
    assert np.array_equal(read_bag(path).features, FEATURES)
    both = write(virchow=FEATURES, other=FEATURES * 2)
    assert np.array_equal(read_bag(both, dataset="other").features, FEATURES * 2)
    with pytest.raises(BagError, match="no dataset 'third'"):
        read_bag(both, dataset="third")


def test_numbers_in_other_files_are_not_followed(write, tmp_path):
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as file:
        file["features"] = FEATURES
    path = write(coords=CORNERS)
    layout = h5py.VirtualLayout(FEATURES.shape, "f4")
    layout[...] = h5py.VirtualSource(other, "features", FEATURES.shape)
    keep = [
        lambda file: file.__setitem__("features", h5py.ExternalLink(other, "/features")),
        lambda file: file.create_virtual_dataset("features", layout),
        lambda file: file.create_dataset(
            "features", FEATURES.shape, "f4", external=[(str(other), 0, FEATURES.nbytes)]
        ),
    ]
    for write_elsewhere in keep:
        with h5py.File(path, "a") as file:
            file.pop("features", None)
            write_elsewhere(file)
        with pytest.raises(BagError, match="keeps its numbers in other files"):
            read_bag(path)


@pytest.mark.parametrize("side", [0, -1, np.nan, np.inf])
def test_a_side_that_is_none_is_refused(write, side):
    path = write(features=FEATURES, coords=CORNERS)
    with pytest.raises(BagError, match="tile_size0 is a side"):
        read_bag(path, tile_size0=side)


def test_a_slide_may_be_given_by_its_path(write, slide_path):
    attributes = {"patch_size_level0": 256, "level0_width": 2304, "level0_height": 3072}
    bag = read_bag(write(attributes, features=FEATURES, coords=CORNERS), slide_path)
    assert [finding.kind for finding in bag.warnings] == [FindingKind.OTHER_SLIDE]
