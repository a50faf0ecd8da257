import pytest

from napari_mil.bags.names import bag_name


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("scan.svs", "scan"),
        ("Scan.NDPI", "Scan"),
        ("scan.h5", "scan"),
        ("scan.ome.tif", "scan"),
        ("TCGA-05-4244.8d1e.svs", "TCGA-05-4244.8d1e"),
        ("patient 1.2", "patient 1.2"),
        ("scan.svs.h5", "scan.svs"),
        ("case 1.2.csv", "case 1.2"),
        ("scan.features.0.npy", "scan"),
    ],
)
def test_only_the_known_ending_of_a_file_is_taken_off(tmp_path, file, name):
    assert bag_name(tmp_path / file) == name


def test_a_folder_keeps_its_whole_name(tmp_path):
    folder = tmp_path / "batch.tif"
    folder.mkdir()
    assert bag_name(folder) == "batch.tif"


def test_a_store_of_features_is_named_after_its_slide(tmp_path):
    for name in ("scan.zarr", "scan.ome.zarr"):
        (tmp_path / name).mkdir()
    assert bag_name(tmp_path / "scan.zarr") == "scan"
    assert bag_name(tmp_path / "scan.ome.zarr") == "scan.ome.zarr"
