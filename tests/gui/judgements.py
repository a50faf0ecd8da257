"""Figures as the window holds them."""

from pathlib import Path

from napari_mil.gui.model.judging import Judgement
from napari_mil.training.evaluation.answers import Link
from napari_mil.training.evaluation.curves import curves_of
from napari_mil.training.evaluation.stored import StoredFigure, StoredFigures
from tests.training.evaluation.sample_answers import answers


def judgement(link=Link.SIGMOID, root=Path("/cohort"), folder=Path("/runs/run"), **options):
    """Return figures of made-up answers."""
    some = answers(link, **options)
    figures = (
        StoredFigure("balanced_accuracy", 0.75, 0.625, 0.875),
        StoredFigure("auc", None, None, None),
    )
    stored = StoredFigures("AUC 0.80, honest protocol", figures, (), some)
    return Judgement(folder, root, stored, curves_of(some))
