from dataclasses import replace

import numpy as np

from napari_mil.inference.facts import TrainingFacts
from napari_mil.inference.pipeline import classify
from napari_mil.inference.seen_before import bags_seen_before
from napari_mil.inference.targets import open_target


def with_training(card, *contents):
    return replace(card, training=TrainingFacts(bag_fingerprints=contents))


def test_bags_are_counted_by_content(make_classifier):
    card = with_training(make_classifier().card, "a", "b")
    seen = bags_seen_before(card, ["b", "c", "a", ""])
    assert (seen.seen, seen.total, seen.is_known) == (2, 4, True)
    assert seen.remark.startswith(f"2 of 4 bags were training data of {card.name}")
    assert bags_seen_before(card, ["c"]).remark == ""


def test_a_bundle_that_does_not_say_what_it_saw_is_known_by_that(make_classifier):
    assert not bags_seen_before(with_training(make_classifier().card), ["a"]).is_known


def test_an_answer_for_training_data_says_so(make_classifier, features, tmp_path):
    classifier = make_classifier()
    bag_path = tmp_path / "case.npy"
    np.save(bag_path, features)
    with open_target(bag_path) as target:
        own = target.identity.fingerprint
    for contents, is_said in ((("other",), False), ((own,), True)):
        seen = replace(classifier, card=with_training(classifier.card, *contents))
        said = classify(bag_path, seen, device="cpu").provenance["fallbacks"]
        assert any("training data of" in remark for remark in said) is is_said
