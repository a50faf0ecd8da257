import gzip
import json

import h5py
import numpy as np
import pytest

from napari_mil.exports.cards import FORMATS
from tests.cli.command import run, sentence_of
from tests.exports.answers import answer, answer_on, images_answer


@pytest.fixture
def saved(tmp_path):
    """Return the folder of an answer about a slide that is not at hand."""
    answer().save(tmp_path / "results" / "a slide")
    return tmp_path / "results" / "a slide"


@pytest.fixture
def painted(paint, noise, tmp_path):
    """Return a slide and the folder of an answer about it."""
    slide = paint(noise)
    answer_on(slide).save(tmp_path / "results" / "painted")
    return slide.path, tmp_path / "results" / "painted"


def test_one_answer_in_one_format_takes_the_name_that_is_given(saved, tmp_path):
    target = tmp_path / "new folder" / "tiles.geojson"
    result = run("export", saved, "--format", "geojson", "--out", target)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == f"a slide: GeoJSON for QuPath → {target}"
    assert len(json.loads(target.read_text())["features"]) == 6


def test_a_folder_gets_a_file_for_each_answer_and_format(saved, tmp_path):
    answer().save(saved.parent / "another")
    out = tmp_path / "out"
    formats = ("--format", "csv", "--format", "geojson", "--format", "csv")
    result = run("export", saved.parent, *formats, "--out", out, "--json")
    assert result.returncode == 0, result.stderr
    assert sorted(path.name for path in out.iterdir()) == [
        "a slide.csv",
        "a slide.geojson.gz",
        "another.csv",
        "another.geojson.gz",
    ]
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["format"] for line in lines] == ["csv", "geojson"] * 2
    assert lines[0]["path"] == str(out / "a slide.csv")


def test_every_format_is_written_of_a_slide_that_is_given(painted, tmp_path):
    slide, folder = painted
    formats = [word for name in FORMATS for word in ("--format", name)]
    result = run("export", folder, *formats, "--out", tmp_path / "out", "--slide", slide)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {f"painted{card.suffixes[0]}" for card in FORMATS.values()}


def test_each_answer_takes_its_own_slide(painted, paint, noise, tmp_path):
    slide, folder = painted
    other = paint(noise[::-1], name="other.tiff")
    answer_on(other).save(folder.parent / "other")
    common = ("--format", "html", "--out", tmp_path / "out")
    result = run("export", folder.parent, *common, "--slide", slide, other.path)
    assert result.returncode == 0, result.stderr
    assert len(list((tmp_path / "out").iterdir())) == 2
    third = paint(noise[:, ::-1], name="third.tiff")
    result = run("export", folder.parent, *common, "--slide", slide, third.path)
    assert result.returncode == 3
    assert "None of the 2 slides is the one that other was made of" in result.stderr
    assert "1 of 2 exports failed" in result.stderr


def test_another_slide_is_refused(painted, paint, noise, tmp_path):
    _, folder = painted
    other = paint(noise[::-1], name="other.tiff")
    target = tmp_path / "a.png"
    result = run("export", folder, "--format", "png", "--out", target, "--slide", other.path)
    assert result.returncode == 2
    assert "other.tiff is not what this answer was made of" in sentence_of(result)
    assert not target.exists()


def test_names_are_left_out_also_of_files(painted, tmp_path):
    slide, folder = painted
    out = tmp_path / "out"
    result = run("export", folder, "--format", "csv", "--out", out, "--anonymous", "--slide", slide)
    assert result.returncode == 0, result.stderr
    (path,) = out.iterdir()
    fingerprint = json.loads((folder / "prediction.json").read_text())["slide"]["fingerprint"]
    assert path.name == f"slide-{fingerprint[:8]}.csv"
    assert "painted" not in path.read_text()


def test_answers_of_the_same_name_get_files_of_their_own(saved, tmp_path):
    answer(seed=5).save(tmp_path / "again" / "a slide")
    out = tmp_path / "out"
    result = run("export", saved, tmp_path / "again" / "a slide", "--format", "csv", "--out", out)
    assert result.returncode == 0, result.stderr
    assert sorted(path.name for path in out.iterdir()) == ["a slide-2.csv", "a slide.csv"]


def test_features_become_the_matrix(saved, tmp_path):
    np.save(tmp_path / "features.npy", np.ones((6, 4), np.float32))
    target = tmp_path / "a.h5ad"
    features = ("--features", tmp_path / "features.npy")
    result = run("export", saved, "--format", "h5ad", "--out", target, *features)
    assert result.returncode == 0, result.stderr
    with h5py.File(target) as file:
        assert file["X"].shape == (6, 4)


def test_choices_of_qupaths_objects_and_corner_are_followed(saved, tmp_path):
    target = tmp_path / "a.geojson.gz"
    options = ("--objects", "annotation", "--corner", "canvas")
    result = run("export", saved, "--format", "geojson", "--out", target, *options)
    assert result.returncode == 0, result.stderr
    document = json.loads(gzip.decompress(target.read_bytes()))
    assert document["features"][0]["properties"]["objectType"] == "annotation"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--format", "docx"), "invalid choice: 'docx'"),
        (("--format", "png"), "give the slide that was classified"),
        (("--format", "html", "--column", "score_dog"), "no column 'score_dog'"),
    ],
)
def test_bad_input_gets_one_sentence(saved, tmp_path, arguments, words):
    result = run("export", saved, *arguments, "--out", tmp_path / "out")
    assert result.returncode == 2
    assert words in sentence_of(result)
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


def test_a_folder_without_an_answer_is_named(tmp_path):
    result = run("export", tmp_path / "nothing", "--format", "csv", "--out", tmp_path / "a.csv")
    assert result.returncode == 2
    assert "nothing holds no complete prediction" in sentence_of(result)


def test_of_several_exports_those_that_cannot_be_made_are_named(saved, tmp_path):
    images_answer().save(saved.parent / "images")
    out = tmp_path / "out"
    result = run("export", saved.parent, "--format", "geojson", "--out", out)
    assert result.returncode == 3
    assert "patient-7 have no positions on a slide" in result.stderr
    assert [path.name for path in out.iterdir()] == ["a slide.geojson.gz"]


def test_a_file_that_is_in_the_way_is_named(saved, tmp_path):
    (tmp_path / "out").touch()
    result = run("export", saved, "--format", "csv", "--out", tmp_path / "out")
    assert result.returncode == 2
    assert "is no folder and does not end with .csv" in sentence_of(result)
