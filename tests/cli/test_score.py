import csv
import json
import os
import signal
import subprocess
import time

import numpy as np
import pytest

from tests.cli.command import TOOL, run, sentence_of
from tests.cli.labelled_bags import write_bags


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return a cohort and a classifier that was trained on it."""
    root = tmp_path_factory.mktemp("trained")
    write_bags(root / "cohort")
    options = ("--epochs", 3, "--learning-rate", 0.005, "--device", "cpu")
    done = run("train", root / "cohort", "--out", root / "run", *options)
    assert done.returncode == 0, done.stderr
    return root / "cohort", root / "run" / "classifier"


def test_a_labelled_cohort_is_scored(trained, tmp_path):
    other = write_bags(tmp_path / "other", n=6, seed=3, classes=("Benign", "cancer"))
    out = tmp_path / "out"
    command = ("score", trained[1], other, "--out", out, "--map-classes", "cancer=malignant")
    done = run(*command)
    assert done.returncode == 0, done.stderr
    assert "The class Benign of the cohort is taken for benign" in done.stderr
    assert "12 bags are unlike what the classifier was trained on" in done.stderr
    assert "run on 12 bags of other" in done.stdout
    assert "sensitivity" in done.stdout
    assert {"score.json", "predictions.csv", "figures.svg", "figures.png"} <= set(os.listdir(out))
    with (out / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["class"] for row in rows} == {"benign", "malignant"}
    again = run(*command, "--resume", "--json")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout) == json.loads((out / "score.json").read_text())


def test_bags_that_fail_are_named_and_leave_with_3(trained, tmp_path):
    other = write_bags(tmp_path / "other", n=4, seed=3)
    np.save(other / "benign" / "wide.npy", np.zeros((3, 9), np.float32))
    done = run("score", trained[1], other, "--out", tmp_path / "out")
    assert done.returncode == 3
    assert "wide.npy is left out: " in done.stderr
    assert "napari-mil: 1 of 9 bags failed." in done.stderr
    assert (tmp_path / "out" / "score.json").is_file()


def test_training_data_is_said_to_be_so(trained, tmp_path):
    cohort, classifier = trained
    done = run("score", classifier, cohort, "--out", tmp_path / "out")
    assert "24 of 24 bags were training data of run" in done.stderr
    assert "24 of which it was trained on" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["score", "nobody", "{cohort}"], "no classifier named"),
        (["score", "{classifier}", "{tmp}/nowhere"], "no folder with annotated bags"),
        (["score", "{classifier}", "{cohort}", "--map-classes", "benign"], "are mapped as"),
        (["score", "{classifier}", "{cohort}", "--map-classes", "x=benign"], "not in cohort"),
        (["score", "{classifier}", "{strange}"], "None of the classes of strange"),
        (["score", "{classifier}", "{cohort}", "--level", "1", "--mpp", "1"], "not both"),
    ],
)
def test_a_fault_of_the_input_is_one_sentence_and_writes_nothing(
    trained, tmp_path, arguments, words
):
    strange = write_bags(tmp_path / "strange", n=1, classes=("a", "b"))
    places = {
        "cohort": trained[0],
        "classifier": trained[1],
        "tmp": tmp_path,
        "strange": strange,
    }
    filled = [argument.format(**places) for argument in arguments]
    done = run(*filled, "--out", tmp_path / "out", "--json")
    assert done.returncode == 2
    assert words in sentence_of(done)
    assert not (tmp_path / "out").exists()


def test_a_score_that_is_killed_goes_on(trained, tmp_path):
    other = write_bags(tmp_path / "other", n=300, seed=3)
    out = tmp_path / "out"
    command = ["score", str(trained[1]), str(other), "--out", str(out), "--resume", "--no-cache"]
    with subprocess.Popen([*TOOL, *command], stderr=subprocess.DEVNULL) as process:
        while len(list(out.glob("answers/*.json"))) < 5 and process.poll() is None:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    kept = {path: path.stat().st_mtime_ns for path in out.glob("answers/*.json")}
    assert 5 <= len(kept) < 600
    done = run(*command)
    assert done.returncode == 0, done.stderr
    assert "600 bags of other" in done.stdout
    assert all(path.stat().st_mtime_ns == then for path, then in kept.items())
