import pytest

from napari_mil.errors import ClassifierError
from napari_mil.inference.card import FEATURES, IMAGES, read_card


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
def test_a_card_that_cannot_be_right_is_refused(classifier, spoil_card, tmp_path, changes, words):
    classifier.save(tmp_path / "mine", "")
    spoil_card(tmp_path / "mine", **changes)
    with pytest.raises(ClassifierError, match=words):
        read_card(tmp_path / "mine")


def test_a_card_names_its_input_and_refuses_slides_without_tiles(make_classifier):
    assert make_classifier().card.takes == "128 px at 0.6 µm/px (assumed)"
    images = make_classifier(instances=IMAGES).card
    assert images.takes == "folders of images (128 px)"
    with pytest.raises(ClassifierError, match="takes folders of images"):
        _ = images.tiling
    assert make_classifier(instances=FEATURES).card.takes == "feature files, 78 values an instance"
