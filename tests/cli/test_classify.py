import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_mil.inference import pipeline
from napari_mil.inference.prediction import Prediction
from tests.cli.command import TOOL, run, sentence_of

ON_CPU = ("--classifier", "breast-malignancy", "--device", "cpu")


def classify(*arguments, out, **options):
    """Run ``classify`` with a shipped classifier on the CPU."""
    return run("classify", *arguments, *ON_CPU, "--out", out, **options)


@pytest.fixture(scope="module")
def classified(slide_path, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    result = classify(slide_path, out=out)
    assert result.returncode == 0, result.stderr
    return out, result


def test_classify_writes_an_answer_and_one_row_per_tile(classified):
    out, result = classified
    folder = out / "CMU-1-Small-Region"
    entries = json.loads((folder / "prediction.json").read_text())
    rows = list(csv.DictReader((folder / "instances.csv").read_text().splitlines()))
    assert entries["schema"] == "napari-mil/prediction/1"
    assert entries["n_instances"] == len(rows)
    assert set(rows[0]) == {"x", "y", "width", "height", "attention", "unlike"}
    assert sum(float(row["attention"]) for row in rows) == pytest.approx(1, abs=1e-4)
    assert entries["label"] in result.stdout


def test_the_command_gives_the_numbers_of_the_library(classified, slide_path):
    written = Prediction.load(classified[0] / "CMU-1-Small-Region")
    computed = pipeline.classify(slide_path, "breast-malignancy", device="cpu")
    assert np.array_equal(written.coords, computed.coords)
    assert np.allclose(written.attention, computed.attention, atol=1e-6)
    assert written.probabilities == pytest.approx(computed.probabilities, abs=1e-6)


def test_the_same_work_is_kept_and_other_work_replaces_it(slide_path, tmp_path):
    common = ("classify", slide_path, "--out", tmp_path, "--device", "cpu", "--tile-px", 96)
    answer = tmp_path / "CMU-1-Small-Region" / "prediction.json"
    first = run(*common, "--classifier", "colon-epithelium")
    written = answer.read_bytes()
    again = run(*common, "--classifier", "colon-epithelium")
    assert (first.returncode, again.returncode) == (0, 0)
    assert "kept" in again.stdout
    assert answer.read_bytes() == written
    other = run(*common, "--classifier", "breast-malignancy")
    assert other.returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["CMU-1-Small-Region"]
    assert json.loads(answer.read_text())["classifier"]["name"] == "breast-malignancy"


def test_a_second_slide_of_the_same_name_loses_nothing(slide_path, paint, noise, tmp_path):
    other = paint(noise, name="CMU-1-Small-Region.tiff").path
    result = classify(slide_path, other, "--mask", "none", out=tmp_path / "out")
    assert result.returncode == 0, result.stderr
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "CMU-1-Small-Region",
        "CMU-1-Small-Region-2",
    ]


