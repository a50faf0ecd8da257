import json
import os
import signal
import subprocess

import pytest

from napari_mil.bags import read_bag
from tests.cli.command import TOOL, run, sentence_of

ON_CPU = ("--encoder", "texture", "--device", "cpu", "--tile-px", 96, "--mpp", 1)


def embed(*arguments, out, **options):
    """Run ``embed`` with the computed encoder on the CPU."""
    return run("embed", *arguments, *ON_CPU, "--out", out, **options)


def test_embed_writes_features_and_keeps_them(slide_path, tmp_path):
    out = tmp_path / "out"
    first = embed(slide_path, out=out)
    assert first.returncode == 0, first.stderr
    assert "tiles × 78" in first.stdout
    (path,) = out.glob("*/features_texture/*.h5")
    bag = read_bag(path, slide_path)
    assert bag.warnings == ()
    again = embed(slide_path, "--json", out=out)
    facts = json.loads(again.stdout)
    assert facts["kept"] is True
    assert (facts["path"], facts["n_instances"], facts["dim"]) == (str(path), len(bag), 78)
    assert again.stderr == ""


def test_one_bad_slide_of_several_is_named_and_the_others_are_written(slide_path, tmp_path):
    bad = tmp_path / "bad.svs"
    bad.write_text("no slide")
    out = tmp_path / "out"
    result = embed(bad, slide_path, "--quiet", out=out)
    assert result.returncode == 3
    first, last = result.stderr.strip().splitlines()
    assert first.startswith("napari-mil: bad.svs")
    assert last == "napari-mil: 1 of 2 slides failed."
    assert len(list(out.glob("*/features_texture/*.h5"))) == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--encoder", "no-such"], "There is no encoder named 'no-such'"),
        (["--level", "0", "--mpp", "1"], "give --level or --mpp, not both"),
        (["--tile-px", "4"], "takes tiles of at least 8 px, not 4"),
        (["--level", "9"], "has no level 9"),
        (["--weights", "w.pt"], "takes no weights; leave out w.pt"),
        (["--slide-mpp", "0.0001"], "not plausible"),
    ],
)
def test_a_fault_of_the_input_is_one_sentence(slide_path, tmp_path, options, words):
    common = ["--encoder", "texture", "--out", tmp_path / "out"]
    result = run("embed", slide_path, *common, *options)
    assert result.returncode == 2
    assert words in sentence_of(result)
    assert not (tmp_path / "out").exists()


def test_ctrl_c_leaves_whole_files_alone(slide_path, tmp_path):
    out = tmp_path / "out"
    small = ("--tile-px", "8", "--mpp", "0.5", "--mask", "none")
    arguments = (slide_path, "--encoder", "texture", "--device", "cpu", *small, "--out", out)
    with subprocess.Popen(
        [*TOOL, "embed", *map(str, arguments)], stderr=subprocess.PIPE, text=True, env=os.environ
    ) as process:
        assert "tiles" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        message = process.stderr.read()
    assert process.returncode == 130
    assert "cancelled" in message
    assert [path for path in out.rglob("*") if path.is_file()] == []
