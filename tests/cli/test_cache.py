import json
import os

import pytest

from napari_mil.cli import main
from napari_mil.disk_cache import CacheKind, CacheLease
from napari_mil.settings import Settings
from tests.cli.command import run, sentence_of


@pytest.fixture
def folder():
    """Return the cache of this test with two files of features and an overview."""
    root = Settings().cache_folder
    for kind, name, day in (
        (CacheKind.FEATURES, "a.safetensors", 1),
        (CacheKind.FEATURES, "b.safetensors", 2),
        (CacheKind.OVERVIEWS, "c.png", 3),
    ):
        path = root / kind / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(1500))
        os.utime(path, (1_700_000_000 + day * 86_400,) * 2)
    return root


def output(capsys, *options):
    assert main.run(["cache", *options]) == 0
    return capsys.readouterr().out


def test_an_empty_cache_is_shown_and_cleared(capsys):
    assert "features   0 files" in output(capsys)
    assert output(capsys, "--list") == "The cache is empty.\n"
    assert output(capsys, "--clear") == "0 files deleted, 0 B.\n"


def test_size_number_and_last_uses_of_each_kind_are_shown(folder, capsys):
    lines = output(capsys).splitlines()
    assert lines[0].startswith("features   2 files, 3 kB, last used 2023-11-1")
    assert lines[1] == "images     0 files"
    assert lines[2].startswith("overviews  1 file, 1.5 kB")
    assert lines[3] == f"4.5 kB of 20 GB in {folder}"
    facts = json.loads(output(capsys, "--json"))
    assert facts["bytes"] == 4500
    assert facts["limit_bytes"] == 20_000_000_000
    assert facts["kinds"][0] == {
        "kind": "features",
        "files": 2,
        "bytes": 3000,
        "oldest": "2023-11-15T22:13:20+00:00",
        "newest": "2023-11-16T22:13:20+00:00",
    }


def test_files_are_listed_and_the_folder_is_named(folder, capsys):
    lines = output(capsys, "--list").splitlines()
    assert [line.split("/")[-1] for line in lines] == ["a.safetensors", "b.safetensors", "c.png"]
    (row,) = json.loads(output(capsys, "--list", "--kind", "overviews", "--json"))["files"]
    assert (row["kind"], row["bytes"]) == ("overviews", 1500)
    assert output(capsys, "--dir") == f"{folder}\n"
    assert json.loads(output(capsys, "--dir", "--json")) == {"folder": str(folder)}


def test_clearing_takes_one_kind_or_all(folder, capsys):
    facts = json.loads(output(capsys, "--clear", "--kind", "features", "--json"))
    assert facts == {"files": 2, "bytes": 3000}
    assert output(capsys, "--clear") == "1 file deleted, 1.5 kB.\n"


def test_a_cache_in_use_by_a_training_run_is_not_cleared(folder, capsys):
    lease = CacheLease(folder)
    assert main.run(["cache", "--clear"]) == 2
    assert "A training run reads from the cache" in capsys.readouterr().err
    lease.release()
    assert output(capsys, "--clear") == "3 files deleted, 4.5 kB.\n"


def test_options_that_contradict_each_other_are_one_sentence():
    result = run("cache", "--clear", "--dir")
    assert result.returncode == 2
    assert "not allowed with" in sentence_of(result)


def test_the_second_classifier_says_that_its_features_come_from_the_cache(slide_path, tmp_path):
    def classified(classifier, *options):
        arguments = ("--device", "cpu", "--out", tmp_path / f"{classifier}{len(options)}")
        result = run("classify", slide_path, "--classifier", classifier, *arguments, *options)
        assert result.returncode == 0, result.stderr
        (table,) = (tmp_path / f"{classifier}{len(options)}").glob("*/instances.csv")
        return "features from the cache" in result.stdout, table.read_bytes()

    first = classified("breast-malignancy")
    assert not first[0]
    assert not classified("breast-malignancy", "--no-cache")[0]
    assert json.loads(run("cache", "--json").stdout)["kinds"][0]["files"] == 1
    again = classified("breast-malignancy", "--json", "--anonymous")
    assert again[1] == first[1]
    result = run(
        "classify", slide_path, "--classifier", "breast-malignancy", "--out", tmp_path / "third"
    )
    assert "features from the cache" in result.stdout