def test_an_anonymous_answer_names_the_slide_nowhere(slide_path, tmp_path):
    result = classify(slide_path, "--anonymous", "--json", out=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "CMU" not in result.stdout.replace(str(tmp_path), "")
    assert not [
        path
        for path in tmp_path.rglob("*")
        if "CMU" in path.name or (path.is_file() and "CMU" in path.read_text())
    ]


def test_json_is_one_object_per_slide(slide_path, tmp_path):
    result = classify(slide_path, "--json", out=tmp_path)
    (line,) = result.stdout.splitlines()
    assert json.loads(line)["label"] in ("benign", "malignant")
    (remark,) = result.stderr.splitlines()
    assert remark.startswith("CMU-1-Small-Region.svs: This is unlike what breast-malignancy")


@pytest.mark.parametrize("kind", ["missing", "empty", "text", "truncated", "folder", "noise"])
def test_what_is_no_slide_is_one_sentence_and_exit_code_2(kind, spoil, tmp_path):
    path = tmp_path / "slide.svs"
    spoil(kind, path)
    result = classify(path, out=tmp_path / "out")
    assert result.returncode == 2
    assert "slide.svs" in sentence_of(result)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("where", [0.3, 0.6, 0.95])
def test_a_slide_cut_off_anywhere_is_refused_or_whole(where, slide_path, tmp_path):
    path = tmp_path / "slide.svs"
    data = slide_path.read_bytes()
    path.write_bytes(data[: int(len(data) * where)])
    result = classify(path, out=tmp_path / "out")
    assert result.returncode == 2
    assert "slide.svs" in sentence_of(result)
    assert not (tmp_path / "out").exists()


def test_a_slide_without_scale_names_the_way_out_which_works(paint, noise, tmp_path):
    path = paint(noise, mpp=None).path
    out = tmp_path / "out"
    refused = classify(path, "--mask", "none", out=out)
    assert refused.returncode == 2
    assert "--slide-mpp" in sentence_of(refused)
    assert "--level" in refused.stderr
    assert classify(path, "--mask", "none", "--slide-mpp", 0.5, out=out).returncode == 0
    by_level = classify(path, "--mask", "none", "--level", 0, out=out)
    assert by_level.returncode == 0
    assert "scale is unknown" in by_level.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--slide-mpp", "300"], "not plausible"),
        (["--slide-mpp", "-1"], "not plausible"),
        (["--slide-mpp", "coarse"], "invalid float value"),
        (["--level", "7"], "no level 7"),
        (["--tile-px", "-5"], "tile_px cannot be"),
        (["--tile-px", "0"], "tile_px cannot be"),
        (["--tile-px", "4"], "too small for the encoder"),
        (["--tile-px", "20000"], "no tile of 20000 px is half covered"),
        (["--mpp", "0"], "mpp cannot be"),
        (["--level", "0", "--mpp", "2"], "not both"),
        (["--mpp", "0.01"], "too coarse"),
        (["--device", "tpu"], "invalid choice"),
        (["--classifier", "lung"], "no classifier named 'lung'"),
    ],
)
def test_senseless_options_are_one_sentence(arguments, words, slide_path, tmp_path):
    chosen = [] if "--classifier" in arguments else ["--classifier", "breast-malignancy"]
    result = run("classify", slide_path, *chosen, "--out", tmp_path / "out", *arguments)
    assert result.returncode == 2
    assert words in sentence_of(result)
    assert not (tmp_path / "out").exists()


def test_glass_alone_is_refused(paint, tmp_path):
    path = paint(np.full((600, 600, 3), 243, np.uint8)).path
    result = classify(path, out=tmp_path / "out")
    assert result.returncode == 2
    assert "no tissue" in sentence_of(result)


def test_an_output_folder_that_is_a_file_is_refused_before_any_work(slide_path, tmp_path):
    (tmp_path / "out").touch()
    result = classify(slide_path, out=tmp_path / "out" / "deeper")
    assert result.returncode == 2
    assert "is no folder" in sentence_of(result)


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes anywhere")
def test_an_output_folder_without_permission_is_refused(slide_path, tmp_path):
    tmp_path.chmod(0o500)
    result = classify(slide_path, out=tmp_path / "out")
    assert result.returncode == 2
    assert "ermission denied" in sentence_of(result)


def test_of_several_slides_the_good_ones_are_done_and_the_bad_ones_named(slide_path, tmp_path):
    (tmp_path / "bad.svs").write_text("no slide")
    result = classify(tmp_path / "bad.svs", slide_path, out=tmp_path / "out")
    assert result.returncode == 3
    assert "bad.svs is neither a slide" in result.stderr
    assert "1 of 2 slides failed" in result.stderr
    assert (tmp_path / "out" / "CMU-1-Small-Region" / "prediction.json").is_file()


