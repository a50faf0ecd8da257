"""States that several tests of the model begin with."""

import numpy as np
import pytest

from napari_mil.gui.model import actions
from napari_mil.gui.model.answers import Linkage
from napari_mil.gui.model.mining import Mining
from napari_mil.gui.model.subjects import AnnotationLayer
from tests.gui.model import builders as build

MALIGNANCY = build.card()
GRADE = build.card("grade")


@pytest.fixture
def full():
    """Return a state with tissue, annotations, an answer of everything, and a selection."""
    state = build.state_of(build.slide_subject())
    state = actions.set_tissue(state, 1, build.mask(), painted=False)
    outlines = np.arange(8, dtype=float).reshape(2, 2, 2)
    state = actions.add_annotations(state, 1, AnnotationLayer("a.xml", outlines, ("tumour",), 1))
    answer = build.answer(state.current_subject, MALIGNANCY, critical=True)
    state = build.answered(state, answer)
    state = actions.add_tree(state, 1, "malignancy", Linkage.WARD, build.tree(6))
    state = actions.add_masks(state, 1, "malignancy", Mining("ham"), build.mined(6, ("high",)))
    return actions.select(state, [1, 2])
