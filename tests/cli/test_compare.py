import json

from tests.cli.command import run, sentence_of
from tests.cli.labelled_bags import write_bags

OPTIONS = ("--epochs", 2, "--learning-rate", 0.005, "--device", "cpu")


def test_two_ways_of_training_are_compared_on_the_same_folds(tmp_path):
    cohort = write_bags(tmp_path / "cohort", signal=1.0)
    first = run("evaluate", cohort, "--out", tmp_path / "a", *OPTIONS, "--folds", 3, "--seed", 4)
    assert first.returncode == 0, first.stderr
    other = ("evaluate", cohort, "--out", tmp_path / "b", *OPTIONS, "--aggregator", "abmil")
    given = run(*other, "--folds-from", tmp_path / "a" / "predictions.csv")
    assert given.returncode == 0, given.stderr
    assert "The folds are those of predictions.csv" in given.stderr
    folds = [(tmp_path / name / "folds.csv").read_text() for name in "ab"]
    assert folds[0] == folds[1]
    done = run("compare", tmp_path / "a", tmp_path / "b")
    assert done.returncode == 0, done.stderr
    assert "24 bags of 24 patients" in done.stdout
    assert "2 − 1" in done.stdout
    facts = json.loads(run("compare", tmp_path / "a", tmp_path / "b", "--json").stdout)
    area = facts["metrics"]["auc"]
    assert abs(area["difference"] - (area["second"] - area["first"])) < 2e-4
    assert area["low"] <= area["difference"] <= area["high"]


def test_evaluations_on_other_folds_are_refused_with_the_remedy(tmp_path):
    cohort = write_bags(tmp_path / "cohort")
    for name, seed in (("a", 1), ("b", 2)):
        options = (*OPTIONS, "--folds", 3, "--seed", seed)
        assert run("evaluate", cohort, "--out", tmp_path / name, *options).returncode == 0
    refused = run("compare", tmp_path / "a", tmp_path / "b")
    assert refused.returncode == 2
    assert "--folds-from" in sentence_of(refused)


def test_a_folder_that_holds_no_evaluation_is_refused(tmp_path):
    refused = run("compare", tmp_path, tmp_path)
    assert refused.returncode == 2
    assert "holds no evaluation" in sentence_of(refused)
