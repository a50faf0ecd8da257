"""Answers from disk become answers of the window, stale where something changed."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_mil.errors import OutputError
from napari_mil.gui.model import actions
from napari_mil.gui.model.inputs import stale_reasons
from napari_mil.gui.model.stored import StoredAnswer, answer_of, card_of
from napari_mil.inference.card import FEATURES, IMAGES, TILES
from tests.gui.model import builders as build

FOLDER = Path("results/a")
GRID = {"stride0": 100.0, "mpp": 0.5, "tile_px": 256, "level": 0}


def stored_slide(tissue="glass", mpp=0.5, outdated=()):
    card = build.card()
    prediction = build.prediction(card, build.grid_layout())
    provenance = {**prediction.provenance, "grid": GRID, "tissue_method": tissue}
    slide = {"dimensions": [4000, 3000], "mpp": mpp}
    prediction = replace(prediction, provenance=provenance, slide=slide)
    return StoredAnswer(prediction, card, FOLDER, None, tuple(outdated))


def shown(subject, stored):
    state = build.state_of(subject)
    state = actions.add_answer(state, answer_of(subject, stored))
    return state, stale_reasons(state, state.shown_answer)


def test_a_stored_answer_about_a_slide_is_shown_and_holds():
    subject = build.slide_subject()
    state, reasons = shown(subject, stored_slide())
    assert state.subject(subject.key).shown_classifier == "malignancy"
    assert reasons == ()
    layout = state.shown_answer.layout
    assert np.array_equal(layout.coords, state.shown_answer.prediction.coords)


@pytest.mark.parametrize(
    ("stored", "reason"),
    [
        (stored_slide(tissue=None), "the tissue is another"),
        (stored_slide(tissue="drawn"), "the tissue is another"),
        (stored_slide(mpp=0.25), "the scale is another"),
        (stored_slide(outdated=["the content is another"]), "the content is another"),
    ],
)
def test_a_stored_answer_made_otherwise_is_shown_as_stale(stored, reason):
    assert reason in shown(build.slide_subject(), stored)[1]


def test_tissue_that_was_detected_meanwhile_does_not_make_it_stale():
    subject = build.slide_subject().with_tissue(build.mask(), painted=False)
    assert shown(subject, stored_slide())[1] == ()
    painted = build.slide_subject().with_tissue(build.mask(), painted=True)
    assert shown(painted, stored_slide())[1] == ("the tissue is another",)


def test_a_stored_answer_about_features_has_the_features_of_the_open_file():
    subject = build.features_subject()
    card = build.card(instances=FEATURES)
    stored = StoredAnswer(build.prediction(card, subject.layout), card, FOLDER)
    answer = answer_of(subject, stored)
    assert answer.prediction.features is subject.bag
    assert answer.layout is subject.layout


def test_an_answer_about_other_instances_is_refused_in_a_sentence():
    subject = build.features_subject(n=6)
    card = build.card(instances=FEATURES)
    other = build.prediction(card, build.features_subject(n=5).layout)
    with pytest.raises(OutputError, match="has other instances now"):
        answer_of(subject, StoredAnswer(other, card, FOLDER))
    images = build.images_subject(n=3)
    named = replace(build.prediction(card, images.layout), coords=None, names=("x", "y", "z"))
    with pytest.raises(OutputError, match="has other instances now"):
        answer_of(images, StoredAnswer(named, card, FOLDER))


def test_a_classifier_that_is_not_at_hand_is_described_by_its_answer():
    prediction = stored_slide().prediction
    facts = {"name": "gone", "aggregator": "abmil", "temperature": 2.0, "threshold": 0.4}
    card = card_of(replace(prediction, classifier=facts))
    assert (card.name, card.classes, card.instances) == ("gone", prediction.classes, TILES)
    assert (card.temperature, card.threshold, card.link) == (2.0, 0.4, "sigmoid")
    assert card.takes
    images = replace(prediction, coords=None, names=("a",), provenance={}, classifier={})
    assert card_of(images).instances == IMAGES
    assert card_of(images).name == "an unknown classifier"


def test_an_answer_of_a_classifier_that_is_not_at_hand_says_that_another_is_chosen():
    stored = stored_slide()
    facts = {"name": "gone", "encoder": {"name": "e", "fingerprint": "f", "later": 1}}
    prediction = replace(stored.prediction, classifier=facts)
    reasons = shown(build.slide_subject(), StoredAnswer(prediction, card_of(prediction), FOLDER))[1]
    assert reasons == ("malignancy is chosen now",)
