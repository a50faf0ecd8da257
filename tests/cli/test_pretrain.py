import json
import os
import signal
import subprocess

import pytest

from tests.cli.command import TOOL, run, sentence_of
from tests.conftest import write_pyramid

SMALL = ("--tiles", 32, "--tile-px", 32, "--epochs", 2, "--batch", 16, "--mask", "none")


def pretrain(*arguments, out, options=SMALL):
    """Run ``pretrain`` on the CPU."""
    return run("pretrain", *arguments, *options, "--device", "cpu", "--out", out)


@pytest.fixture
def folder(tmp_path, slide):
    """Six regions of a real slide, each as a slide of its own."""
    root = tmp_path / "slides"
    root.mkdir()
    for k in range(6):
        place = (400 + 700 * (k % 2), 300 + 260 * (k // 2))
        (root / f"part{k}").mkdir()
        pixels = slide.read_region(place, 0, (192, 192))
        write_pyramid(root / f"part{k}" / f"region{k}.tiff", pixels)
    return root


def test_pretrain_writes_an_encoder_that_the_other_verbs_take(folder, tmp_path, slide_path):
    out = tmp_path / "mine"
    first = pretrain(folder, out=out)
    assert first.returncode == 0, first.stderr
    assert f"{out}: done → {out / 'encoder'}" in first.stdout
    assert "a neighbouring tile is nearer than a distant one" in first.stdout
    assert "95 % interval" in first.stdout
    assert "epoch 2: loss" in first.stderr
    again = pretrain(folder, "--resume", "--json", out=out)
    facts = json.loads(again.stdout)
    assert facts["already_done"] is True
    assert facts["probes"][0]["verdict"] in ("better", "worse", "not shown to be better")
    tiles = ("--device", "cpu", "--tile-px", 224, "--mpp", 1)
    embedded = run("embed", slide_path, "--encoder", out, *tiles, "--out", tmp_path / "features")
    assert embedded.returncode == 0, embedded.stderr
    assert list((tmp_path / "features").glob("*/features_mine/*.h5"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--tiles", "3"], "tiles: "),
        (["--level", "0", "--mpp", "1"], "give level or mpp, not both"),
        (["--tile-px", "4"], "tiles of at least 32 px, not 4"),
        (["--epochs", "0"], "epochs: "),
        (["--level", "9"], "has no level 9"),
        (["--slide-mpp", "x"], "invalid float value"),
        (["--device", "tpu9"], "no device named 'tpu9'"),
    ],
)
def test_a_fault_of_the_options_is_one_sentence(slide_path, tmp_path, options, words):
    result = run("pretrain", slide_path, "--json", "--out", tmp_path / "out", *options)
    assert result.returncode == 2
    assert words in sentence_of(result)
    assert not (tmp_path / "out").exists()


def test_slides_that_are_none_are_one_sentence(tmp_path):
    (tmp_path / "bad.svs").write_text("no slide")
    (tmp_path / "empty").mkdir()
    for name in ("bad.svs", "empty", "nowhere"):
        result = pretrain(tmp_path / name, out=tmp_path / "out")
        assert result.returncode == 2, name
        assert name in sentence_of(result)
        assert not (tmp_path / "out").exists()


def test_ctrl_c_keeps_what_was_complete_and_resume_goes_on(folder, tmp_path):
    out = tmp_path / "run"
    arguments = (folder, *SMALL, "--epochs", 500, "--device", "cpu", "--out", out)
    with subprocess.Popen(
        [*TOOL, "pretrain", *map(str, arguments)], stderr=subprocess.PIPE, text=True, env=os.environ
    ) as process:
        lines = iter(process.stderr.readline, "")
        assert any(line.startswith("epoch 1:") for line in lines)
        process.send_signal(signal.SIGINT)
        message = process.stderr.read()
    assert process.returncode == 130
    assert "cancelled" in message
    assert (out / "checkpoint.pt").is_file()
    assert not (out / "encoder").exists()
    assert not list(out.glob(".*.part"))
    other = pretrain(folder, "--resume", out=out)
    assert other.returncode == 2
    assert "started with epochs 500, now 2" in other.stderr
