import json
import os
import shutil
import signal
import subprocess
import time

import numpy as np
import pytest

from tests.cli.command import TOOL, run
from tests.cli.labelled_bags import write_bags

PUBLISHED_HAMIL = ("--aggregator", "hamil", "--protocol", "published")


@pytest.fixture
def cohort(tmp_path):
    return write_bags(tmp_path / "cohort")


def test_train_evaluate_and_classify(cohort, tmp_path):
    out = tmp_path / "run"
    options = ["--epochs", 3, "--learning-rate", 0.005, "--seed", 1]
    done = run("train", cohort, "--out", out, *options)
    assert done.returncode == 0, done.stderr
    assert "24 bags (12 benign, 12 malignant)" in done.stderr
    assert "epoch 3:" in done.stderr
    assert "optimistic" in done.stdout
    judged = run("evaluate", cohort, "--out", out, *options, "--folds", 3, "--repeats", 2)
    assert judged.returncode == 0, judged.stderr
    assert "honest protocol, 2 × 3 folds by bag (patients unknown)" in judged.stdout
    card = json.loads((out / "classifier" / "classifier.json").read_text())
    assert "honest" in card["evaluation"]["headline"]
    written = {"predictions.csv", "folds.csv", "figures.svg", "figures.png"}
    assert written <= set(os.listdir(out))
    bag = cohort / "malignant" / "malignant0.npy"
    classify = ("classify", bag, "--classifier", out / "classifier", "--out", tmp_path / "answers")
    answer = run(*classify, "--json")
    assert answer.returncode == 0, answer.stderr
    prediction = json.loads(answer.stdout)
    assert prediction["label"] == "malignant"
    assert prediction["slide"]["name"] == "malignant0"
    assert "kept, already made" in run(*classify).stdout
    again = run("train", cohort, "--out", out, "--resume")
    assert again.returncode == 0
    assert "nothing to do" in again.stdout


def test_a_configuration_file_is_enough(cohort, tmp_path):
    options = ("--epochs", 2, "--set", "instance_dropout=0.1")
    assert run("train", cohort, "--out", tmp_path / "a", *options).returncode == 0
    done = run("train", tmp_path / "a" / "config.json", "--out", tmp_path / "b", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["epoch"] in (1, 2)
    weights = [tmp_path / name / "classifier" / "weights.safetensors" for name in "ab"]
    assert weights[0].read_bytes() == weights[1].read_bytes()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "{tmp}/nowhere", "--out", "{tmp}/r"], "no folder with annotated bags"),
        (["train", "{cohort}/benign", "--out", "{tmp}/r"], "holds no bag"),
        (["train", "{cohort}", "--out", "{tmp}/r", "--aggregator", "x"], "no aggregator named"),
        (["train", "{cohort}", "--out", "{tmp}/r", "--epochs", "0"], "epochs"),
        (["train", "{cohort}", "--out", "{tmp}/r", "--encoder", "texture"], "features already"),
        (["train", "{cohort}", "--out", "{tmp}/r", "--from", "missing"], "no classifier named"),
        (["train", "{cohort}", "--out", "{tmp}/r", "--set", "epochs"], "FIELD=VALUE"),
        (["train", "{cohort}", "--out", "{tmp}/r", "--set", "foo=1"], "foo"),
        (["train", "{cohort}", "--out", "{cohort}/benign/benign0.npy"], "no folder"),
        (
            ["train", "{cohort}", "--out", "{tmp}/r", "--positive-class", "neither"],
            "not one of two classes",
        ),
        (
            ["evaluate", "{cohort}", "--out", "{tmp}/r", "--folds", "100"],
            "cannot be put into 100 folds",
        ),
        (["evaluate", "{cohort}", "--out", "{tmp}/r", "--folds", "1"], "at least 2 folds"),
        (
            ["evaluate", "{cohort}", "--out", "{tmp}/r", "--folds-from", "{tmp}/none.csv"],
            "none.csv does not exist",
        ),
        (
            ["evaluate", "{cohort}", "--out", "{tmp}/r", "--folds-from", "x", "--folds", "3"],
            "leave out --folds and --repeats",
        ),
        (
            ["evaluate", "{cohort}", "--out", "{tmp}/r", *PUBLISHED_HAMIL],
            "no published protocol",
        ),
        (["train", "{cohort}"], "--out"),
    ],
)
def test_a_fault_of_the_input_is_one_sentence_and_leaves_with_2(cohort, tmp_path, arguments, words):
    done = run(*(argument.format(tmp=tmp_path, cohort=cohort) for argument in arguments))
    assert done.returncode == 2, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "r" / "classifier").exists()


