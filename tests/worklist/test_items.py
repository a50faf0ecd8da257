import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_mil.errors import NapariMilError
from napari_mil.worklist.items import is_results_folder, is_worklist_table, locate, read_worklist
from napari_mil.worklist.records import WORKLIST_FILE, Record, TableRow, write_table


def made(path, content=b"x"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def names(worklist):
    return [item.name for item in worklist.items]


def test_a_folder_lists_slides_features_and_folders_of_images_also_below(tmp_path):
    root = tmp_path / "case"
    for name in ("b.svs", "a.h5", "class/c.ndpi", ".hidden.svs", "notes.txt"):
        made(root / name)
    (root / "polyps").mkdir()
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(root / "polyps" / "1.png")
    worklist = read_worklist(root)
    assert sorted(names(worklist)) == ["a", "b", "c", "polyps"]
    assert worklist.out == tmp_path / "case-results"


def test_slides_in_tiff_are_slides_and_pictures_in_tiff_are_one_bag(tmp_path):
    pixels = np.zeros((64, 64, 3), np.uint8)
    for folder, options in (("slides", {"tile": (16, 16)}), ("pictures", {})):
        (tmp_path / folder).mkdir()
        for name in ("1.tiff", "2.tiff"):
            tifffile.imwrite(tmp_path / folder / name, pixels, photometric="rgb", **options)
    assert names(read_worklist(tmp_path / "slides")) == ["1", "2"]
    assert names(read_worklist(tmp_path / "pictures")) == ["pictures"]


def test_the_folder_of_a_mirax_slide_is_no_row_of_its_own(tmp_path):
    made(tmp_path / "a.mrxs")
    made(tmp_path / "a" / "Data0001.dat")
    made(tmp_path / "a" / "preview.jpg")
    assert names(read_worklist(tmp_path)) == ["a"]


def test_a_slide_in_ome_zarr_has_the_name_of_its_results(tmp_path):
    made(tmp_path / "a.ome.zarr" / "zarr.json")
    assert names(read_worklist(tmp_path)) == ["a"]


def test_a_table_lists_its_rows_in_order_and_keeps_other_columns(tmp_path):
    made(tmp_path / "a.svs")
    made(tmp_path / "b.svs")
    rows = b"Slide;site;class;note\nb;left;benign;look again\na.svs;right;;\n\n"
    table = made(tmp_path / "list.csv", rows)
    worklist = read_worklist(table)
    assert names(worklist) == ["b", "a"]
    assert worklist.columns == ("site", "class (table)")
    assert worklist.items[0].cells == ("left", "benign")
    assert [record.note for record in worklist.records] == ["look again", ""]
    assert worklist.out == tmp_path / "list-results"


def test_a_slide_that_is_listed_twice_is_one_row_and_that_is_said(tmp_path):
    made(tmp_path / "a.svs")
    worklist = read_worklist(made(tmp_path / "list.csv", b"slide\na.svs\na\n"))
    assert names(worklist) == ["a"]
    (warning,) = worklist.warnings
    assert warning.text == "Rows that name a slide once more are left out: 1."


def test_a_row_without_its_slide_stays_and_says_why(tmp_path):
    made(tmp_path / "a.svs")
    table = made(tmp_path / "list.csv", b"slide\na.svs\ngone.svs\n")
    gone = read_worklist(table).items[1]
    assert (gone.name, gone.path) == ("gone", None)
    assert gone.problem == "gone.svs: There is no such file."


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("list.csv", b"name,site\na,b\n", "no column slide"),
        ("list.csv", b"slide\n", "no slide and no bag"),
        ("list.csv", b"\xff\xfe\x00\x00\x00bro\x00ken", "list.csv"),
        ("missing.csv", None, "does not exist"),
        ("folder/readme.txt", b"x", "no slide and no bag"),
    ],
)
def test_what_cannot_be_listed_is_said_in_one_sentence(tmp_path, name, content, words):
    path = tmp_path / name
    if content is not None:
        made(path, content)
    source = tmp_path / name.split("/")[0]
    with pytest.raises(NapariMilError, match=words) as refusal:
        read_worklist(source)
    assert str(refusal.value).endswith(".")


def test_notes_that_cannot_be_read_refuse_the_list_and_stay(tmp_path):
    made(tmp_path / "bags" / "a.svs")
    table = made(tmp_path / "bags-results" / WORKLIST_FILE, b"something,else\n1,2\n")
    with pytest.raises(NapariMilError, match="has no column 'path'"):
        read_worklist(tmp_path / "bags")
    assert table.read_bytes() == b"something,else\n1,2\n"


def test_a_slide_that_moved_keeps_its_note(tmp_path):
    there = made(tmp_path / "old" / "a.svs")
    write_table(tmp_path / "out", [TableRow(Record("a", there, "margin"), "done")])
    there.unlink()
    made(tmp_path / "new" / "a.svs")
    (record,) = read_worklist(tmp_path / "new", tmp_path / "out").records
    assert record.note == "margin"


def test_namesakes_do_not_share_a_note(tmp_path):
    first = made(tmp_path / "new" / "x" / "a.svs")
    made(tmp_path / "new" / "y" / "a.svs")
    write_table(tmp_path / "out", [TableRow(Record("a", first, "margin"), "done")])
    records = read_worklist(tmp_path / "new", tmp_path / "out").records
    assert [record.note for record in records] == ["margin", ""]


def test_the_table_that_was_written_lists_the_same_again(tmp_path):
    path = made(tmp_path / "a.svs")
    records = [
        TableRow(Record("a", path, 'a, b; "c"', cells=("left",)), "done"),
        TableRow(Record("gone", None, "x"), "failed"),
    ]
    table = write_table(tmp_path / "out", records, ["site"])
    for source in (table, tmp_path / "out"):
        worklist = read_worklist(source)
        assert worklist.out == tmp_path / "out"
        assert [(item.name, item.path) for item in worklist.items] == [("a", path), ("gone", None)]
        assert [record.note for record in worklist.records] == ['a, b; "c"', "x"]
        assert worklist.columns == ("site",)
        assert worklist.items[0].cells == ("left",)


def test_slides_of_unknown_place_are_found_by_their_names(tmp_path):
    write_table(tmp_path / "out", [TableRow(Record("a", None), "done")])
    worklist = read_worklist(tmp_path / "out")
    assert "choose the folder of the slides" in worklist.items[0].problem
    path = made(tmp_path / "far" / "sub" / "a.svs")
    located = locate(worklist, tmp_path / "far")
    assert (located.items[0].path, located.items[0].problem) == (path, "")
    assert locate(worklist, made(tmp_path / "empty" / "x").parent).items == worklist.items


def test_a_table_with_labels_is_no_worklist_and_one_of_slides_alone_is(tmp_path):
    assert not is_worklist_table(made(tmp_path / "a.csv", b"slide,label\na,b\n"))
    assert is_worklist_table(made(tmp_path / "b.csv", b"slide\na\n"))
    assert not is_worklist_table(made(tmp_path / "c.csv", b"\x00\x01"))
    assert is_worklist_table(tmp_path / WORKLIST_FILE)
    assert not is_results_folder(tmp_path)
