from pathlib import Path

import pytest

from napari_mil.encoders.cards import ENCODERS
from napari_mil.encoders.foundation_cards import ALIASES, FOUNDATION_MODELS


@pytest.mark.parametrize("model", FOUNDATION_MODELS.values(), ids=FOUNDATION_MODELS)
def test_a_card_says_where_from_under_which_terms_and_how(model):
    card = model.card
    assert model.weights.repository in card.source
    assert ("gated" in card.needs) == model.weights.gated
    assert all((card.licence, card.embedding, card.normalisation))
    assert model.input_px <= card.tile_px
    assert 0.2 <= card.mpp <= 2


def test_aliases_are_no_names_and_stand_for_one():
    assert not set(ALIASES) & {*ENCODERS, *FOUNDATION_MODELS}
    assert set(ALIASES.values()) <= set(FOUNDATION_MODELS)


def test_the_documentation_lists_every_model():
    page = (Path(__file__).resolve().parents[2] / "docs" / "encoders.md").read_text("utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    for name, model in FOUNDATION_MODELS.items():
        row = next(line for line in rows if line.startswith(f"| `{name}` |"))
        assert f" {model.card.dim} " in row
        assert model.card.licence in row
        assert ("gated" in row) == model.weights.gated
