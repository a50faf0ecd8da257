import pytest

from napari_mil.inference.card import SHIPPED
from napari_mil.inference.library import list_classifiers
from scripts import (
    train_breast_malignancy,
    train_colon_epithelium,
    train_colorectal_biopsy,
    train_colorectal_grade,
    train_lymph_node_metastasis,
)

SCRIPTS = {
    "breast-malignancy": train_breast_malignancy,
    "colon-epithelium": train_colon_epithelium,
    "colorectal-biopsy": train_colorectal_biopsy,
    "colorectal-grade": train_colorectal_grade,
    "lymph-node-metastasis": train_lymph_node_metastasis,
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_shipped_description_is_the_one_of_its_card(name):
    card = list_classifiers()[name]
    written = (SHIPPED / name / "card.md").read_text(encoding="utf-8")
    assert SCRIPTS[name].notes(card).split() == written.split()
