import json
from dataclasses import replace

import numpy as np
import pytest

from napari_mil.errors import ClassifierError, UnknownNameError
from napari_mil.inference.card import CARD_FILE, SHIPPED, WEIGHTS_FILE, read_card
from napari_mil.inference.classifier import load_classifier
from napari_mil.inference.facts import AggregatorRef
from napari_mil.inference.library import find_card, install_bundle, list_classifiers
from napari_mil.inference.pipeline import classify
from napari_mil.settings import Settings


def test_a_bundle_says_the_same_after_it_was_saved(classifier, features, tmp_path):
    from napari_mil import Bag

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
    plain, weighted = make_classifier("dsmil"), make_classifier("dsmil")
    card = replace(weighted.card, aggregator=AggregatorRef("dsmil", {"lambda_": 0.0}))
    assert replace(weighted, card=card).fingerprint != plain.fingerprint


def test_a_copy_of_a_bundle_is_called_after_its_folder(classifier, tmp_path):
    settings = Settings(user_folder=tmp_path)
    for name in ("first", "second"):
        classifier.save(tmp_path / "classifiers" / name, "")
    cards = list_classifiers(settings)
    assert [cards[name].name for name in ("first", "second")] == ["first", "second"]


@pytest.mark.parametrize(
    "aggregator",
    [
        {"name": "dsmil", "options": {"lambda_": 2}},
        {"name": "abmil", "options": {"activation": "gelu"}},
        {},
    ],
)
def test_options_that_cannot_be_are_refused_in_words(classifier, tmp_path, aggregator):
    classifier.save(tmp_path / "mine", "")
    spoil_card(tmp_path / "mine", aggregator=aggregator)
    with pytest.raises(ClassifierError, match="cannot be loaded"):
        load_classifier(tmp_path / "mine")


def test_the_users_own_classifiers_stand_behind_the_shipped_ones(classifier, tmp_path):
    settings = Settings(user_folder=tmp_path)
    classifier.save(tmp_path / "classifiers" / "mine", "")
    names = list(list_classifiers(settings))
    assert names[-1] == "mine"
    assert [card.shipped for card in list_classifiers(settings).values()] == [True] * (
        len(names) - 1
    ) + [False]
    assert find_card("mine", settings).title == "Nothing it has learned"


def test_a_damaged_bundle_of_the_user_hides_no_other(classifier, tmp_path):
    settings = Settings(user_folder=tmp_path)
    classifier.save(tmp_path / "classifiers" / "fine", "")
    classifier.save(tmp_path / "classifiers" / "broken", "")
    (tmp_path / "classifiers" / "broken" / CARD_FILE).write_text("{")
    assert "fine" in list_classifiers(settings)
    assert "broken" not in list_classifiers(settings)


def test_installing_copies_a_bundle_once_and_hides_no_other(make_classifier, tmp_path):
    settings = Settings(user_folder=tmp_path / "user")
    for folder, classifier in (
        ("run1/liver", make_classifier()),
        ("run2/liver", make_classifier(aggregator="abmil")),
    ):
        (tmp_path / folder).parent.mkdir()
        classifier.save(tmp_path / folder, "")
    assert install_bundle(tmp_path / "run1" / "liver", settings).name == "liver"
    assert install_bundle(tmp_path / "run2" / "liver", settings).name == "liver-2", "other weights"
    assert install_bundle(tmp_path / "run1" / "liver", settings).name == "liver", "the same weights"
    shipped = next(iter(SHIPPED.iterdir())).name
    make_classifier().save(tmp_path / shipped, "")
    assert install_bundle(tmp_path / shipped, settings).name == f"{shipped}-2"
    assert {"liver", "liver-2", f"{shipped}-2"} <= set(list_classifiers(settings))
    assert sorted(path.name for path in (tmp_path / "user" / "classifiers").iterdir()) == sorted(
        ["liver", "liver-2", f"{shipped}-2"]
    )


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(UnknownNameError, match=r"'lung'.*breast-malignancy"):
        find_card("lung")


def spoil_card(folder, **changes):
    entries = json.loads((folder / CARD_FILE).read_text())
    entries.update(changes)
    (folder / CARD_FILE).write_text(
        json.dumps({key: value for key, value in entries.items() if value is not None})
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"schema": "napari-mil/classifier/99"}, "schema"),
        ({"classes": None}, "incomplete"),
        ({"link": "tanh"}, "contradicts"),
        ({"temperature": 0}, "contradicts"),
        ({"surprise": 1}, "unknown entries"),
        ({"temperature": "warm"}, "wrong in temperature"),
    ],
)
def test_a_card_that_cannot_be_right_is_refused(classifier, tmp_path, changes, words):
    classifier.save(tmp_path / "mine", "")
    spoil_card(tmp_path / "mine", **changes)
    with pytest.raises(ClassifierError, match=words):
        read_card(tmp_path / "mine")


@pytest.mark.parametrize("spoil", ["missing", "garbage", "other shapes"])
def test_weights_that_do_not_fit_are_refused_in_one_sentence(
    classifier, make_classifier, tmp_path, spoil
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


@pytest.mark.parametrize("name", ["breast-malignancy", "colon-epithelium"])
def test_a_shipped_bundle_is_small_complete_and_honest(name):
    card = list_classifiers()[name]
    assert sum(path.stat().st_size for path in (SHIPPED / name).iterdir()) < 5e6
    load_classifier(card)
    assert "research use only" in card.licence.lower()
    assert card.evaluation["protocol"].startswith("honest")
    for words in ("Research", "interval", "olour statistics", "Terms", "AUC"):
        assert words in card.notes
    assert card.mpp_assumed == ("scale is assumed" in card.notes)


def test_a_bundle_names_no_file_and_no_path(classifier):
    for name in ("breast-malignancy", "colon-epithelium"):
        text = (SHIPPED / name / CARD_FILE).read_text()
        for word in (".jpg", "/", "ytma"):
            assert word not in text.replace("µm/px", "").replace("napari-mil/classifier/1", ""), (
                name,
                word,
            )
