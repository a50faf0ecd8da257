"""A cell of a table means one file, however it is written."""

import os
import unicodedata

import h5py
import pytest

from napari_mil.findings import Finding, FindingKind
from napari_mil.training.cohorts.folders.bag_files import BagFiles


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


def place(files, folder, name):
    path = files.find(name)
    return path.text if isinstance(path, Finding) else path.relative_to(folder).as_posix()


def remarks(files, folder):
    return {each.kind: each.text for each in files.remarks(folder / "labels.csv")}


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


def test_the_whole_layout_of_clam_is_read(touch, tmp_path):
    names = [f"s{k}" for k in range(3)]
    files = [
        *(f"h5_files/{name}.h5" for name in names),
        *(f"pt_files/{name}.pt" for name in names),
        *(f"{folder}/{name}.jpg" for folder in ("masks", "stitches") for name in names),
        "process_list_autogen.csv",
    ]
    touch(*files)
    (tmp_path / "patches").mkdir()
    for name in names:
        with h5py.File(tmp_path / "patches" / f"{name}.h5", "w") as file:
            file["coords"] = [[0, 0], [256, 0]]
    bags = BagFiles(tmp_path)
    assert [place(bags, tmp_path, name) for name in names] == [f"h5_files/{n}.h5" for n in names]
    (text,) = remarks(bags, tmp_path).values()
    assert text == (
        "3 bags lie there as several files; for one, h5_files/s0.h5 is used, not pt_files/s0.pt."
    )


def test_features_come_before_a_picture_of_their_slide(touch, tmp_path):
    files = touch("s0.npz", "s0.jpg", "s0_thumbnail.png")
    assert found(files, "s0") == "s0.npz"
    assert found(files, "s0.jpg") == "s0.jpg"
    assert [path.name for path in files.beside] == ["s0.npz"]
    assert not remarks(files, tmp_path)


@pytest.mark.parametrize("other", ["old/s1.npz", "copy/copy/s1.npz", "old/s1.h5"])
def test_the_nearest_of_several_copies_is_taken_and_said(touch, tmp_path, other):
    files = touch("s1.npz", other)
    assert place(files, tmp_path, "s1") == "s1.npz"
    text = remarks(files, tmp_path)[FindingKind.GROUPING]
    assert text == f"1 bag lies there as several files; for one, s1.npz is used, not {other}."


@pytest.mark.parametrize("hidden", ["__MACOSX/s1.npz", "__MACOSX/run/s1.npz", "._s1.npz"])
def test_what_systems_leave_is_never_looked_into(touch, tmp_path, hidden):
    files = touch("run/s1.npz", hidden)
    assert place(files, tmp_path, "s1") == "run/s1.npz"
    assert not files.beside
    assert not remarks(files, tmp_path)


def test_several_copies_in_folders_are_refused(touch):
    assert "Several files" in found(touch("new/s1.npz", "old/s1.npz"), "s1")


def test_a_name_in_its_own_case_comes_first(touch, tmp_path):
    files = touch("a1.npz", "A1.npz")
    assert (found(files, "a1"), found(files, "A1.svs")) == ("a1.npz", "A1.npz")
    assert not remarks(files, tmp_path)


def test_a_name_that_was_cut_at_a_dot_is_said(touch, tmp_path):
    added = "0f3a11f0-1234-4321-aaaa-0123456789ab"
    files = touch("S1.2.npz", "S2.2.npz", "S3.npz", f"TCGA-1.{added}.svs", "S4.svs.npz")
    assert [found(files, name) for name in ("S1", "S2", "S3")] == ["S1.2.npz", "S2.2.npz", "S3.npz"]
    assert found(files, "TCGA-1").startswith("TCGA-1")
    assert found(files, "S4") == found(files, "S4.svs") == "S4.svs.npz"
    assert remarks(files, tmp_path) == {
        FindingKind.GUESSED: "2 names end before a dot of the file's; for one, S1 is taken for "
        "S1.2.npz."
    }


@pytest.mark.parametrize(
    "cell", ["s0.isyntax", "s0.vsi", "s0.nd2", "S0.JP2", "s0.svs.gz", "s0.mrxs.zip", "s0.b.vsi"]
)
def test_the_ending_of_a_slide_that_is_not_read_is_no_part_of_its_name(touch, cell):
    name = "s0.b.h5" if ".b." in cell else "s0.h5"
    assert found(touch(name), cell) == name


def test_the_folder_of_slides_that_are_not_there_does_not_count(touch):
    assert found(touch("s0.npz"), "slides/s0.svs") == "s0.npz"
    assert found(touch("features/s0.npz"), "slides/s0.svs") == "s0.npz"
    files = touch("a/1.npz", "b/2.npz")
    assert found(files, "a/1") == "1.npz"
    assert found(files, "b/1") == "There is no such file."


def test_a_file_of_unknown_characters_is_said_and_no_bag(touch, tmp_path):
    files = touch(os.fsdecode(b"s\xe4.h5"), "a.h5")
    assert [path.name for path in files.beside] == ["a.h5"]
    (text,) = remarks(files, tmp_path).values()
    assert "not in UTF-8" in text


@pytest.mark.parametrize("folder", ["", "slides/"])
def test_a_picture_of_another_bag_counts_where_the_table_names_it(touch, folder):
    files = touch(f"{folder}case0.tif", f"{folder}case0_mask.tif")
    assert found(files, "case0") == "case0.tif"
    assert found(files, "case0_mask") == "case0_mask.tif"
    assert "case0_mask.tif" not in [path.name for path in files.beside]


def test_a_path_that_goes_up_and_down_again_stays_in_the_folder(touch, tmp_path):
    touch("slides/S0.h5")
    (tmp_path / "other").mkdir()
    files = BagFiles(tmp_path / "other" / ".." / "slides")
    assert found(files, "S0") == "S0.h5"
    assert files.find("x/../S0.h5") == files.find("S0") == tmp_path / "slides" / "S0.h5"


def test_a_name_that_goes_on_after_any_of_its_dots_is_found(touch):
    files = touch("a.b.c.svs", "ab.svs")
    assert found(files, "a") == found(files, "a.b") == "a.b.c.svs"
    assert found(files, "a.bc") == "There is no such file."
