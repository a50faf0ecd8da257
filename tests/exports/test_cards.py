"""Cards of formats."""

import inspect
from pathlib import Path
from pkgutil import resolve_name

import pytest

from napari_mil.exports.cards import FORMATS

DOCS = Path(__file__).resolve().parents[2] / "docs" / "exports.md"


@pytest.mark.parametrize("card", FORMATS.values(), ids=list(FORMATS))
def test_a_card_names_a_writer(card):
    parameters = list(inspect.signature(resolve_name(card.implementation)).parameters)
    assert parameters == ["source", "path", "cancel"]
    assert card.suffixes
    assert all(suffix.startswith((".", "-")) for suffix in card.suffixes)


def test_no_two_formats_have_the_same_usual_ending():
    usual = [card.suffixes[0] for card in FORMATS.values()]
    assert len(set(usual)) == len(usual)


def test_the_documentation_has_a_row_for_each_format():
    text = DOCS.read_text(encoding="utf-8")
    for card in FORMATS.values():
        assert f"| `{card.name}` | `{card.suffixes[0]}`" in text
