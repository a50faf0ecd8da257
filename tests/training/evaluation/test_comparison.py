import json
from dataclasses import replace

import numpy as np
import pytest

from napari_mil.errors import OptionError, OutputError
from napari_mil.training.evaluation.answers import Link
from napari_mil.training.evaluation.comparison import compare, differences, paired_intervals
from napari_mil.training.evaluation.metrics import figures
from napari_mil.training.evaluation.predictions_table import PredictionsTable
from tests.training.evaluation.sample_answers import answers


@pytest.fixture
def run_of(tmp_path):
    """Return a function that writes the folder of an evaluation."""

    def write(name, some, file="evaluation.json"):
        folder = tmp_path / name
        folder.mkdir()
        entries = {"headline": f"headline of {name}", "metrics": {}, "remarks": []}
        (folder / file).write_text(json.dumps(entries))
        (folder / "predictions.csv").write_text(PredictionsTable.of(some).text(), "utf-8")
        return folder

    return write


def better(some, by=1.5):
    """Return answers that are further on the right side."""
    truth = np.eye(len(some.classes))[some.targets] if some.targets.ndim == 1 else some.targets
    if some.link is Link.SIGMOID:
        truth = truth[:, 1:]
    return replace(some, uncalibrated=some.uncalibrated + by * (2 * truth - 1))


@pytest.mark.parametrize("link", Link)
def test_a_difference_is_that_of_the_figures_and_its_interval_holds_it(link, run_of):
    first = answers(link, n=60)
    found = compare(run_of("a", first), run_of("b", better(first)))
    name = "auc_macro" if link is Link.MULTI_LABEL else "auc"
    area = found.metrics[name]
    expected = np.mean([figures(first.targets, first.judged[r])[name] for r in range(2)])
    assert area.first == pytest.approx(expected)
    assert area.difference == pytest.approx(area.second - area.first)
    assert area.low < area.difference < area.high
    assert area.is_clear
    assert found.first == "a: headline of a"
    assert (found.n_bags, found.n_groups, found.repeats) == (60, 30, 2)


def test_an_evaluation_does_not_differ_from_itself_in_another_order(run_of):
    some = answers()
    shuffled = some.only(np.random.default_rng(1).permutation(len(some.bags)))
    found = compare(run_of("a", some), run_of("b", shuffled))
    for name, value in found.metrics.items():
        assert value.difference == 0
        # The limits of an AUC lie at other distances above and below, also beside itself.
        width = 0.1 if name == "auc" else 0
        assert -width <= value.low <= 0 <= value.high <= width
    assert not any(value.is_clear for value in found.metrics.values())


def test_pairs_make_a_difference_clearer_than_two_intervals():
    """Answers that share their noise differ by what they do not share."""
    first = answers(n=60, signal=1.0)
    second = better(first, 0.4)
    paired = differences(first, second)["auc"]
    assert paired.is_clear

    def area(some):
        return lambda bags: {"auc": figures(some.targets[bags], some.judged[0, bags])["auc"]}

    nothing = paired_intervals(lambda bags: {"auc": 0.0}, area(first), first.groups)
    low, high = nothing["auc"]
    assert paired.high - paired.low < 0.6 * (high - low)


def test_whole_patients_are_drawn():
    some = answers(n=40, repeats=1)
    seen = []

    def note(bags):
        seen.append(np.bincount(bags, minlength=40))
        return {"n": 0.0}

    paired_intervals(note, note, some.groups, samples=20)
    drawn = np.array(seen)
    assert (drawn[:, ::2] == drawn[:, 1::2]).all()
    assert (drawn > 1).any()


def test_scores_are_compared_too_but_not_with_evaluations(run_of):
    some = answers(repeats=1)
    one = replace(some, fold_of=None)
    a = run_of("a", one, "score.json")
    found = compare(a, run_of("b", better(one), "score.json"))
    assert found.metrics["auc"].difference > 0
    with pytest.raises(OptionError, match="a is a score, c an evaluation"):
        compare(a, run_of("c", some))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda some: some.only(np.arange(5, 30)), "5 of a are missing"),
        (lambda some: replace(some, fold_of=some.fold_of[:, ::-1]), "on other folds"),
        (lambda some: answers(repeats=3), "on other folds"),
        (lambda some: replace(some, classes=("normal", "other")), "has the classes"),
        (
            lambda some: replace(
                some, bags=(replace(some.bags[0], patient="other"), *some.bags[1:])
            ),
            "1 of 30 bags have another class or patient",
        ),
    ],
)
def test_what_cannot_be_paired_is_refused_in_one_sentence(run_of, change, said):
    some = answers()
    other = change(some)
    if other.classes != some.classes:
        renamed = [
            replace(bag, labels=tuple("other" if "tum" in n else n for n in bag.labels))
            for bag in other.bags
        ]
        other = replace(other, bags=tuple(renamed))
    with pytest.raises(OptionError, match=said):
        compare(run_of("a", some), run_of("b", other))


def test_folds_may_be_numbered_otherwise(run_of):
    some = answers()
    other = replace(some, fold_of=(some.fold_of + 1) % 3)
    assert compare(run_of("a", some), run_of("b", other)).metrics["auc"].difference == 0


def test_a_folder_without_an_evaluation_is_refused(tmp_path, run_of):
    a = run_of("a", answers())
    with pytest.raises(OutputError, match="holds no evaluation"):
        compare(a, tmp_path)
    b = run_of("b", answers())
    (b / "predictions.csv").unlink()
    with pytest.raises(OutputError, match=r"without predictions\.csv"):
        compare(a, b)
