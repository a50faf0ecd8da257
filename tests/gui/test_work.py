"""What the window's jobs compute with torch."""

import numpy as np
import pytest

from napari_mil.errors import CancelledError
from napari_mil.events import CancellationToken, Started
from napari_mil.gui import work as module
from napari_mil.gui.model.answers import Linkage
from napari_mil.gui.model.mining import Mining
from napari_mil.gui.work import ClassifyWork, ask_masks, classify_subject, grow_tree
from napari_mil.inference.library import find_card
from napari_mil.settings import Settings
from tests.gui.model.builders import answer, card, features_subject, tree


def test_tiles_of_a_slide_are_planned_with_its_tissue_and_classified(slide):
    events = []
    work = ClassifyWork(
        path=slide.path,
        content=slide,
        card=find_card("breast-malignancy"),
        mask="auto",
        level=None,
        device="cpu",
        focus=(0.0, 0.0),
        settings=Settings(),
    )
    prediction = classify_subject(work, events.append, CancellationToken())
    started = next(event for event in events if isinstance(event, Started))
    assert started.total == len(started.grid) == prediction.n_instances
    assert started.tissue is not None
    assert prediction.label in work.card.classes
    assert slide.read_region((0, 0), 0, (4, 4)).shape == (4, 4, 3), "it is still open"


def test_a_tree_of_the_classifier_itself_is_not_grown_again(monkeypatch):
    subject = features_subject()
    said = answer(subject, card(aggregator="hamil"))
    own = tree(6)
    object.__setattr__(said.prediction, "tree", own)
    monkeypatch.setattr(module, "load_classifier", None)
    assert grow_tree(said, Linkage.OWN, Settings(), CancellationToken()) is own


def test_masks_that_were_cancelled_meanwhile_are_not_told(monkeypatch):
    subject = features_subject()
    said = answer(subject, card())
    token = CancellationToken()

    def with_masks(prediction, classifier, strategy, ratios):
        token.cancel()
        return prediction

    monkeypatch.setattr(module, "load_classifier", lambda card, settings: None)
    monkeypatch.setattr(module, "with_masks", with_masks)
    object.__setattr__(said.prediction, "masks", {"high": np.zeros(6, bool)})
    with pytest.raises(CancelledError):
        ask_masks(said, Mining("r-ham"), Settings(), token)
