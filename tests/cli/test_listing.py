import json

from napari_mil.aggregators import list_aggregators
from napari_mil.cli import main
from tests.cli.command import run


def test_list_slides_says_what_each_is(slide_path):
    result = run("list", "slides", slide_path.parent, "--json")
    rows = {row["name"]: row["about"] for row in json.loads(result.stdout)}
    assert rows["CMU-1-Small-Region.svs"] == "2220 × 2967, 1 level, 0.499 µm/px, aperio"


def test_a_file_that_is_no_slide_is_listed_with_the_reason(tmp_path, capsys):
    (tmp_path / "notes.svs").write_text("no slide")
    (tmp_path / "notes.txt").touch()
    assert main.run(["list", "slides", str(tmp_path)]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("notes.svs  cannot be opened: ")


def test_every_aggregator_is_listed_with_its_source(capsys):
    assert main.run(["list", "aggregators", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in rows] == list(list_aggregators())
    assert all(row["about"].endswith(")") for row in rows)


def test_a_missing_folder_is_refused_and_an_empty_one_has_no_slides(tmp_path, capsys):
    assert main.run(["list", "slides", str(tmp_path / "nowhere")]) == 2
    assert "is no folder" in capsys.readouterr().err
    assert main.run(["list", "slides", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "No slides found.\n"