def test_a_reader_that_closes_the_pipe_does_not_stop_the_work(slide_path, paint, noise, tmp_path):
    other = paint(noise, name="other.tiff").path
    command = [*TOOL, "classify", slide_path, other, *ON_CPU, "--mask", "none"]
    with subprocess.Popen(
        [*map(str, command), "--out", tmp_path / "out"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        process.stdout.close()
        process.stderr.read()
    assert process.returncode == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "CMU-1-Small-Region",
        "other",
    ]


def test_the_same_slide_twice_is_done_once(slide_path, tmp_path):
    result = classify(slide_path, slide_path, out=tmp_path)
    assert result.returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["CMU-1-Small-Region"]
    assert "kept" in result.stdout.splitlines()[1]


def test_files_of_another_program_are_left_alone(slide_path, tmp_path):
    foreign = tmp_path / "CMU-1-Small-Region"
    foreign.mkdir()
    (foreign / "prediction.json").write_text("[]")
    result = classify(slide_path, out=tmp_path)
    assert result.returncode == 0, result.stderr
    assert (foreign / "prediction.json").read_text() == "[]"
    assert (tmp_path / "CMU-1-Small-Region-2" / "prediction.json").is_file()


def test_what_an_interrupted_run_left_is_replaced(slide_path, tmp_path):
    folder = tmp_path / "CMU-1-Small-Region"
    (folder / ".partial-x").mkdir(parents=True)
    (folder / "instances.csv").write_text("x,y")
    result = classify(slide_path, out=tmp_path)
    assert result.returncode == 0, result.stderr
    assert sorted(path.name for path in folder.iterdir()) == ["instances.csv", "prediction.json"]


def test_names_a_terminal_cannot_show_do_not_break_the_run(slide_path, tmp_path):
    path = Path(os.fsdecode(os.fsencode(tmp_path / "b") + b"\xff\xc3\xa4.svs"))
    shutil.copy(slide_path, path)
    environment = {**os.environ, "PYTHONIOENCODING": "cp1252"}
    result = classify(path, out=tmp_path / "out", env=environment)
    assert result.returncode == 0, result.stderr
    assert len(list((tmp_path / "out").rglob("prediction.json"))) == 1


def test_an_interrupt_ends_the_run_and_writes_nothing(slide_path, tmp_path):
    # The whole slide in small tiles takes long enough to be interrupted.
    command = [*TOOL, "classify", slide_path, *ON_CPU, "--mask", "none", "--tile-px", 32]
    with subprocess.Popen(
        [*map(str, command), "--out", tmp_path / "out"],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    ) as process:
        while not re.search(r": \d+ tiles$", process.stderr.readline().rstrip()):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "cancelled" in errors
    assert not list((tmp_path / "out").rglob("*.json"))


def run_and_measure(arguments):
    """Run the command; return its exit code, peak megabytes, and whether torch was loaded."""
    # Not ru_maxrss: that begins with the memory of the process that started this one.
    code = (
        "import re, sys\n"
        "from napari_mil.cli.main import run\n"
        f"code = run({[str(argument) for argument in arguments]!r})\n"
        "status = open('/proc/self/status').read()\n"
        "peak = int(re.search(r'VmHWM:\\s+(\\d+)', status)[1]) // 1024\n"
        "print(code, peak, int('torch' in sys.modules))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=True
    )
    exit_code, peak_mb, has_torch = map(int, result.stdout.split()[-3:])
    return exit_code, peak_mb, bool(has_torch)


@pytest.fixture
def fluorescence(tmp_path, noise):
    path = tmp_path / "fluorescence.ome.tif"
    planes = np.moveaxis(noise, -1, 0)[:2].astype(np.uint16)
    names = {"axes": "CYX", "Channel": {"Name": ["DAPI", "GFP"]}}
    tifffile.imwrite(path, planes, tile=(128, 128), metadata=names)
    return path


@pytest.mark.parametrize(
    "kind", ["glass", "no tile", "no scale", "fluorescence", "too coarse", "no slide", "folder"]
)
def test_a_refusal_loads_no_torch(kind, paint, noise, fluorescence, slide_path, tmp_path):
    glass = np.full((600, 600, 3), 243, np.uint8)
    (tmp_path / "text.svs").write_text("no slide")
    path, options = {
        "glass": (paint(glass, name="glass.tiff").path, ()),
        "no tile": (slide_path, ("--tile-px", 20_000)),
        "no scale": (paint(noise, mpp=None, name="scaleless.tiff").path, ("--mask", "none")),
        "fluorescence": (fluorescence, ()),
        "too coarse": (slide_path, ("--mpp", 0.01)),
        "no slide": (tmp_path / "text.svs", ()),
        "folder": (image_folder(tmp_path / "images", noise), ()),
    }[kind]
    arguments = ["classify", path, *ON_CPU, "--out", tmp_path / "out", *options]
    exit_code, peak_mb, has_torch = run_and_measure(arguments)
    assert (exit_code, has_torch) == (2, False)
    assert peak_mb < 150


def image_folder(folder, picture):
    folder.mkdir()
    for k in range(3):
        tifffile.imwrite(folder / f"{k}.tif", picture[:64, :64])
    return folder


def test_of_several_refused_slides_each_is_named_and_torch_stays_out(paint, tmp_path):
    glass = np.full((600, 600, 3), 243, np.uint8)
    paths = [paint(glass, name=name).path for name in ("a.tiff", "b.tiff")]
    out = tmp_path / "out"
    exit_code, _, has_torch = run_and_measure(["classify", *paths, *ON_CPU, "--out", out])
    assert (exit_code, has_torch) == (3, False)


def test_the_sparse_giant_costs_less_than_a_gigabyte(shared, tmp_path):
    path = shared / "data/slides/broken/sparse-54007x39429.svs"
    arguments = ["classify", path, "--classifier", "breast-malignancy"]
    arguments += ["--slide-mpp", "0.5", "--out", tmp_path]
    exit_code, peak_mb, _ = run_and_measure(arguments)
    assert exit_code in (0, 2)
    assert peak_mb < 1000
