import numpy as np
import pytest

from napari_mil.errors import OutputError
from napari_mil.training.evaluation.cross_validation import cross_validate
from napari_mil.training.evaluation.stored import read_figures


def test_figures_and_answers_of_an_evaluation_come_back(cohort, quick, settings, tmp_path):
    found = cross_validate(
        cohort, quick(epochs=1), folds=3, repeats=2, out=tmp_path, settings=settings, workers=1
    )
    stored = read_figures(tmp_path)
    assert stored.headline == found.headline
    assert stored.remarks == found.remarks
    for figure in stored.figures:
        value = found.metrics[figure.name]
        assert (figure.value, figure.low) == (round(value.mean, 4), round(value.low, 4))
    np.testing.assert_array_equal(stored.answers.probabilities, found.answers.probabilities)
    np.testing.assert_array_equal(stored.answers.fold_of, found.answers.fold_of)


def test_a_folder_without_or_with_a_broken_evaluation_is_refused(tmp_path):
    with pytest.raises(OutputError, match="holds no evaluation"):
        read_figures(tmp_path)
    (tmp_path / "evaluation.json").write_text("{")
    with pytest.raises(OutputError, match=r"without predictions\.csv"):
        read_figures(tmp_path)
    (tmp_path / "predictions.csv").write_text("bag\n")
    with pytest.raises(OutputError, match="cannot be read as predictions"):
        read_figures(tmp_path)
