"""What every export has in common."""

import errno
import gzip
import json

import h5py
import numpy as np
import pytest
import zarr

from napari_mil.errors import CancelledError, OutputError, UnknownNameError
from napari_mil.events import CancellationToken
from napari_mil.exports import geojson
from napari_mil.exports.cards import FORMATS
from napari_mil.exports.exporting import export_prediction
from napari_mil.exports.glyphs import Glyph, Group
from napari_mil.exports.source import ExportChoices, Grouping, GroupKind
from tests.exports.answers import answer, answer_on, images_answer

ALONE = [name for name, card in FORMATS.items() if not name.startswith("png")]
TABLES = ["csv", "hdf5", "h5ad", "html", "pdf"]


def path_of(folder, name):
    return folder / f"a{FORMATS[name].suffixes[0]}"


def everything_in(path):
    """Return the bytes of a file, or of every file of a folder."""
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return b"".join(file.read_bytes() for file in files)


@pytest.mark.parametrize("name", ALONE)
def test_a_saved_answer_is_exported_as_the_one_in_memory(tmp_path, name):
    prediction = answer()
    prediction.save(tmp_path / "saved")
    export_prediction(prediction, name, path_of(tmp_path / "memory", name))
    export_prediction(tmp_path / "saved", name, path_of(tmp_path / "disk", name))
    if name not in ("hdf5", "h5ad"):
        memory, disk = (path_of(tmp_path / each, name) for each in ("memory", "disk"))
        assert everything_in(memory) == everything_in(disk)


@pytest.mark.parametrize("name", TABLES)
def test_images_go_into_tables_and_reports(tmp_path, name):
    export_prediction(images_answer(), name, path_of(tmp_path, name))
    assert path_of(tmp_path, name).stat().st_size


@pytest.mark.parametrize("name", sorted(set(FORMATS) - set(TABLES)))
def test_what_needs_a_slide_refuses_images(tmp_path, name):
    with pytest.raises(OutputError, match=r"no positions on a slide; choose a table"):
        export_prediction(images_answer(), name, path_of(tmp_path, name))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["png", "png-print"])
def test_pictures_ask_for_the_slide(tmp_path, name):
    with pytest.raises(OutputError, match="give the slide that was classified"):
        export_prediction(answer(), name, path_of(tmp_path, name))


def test_an_unknown_format_is_named_with_those_there_are(tmp_path):
    with pytest.raises(UnknownNameError, match="no format named 'docx'; choose one of geojson, "):
        export_prediction(answer(), "docx", tmp_path / "a.docx")


@pytest.mark.parametrize("name", FORMATS)
def test_a_cancelled_export_leaves_nothing(tmp_path, name, paint, noise):
    slide = paint(noise, name="painted.tiff")
    cancel = CancellationToken()
    cancel.cancel()
    out = tmp_path / "out"
    with pytest.raises(CancelledError):
        export_prediction(answer_on(slide), name, path_of(out, name), pixels=slide, cancel=cancel)
    assert not list(out.iterdir())


@pytest.mark.parametrize("name", ["geojson", "csv", "ome-zarr"])
def test_a_full_disk_is_one_sentence_and_leaves_what_was_there(tmp_path, name, monkeypatch):
    path = path_of(tmp_path, name)
    export_prediction(answer(), name, path)
    before = everything_in(path)
    full = OSError(errno.ENOSPC, "No space left on device")

    def fail(*_):
        raise full

    monkeypatch.setattr(geojson._Collection, "features", fail)
    monkeypatch.setattr("napari_mil.exports.instance_table.facts_of", fail)
    monkeypatch.setattr("napari_mil.exports.ome_zarr._write_array", fail)
    with pytest.raises(OutputError, match=r"No space left on device.*choose another folder"):
        export_prediction(answer(seed=3), name, path)
    assert everything_in(path) == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["csv", "ome-zarr"])
def test_a_folder_in_use_is_not_replaced(tmp_path, name):
    path = path_of(tmp_path, name)
    path.mkdir()
    (path / "thesis.txt").write_text("years of work")
    with pytest.raises(OutputError, match="in use"):
        export_prediction(answer(), name, path)
    assert (path / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize("name", ["csv", "ome-zarr"])
def test_a_parent_that_is_a_file_is_one_sentence(tmp_path, name):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written"):
        export_prediction(answer(), name, tmp_path / "file" / "a")


@pytest.mark.parametrize("name", FORMATS)
def test_names_are_in_no_file_when_they_are_left_out(tmp_path, name, paint, noise):
    slide = paint(noise, name="patient-0815.tiff")
    seen = answer_on(slide)
    remarks = ["patient-0815 is unlike the training data."]
    prediction = answer_on(slide, provenance={**seen.provenance, "fallbacks": remarks})
    path = tmp_path / "out" / f"a{FORMATS[name].suffixes[-1]}"
    export_prediction(prediction, name, path, pixels=slide)
    named = everything_in(path)
    choices = ExportChoices(anonymous=True)
    export_prediction(prediction, name, path, pixels=slide, choices=choices)
    assert b"0815" not in everything_in(path)
    assert everything_in(path) != named or name == "ome-zarr"


def test_the_csv_is_compressed_where_its_name_says_so(tmp_path):
    export_prediction(answer(), "csv", tmp_path / "a.csv")
    export_prediction(answer(), "csv", tmp_path / "a.csv.gz")

    assert (
        gzip.decompress((tmp_path / "a.csv.gz").read_bytes()) == (tmp_path / "a.csv").read_bytes()
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "a.csv.gz"]


def test_numbers_of_clusters_go_into_every_table(tmp_path):
    glyphs = (Glyph("#FF0000"), Glyph("#0000FF"))
    members = (np.array([0, 2, 5]), np.array([1, 3, 4]))
    groups = tuple(map(Group, "12", glyphs, members))
    grouping = Grouping(GroupKind.CLUSTER, "2 clusters (Ward)", groups)
    numbers = [1, 2, 1, 2, 2, 1]
    paths = {name: path_of(tmp_path, name) for name in ALONE}
    for name, path in paths.items():
        export_prediction(answer(), name, path, grouping=grouping)
    text = paths["csv"].read_text().splitlines()
    assert [row.rsplit(",", 1)[1] for row in text[-7:]] == ["cluster", *map(str, numbers)]
    features = json.loads(gzip.decompress(paths["geojson"].read_bytes()))["features"]
    assert [each["properties"]["measurements"]["cluster"] for each in features] == numbers
    with h5py.File(paths["hdf5"]) as file:
        assert file["clusters"][:].tolist() == numbers
    with h5py.File(paths["h5ad"]) as file:
        assert (file["obs/cluster/codes"][:] + 1).tolist() == numbers
    labels = zarr.open_group(paths["ome-zarr"], mode="r")["labels/clusters"]
    assert labels["0"][:].ravel().tolist() == numbers
    assert labels.attrs["ome"]["image-label"]["colors"][0]["rgba"] == [255, 0, 0, 255]
    assert "2 clusters (Ward)" in paths["html"].read_text()
