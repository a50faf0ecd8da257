from napari_mil.inference.card import SHIPPED
from napari_mil.inference.classifier import load_classifier
from scripts.train_breast_malignancy import notes


def test_the_shipped_description_is_the_one_of_its_card():
    written = (SHIPPED / "breast-malignancy" / "card.md").read_text(encoding="utf-8")
    assert notes(load_classifier("breast-malignancy").card).split() == written.split()