def test_an_interrupt_keeps_the_checkpoint_and_leaves_with_130(cohort, tmp_path):
    out = tmp_path / "run"
    command = [*TOOL, "train", cohort, "--out", out, "--epochs", "5000", "--set", "patience=5000"]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        while not (out / "checkpoint.pt").exists() and process.poll() is None:
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGINT)
        errors = process.stderr.read().decode()
        assert process.wait(60) == 130
    assert "cancelled" in errors
    assert (out / "checkpoint.pt").is_file()


def test_a_finished_run_needs_its_bags_no_more(cohort, tmp_path):
    out = tmp_path / "run"
    assert run("train", cohort, "--out", out, "--epochs", "1").returncode == 0
    shutil.move(cohort, tmp_path / "elsewhere")
    again = run("train", cohort, "--out", out, "--resume")
    assert again.returncode == 0, again.stderr
    assert "finished before" in again.stdout


def test_a_closed_progress_pipe_does_not_stop_the_training(cohort, tmp_path):
    out = tmp_path / "run"
    with subprocess.Popen(
        [*TOOL, "train", cohort, "--out", out, "--epochs", "30"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as process:
        process.stderr.readline()
        process.stderr.close()
        assert process.wait(120) == 0
    assert (out / "classifier" / "classifier.json").is_file()


def test_a_dry_run_prints_what_was_found_and_writes_nothing(cohort, tmp_path):
    (cohort / "benign" / "empty.pt").touch()
    done = run("train", cohort, "--out", tmp_path / "run", "--dry-run")
    assert done.returncode == 0
    assert "skipped empty.pt" in done.stderr
    assert not (tmp_path / "run").exists()


def test_a_dry_run_names_what_would_stop_the_run(cohort, tmp_path):
    odd = cohort / "benign" / "odd.npy"
    np.save(odd, np.ones((3, 99), np.float32))
    done = run("train", cohort, "--out", tmp_path / "run", "--dry-run")
    assert done.returncode == 2
    assert "1 of 99 numbers (the first odd.npy)" in done.stderr
    told = run("train", cohort, "--out", tmp_path / "run", "--dry-run", "--json")
    assert told.returncode == 2
    assert "several widths" in json.loads(told.stdout)["refusals"][0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--map-regions", "Tumor"), "Tumor=malignant,Stroma=benign"),
        (("--map-regions", "Tumor=bad"), "'bad', which is no class"),
        (("--set", "learnng_rate=1"), "did you mean learning_rate?"),
    ],
)
def test_a_wrong_option_is_refused_in_one_sentence(cohort, tmp_path, options, message):
    done = run("train", cohort, "--out", tmp_path / "run", *options)
    assert done.returncode == 2
    assert message in done.stderr
    assert not (tmp_path / "run").exists()


def test_a_pattern_gives_the_patients_and_is_suggested_where_names_split_evenly(tmp_path):
    for label in ("benign", "malignant"):
        (tmp_path / label).mkdir()
        for k in range(6):
            np.save(tmp_path / label / f"{label[0]}{k // 2}_{k % 2}.npy", np.ones((3, 4), "f4"))
    options = ("--out", tmp_path / "run", "--dry-run")
    unknown = run("train", tmp_path, *options)
    assert "patients unknown" in unknown.stderr
    assert "6 patients: --patient-pattern" in unknown.stderr
    known = run("train", tmp_path, *options, "--patient-pattern", "^(.+)_")
    assert known.returncode == 0, known.stderr
    assert "of 6 patients" in known.stderr


def test_folds_come_from_a_column_of_the_table_unless_a_number_is_asked_for(cohort, tmp_path):
    paths = sorted(cohort.glob("*/*.npy"))
    rows = [f"{p.relative_to(cohort)},{p.parent.name},{k % 3}" for k, p in enumerate(paths)]
    (cohort / "labels.csv").write_text("\n".join(("slide,label,fold", *rows)))
    command = ("evaluate", cohort, "--out", tmp_path / "run", "--epochs", 1)
    own = run(*command)
    assert own.returncode == 0, own.stderr
    assert "The folds are those of labels.csv" in own.stderr
    assert "honest protocol, 3 folds" in own.stdout
    asked = run(*command, "--folds", 2)
    assert "honest protocol, 2 folds" in asked.stdout
    assert "labels.csv" not in asked.stderr


def test_the_classifier_of_every_fold_is_kept_and_answers(cohort, tmp_path):
    out = tmp_path / "run"
    done = run("evaluate", cohort, "--out", out, "--epochs", 1, "--folds", 2, "--keep-models")
    assert done.returncode == 0, done.stderr
    models = sorted(path.name for path in (out / "models").iterdir())
    assert models == ["repeat-0-fold-0", "repeat-0-fold-1"]
    text = (out / "models" / models[0] / "classifier.json").read_text()
    assert str(cohort) not in text
    assert "benign0" not in text
    answer = run(
        *("score", out / "models" / models[0], cohort, "--out", tmp_path / "score", "--json")
    )
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout)["training data of the classifier"] == 12
