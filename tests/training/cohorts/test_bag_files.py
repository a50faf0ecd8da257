"""A cell of a table means one file, however it is written."""

import unicodedata

import pytest

from napari_mil.findings import Finding
from napari_mil.training.cohorts.bag_files import BagFiles


@pytest.fixture
def touch(tmp_path):
    def write(*names):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"x")
        return BagFiles(tmp_path)

    return write


def found(files, name):
    path = files.find(name)
    return path.text if isinstance(path, Finding) else path.name


@pytest.mark.parametrize("cell", ["a.b.c", "a.b.c.svs", "a.b.c.h5", "A.B.C"])
def test_a_name_with_its_ending_another_one_or_none_is_found(touch, cell):
    assert found(touch("a.b.c.h5", "other.h5"), cell) == "a.b.c.h5"


@pytest.mark.parametrize("place", ["features/a.pt", "run/features/a.pt"])
def test_files_up_to_two_folders_below_are_found(touch, place):
    assert found(touch(place), "a.svs") == "a.pt"


def test_files_three_folders_below_are_not(touch):
    assert found(touch("x/y/z/a.pt"), "a") == "There is no such file."


def test_numbers_that_lost_their_zeros_are_found(touch):
    files = touch("007.h5", "012.h5")
    assert found(files, "7") == "007.h5"
    assert found(files, "12.svs") == "012.h5"


@pytest.mark.parametrize("cell", ["12", "12.0", "0012"])
def test_numbers_that_a_spreadsheet_rewrote_are_found(touch, cell):
    assert found(touch("0012.h5", "0013.h5"), cell) == "0012.h5"


@pytest.mark.parametrize(
    "cell",
    [
        "/data/of/another/machine/a.svs",
        "D:\\slides\\a.svs",
        "\\\\server\\share\\a.svs",
        "run\\a.svs",
        "run/a",
    ],
)
def test_paths_of_another_machine_count_by_their_name(touch, cell):
    assert found(touch("run/a.h5"), cell) == "a.h5"


def test_a_barcode_that_was_cut_at_a_dot_is_found_where_it_is_the_only_one(touch):
    barcode = "TCGA-AA-0001-01Z-00-DX1"
    files = touch(f"{barcode}.0f3a.svs", f"{barcode}0.77.svs", "b.1.h5", "b.2.h5")
    assert found(files, barcode) == f"{barcode}.0f3a.svs"
    assert "Several files" in found(files, "b")
    assert found(files, "TCGA-AA") == "There is no such file."


def test_numbers_that_could_be_two_files_are_refused(touch):
    assert "Several files" in found(touch("007.h5", "07.h5"), "7")


def test_composed_and_decomposed_characters_are_the_same(touch):
    name = "Größe-é"
    files = touch(unicodedata.normalize("NFD", name) + ".h5")
    assert found(files, unicodedata.normalize("NFC", name)).endswith(".h5")


def test_features_of_one_bag_in_several_kinds_are_taken_once_slides_are_not_mixed_in(touch):
    files = touch("h5_files/a.h5", "pt_files/a.pt", "slides/b.svs", "h5_files/b.h5")
    assert found(files, "a") == "a.h5"
    assert "Several files" in found(files, "b")
    assert found(files, "slides/b.svs") == "b.svs"


def test_a_file_comes_before_a_folder_of_its_name(touch):
    assert found(touch("S0.tif", "S0/thumbnail.png"), "S0") == "S0.tif"


def test_a_folder_of_images_is_found_by_its_name(touch):
    assert found(touch("case.1/a.png"), "case.1") == "case.1"


def test_a_path_does_not_leave_the_folder_of_the_table(touch):
    assert "outside the folder" in found(touch("a.h5"), "../a.h5")


def test_indices_beside_bags_are_no_bags(touch):
    files = touch("a.pt", "a.index.npz")
    assert found(files, "a") == "a.pt"
    assert [path.name for path in files.beside] == ["a.pt"]
