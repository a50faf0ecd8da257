"""kill -9 at any moment, then --resume: the same bits."""

import random
import subprocess
import sys
import time

import pytest

COMMAND = [sys.executable, "-m", "napari_mil", "train"]


def weights(run):
    (file,) = run.rglob("weights.safetensors")
    return file.read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        ["--aggregator", "gated-abmil"],
        [
            "--aggregator",
            "dsmil-released",
            "--strategy",
            "r-ham",
            "--set",
            "instance_dropout=0.2",
            "--class-balance",
            "sampling",
        ],
    ],
)
def test_a_run_killed_at_random_moments_comes_to_the_same_bits(feature_folder, tmp_path, options):
    cohort = feature_folder(n=16)
    common = [str(cohort), "--epochs", "12", "--seed", "5", "--device", "cpu", *options]
    subprocess.run(
        [*COMMAND, *common, "--out", str(tmp_path / "whole")], check=True, capture_output=True
    )
    chance, history = random.Random(), tmp_path / "cut" / "history.csv"
    for rows in (1, 4, 8):
        process = subprocess.Popen(
            [*COMMAND, *common, "--out", str(tmp_path / "cut"), "--resume"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while (
            process.poll() is None
            and (history.read_text().count("\n") - 1 if history.exists() else 0) < rows
        ):
            time.sleep(0.001)
        time.sleep(chance.uniform(0, 0.1))
        process.kill()
        process.wait()
    subprocess.run(
        [*COMMAND, *common, "--out", str(tmp_path / "cut"), "--resume"],
        check=True,
        capture_output=True,
    )
    assert weights(tmp_path / "whole") == weights(tmp_path / "cut")
    rows = [
        line.rsplit(",", 1)[0] for line in history.read_text().splitlines()
    ]  # without the seconds
    assert rows == [
        line.rsplit(",", 1)[0]
        for line in (tmp_path / "whole" / "history.csv").read_text().splitlines()
    ]
