import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import precision_recall_curve, roc_curve

from napari_mil.training.evaluation.answers import Link
from napari_mil.training.evaluation.curves import (
    OUTCOMES,
    curves_of,
    precision_recall_line,
    roc_line,
)
from napari_mil.training.evaluation.metrics import figures
from tests.training.evaluation.sample_answers import answers


@given(
    st.lists(st.tuples(st.booleans(), st.integers(-3, 3)), min_size=2, max_size=30).filter(
        lambda pairs: len({positive for positive, _ in pairs}) == 2
    )
)
def test_lines_are_those_of_scikit_learn(pairs):
    positive, scores = (np.array(column) for column in zip(*pairs, strict=True))
    expected = roc_curve(positive, scores, drop_intermediate=False)
    np.testing.assert_allclose(roc_line(positive, scores), expected[:2])
    precision, recall, _ = precision_recall_curve(positive, scores)
    x, y = precision_recall_line(positive, scores)
    np.testing.assert_allclose(x[1:], recall[:-1][::-1])
    np.testing.assert_allclose(y[1:], precision[:-1][::-1])


@pytest.mark.parametrize("link", Link)
def test_areas_are_those_of_the_figures(link):
    some = answers(link)
    curves = curves_of(some)
    found = [figures(some.targets, some.judged[r]) for r in range(2)]
    name = "auc_macro" if link is Link.MULTI_LABEL else "auc"
    assert np.mean([curve.area for curve in curves.roc]) == pytest.approx(
        np.mean([one[name] for one in found])
    )
    assert len(curves.roc) == (1 if link is Link.SIGMOID else 3)
    assert all(len(curve.lines) == 2 for curve in curves.roc)


@pytest.mark.parametrize("link", [Link.SIGMOID, Link.SOFTMAX])
def test_a_confusion_matrix_holds_every_bag_once_a_repeat(link):
    some = answers(link)
    confusion = curves_of(some).confusion
    assert confusion.counts.sum() == len(some.bags)
    accuracy = np.mean([figures(some.targets, some.judged[r])["accuracy"] for r in range(2)])
    assert np.trace(confusion.counts) == pytest.approx(accuracy * len(some.bags))
    in_cells = [
        bag
        for row in range(len(some.classes))
        for column in range(len(some.classes))
        for bag, times in confusion.bags_in(row, column)
        for _ in range(times)
    ]
    assert sorted(in_cells) == sorted([*range(len(some.bags))] * 2)


def test_bags_of_a_cell_have_its_class_and_answer():
    some = answers(repeats=1)
    for b, times in curves_of(some).confusion.bags_in(0, 1):
        assert times == 1
        assert some.targets[b] == 0
        assert some.predicted[0, b].tolist() == [False, True]


def test_labels_are_counted_one_by_one():
    some = answers(Link.MULTI_LABEL, repeats=1)
    confusion = curves_of(some).confusion
    assert confusion.columns == OUTCOMES
    assert (confusion.counts.sum(1) == len(some.bags)).all()
    assert confusion.counts[0, 0] + confusion.counts[0, 1] == some.targets[:, 0].sum()


@pytest.mark.parametrize("link", Link)
def test_calibration_covers_all_answers_and_temperature_moves_it(link):
    some = answers(link)
    curves = curves_of(some)
    n = len(some.bags) * (3 if link is Link.MULTI_LABEL else 1)
    assert curves.calibrated.count.sum() == n
    assert curves.uncalibrated.count.sum() == n
    weight = curves.calibrated.count / n
    right = some.targets.mean() if link is Link.SIGMOID else None
    if right is not None:
        assert (weight * curves.calibrated.observed).sum() == pytest.approx(right)
    # Temperatures are above 1: fewer answers are sure.
    assert curves.calibrated.count[-1] < curves.uncalibrated.count[-1]


def test_a_class_without_bags_has_no_line_and_no_area():
    some = answers(Link.SOFTMAX)
    without = some.only(np.flatnonzero(some.targets != 2))
    curve = curves_of(without).roc[2]
    assert curve.lines == ()
    assert np.isnan(curve.area)
