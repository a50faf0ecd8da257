from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_mil.bags import Bag
from napari_mil.errors import CheckpointError, ClassifierError
from napari_mil.inference.card import WEIGHTS_FILE
from napari_mil.inference.classifier import load_classifier, open_published
from napari_mil.inference.facts import AggregatorRef
from napari_mil.inference.pipeline import classify


def test_a_bundle_gives_the_same_answer_after_it_was_saved(classifier, features, tmp_path):
    classifier.save(tmp_path / "mine", "# mine")
    again = load_classifier(tmp_path / "mine")
    assert again.fingerprint == classifier.fingerprint
    assert again.card.notes == "# mine"
    bag = Bag(features)
    assert np.array_equal(
        classify(bag, again, device="cpu").logits, classify(bag, classifier, device="cpu").logits
    )


def test_the_fingerprint_follows_weights_and_calibration(make_classifier):
    assert make_classifier().fingerprint == make_classifier().fingerprint
    assert make_classifier().fingerprint != make_classifier(temperature=2.0).fingerprint
    assert make_classifier().fingerprint != make_classifier(aggregator="abmil").fingerprint


def test_the_fingerprint_follows_options_that_change_the_answer_alone(make_classifier):
    plain = make_classifier("dsmil")
    weighted = make_classifier("dsmil")
    card = replace(weighted.card, aggregator=AggregatorRef("dsmil", {"lambda_": 0.0}))
    assert replace(weighted, card=card).fingerprint != plain.fingerprint


@pytest.mark.parametrize(
    ("aggregator", "words"),
    [
        ({"name": "dsmil", "options": {"lambda_": 2}}, "cannot be loaded"),
        ({"name": "abmil", "options": {"activation": "gelu"}}, "cannot be loaded"),
        ({}, "wrong in aggregator"),
    ],
)
def test_options_that_cannot_be_are_refused_in_words(
    classifier, spoil_card, tmp_path, aggregator, words
):
    classifier.save(tmp_path / "mine", "")
    spoil_card(tmp_path / "mine", aggregator=aggregator)
    with pytest.raises(ClassifierError, match=words):
        load_classifier(tmp_path / "mine")


@pytest.mark.parametrize("spoil", ["missing", "garbage", "other shapes"])
def test_weights_that_do_not_fit_are_refused_in_one_sentence(
    classifier, spoil_card, tmp_path, spoil
):
    classifier.save(tmp_path / "mine", "")
    if spoil == "missing":
        (tmp_path / "mine" / WEIGHTS_FILE).unlink()
    elif spoil == "garbage":
        (tmp_path / "mine" / WEIGHTS_FILE).write_bytes(b"\xff" * 300)
    else:
        spoil_card(tmp_path / "mine", aggregator={"name": "abmil", "options": {"hidden": 8}})
    with pytest.raises(ClassifierError, match="cannot be loaded") as caught:
        load_classifier(tmp_path / "mine")
    assert "\n" not in str(caught.value)


def test_another_version_of_the_encoder_is_refused(make_classifier):
    with pytest.raises(ClassifierError, match="another version"):
        make_classifier(encoder="an older fingerprint").create_encoder(torch.device("cpu"))


@pytest.mark.parametrize(
    ("file", "width", "classes"),
    [
        ("dsmil_c16_aggregator.pth", 512, ("negative", "positive")),
        ("clam_s_0_checkpoint.pt", 1024, ("class 0", "class 1")),
    ],
)
def test_a_published_checkpoint_classifies_bags_of_its_width(shared, file, width, classes):
    published = open_published(shared / "data" / "checkpoints" / file)
    bag = Bag(np.random.default_rng(0).normal(size=(6, width)).astype(np.float32))
    prediction = classify(bag, published, device="cpu")
    assert prediction.classes == classes
    assert prediction.label in classes
    assert load_classifier(published.card).fingerprint == published.fingerprint
    with pytest.raises(ClassifierError, match=rf"takes features of length {width}, not \(8,\)"):
        classify(Bag(bag.features[:, :8]), published, device="cpu")


def test_a_missing_checkpoint_is_refused_by_name(tmp_path):
    with pytest.raises(CheckpointError, match=r"nowhere\.pth"):
        open_published(tmp_path / "nowhere.pth")
