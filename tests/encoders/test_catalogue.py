import pytest

from napari_mil.encoders import list_encoders
from napari_mil.encoders.cards import ENCODERS
from napari_mil.encoders.catalogue import find_encoder_card
from napari_mil.encoders.foundation_cards import FOUNDATION_MODELS
from napari_mil.errors import CheckpointError, UnknownNameError


def test_embedded_encoders_come_first_and_need_nothing():
    cards = list_encoders()
    assert list(cards) == [*ENCODERS, *FOUNDATION_MODELS]
    assert all(not cards[name].needs for name in ENCODERS)
    assert all("extra" in cards[name].needs for name in FOUNDATION_MODELS)


def test_the_list_is_a_copy():
    list_encoders().clear()
    assert list_encoders()


def test_what_is_neither_a_name_nor_a_folder_is_refused(tmp_path):
    with pytest.raises(UnknownNameError, match="or give the folder of an adapted one"):
        find_encoder_card(str(tmp_path))


def test_a_damaged_adapted_encoder_is_named(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "encoder.json").write_text("{")
    with pytest.raises(CheckpointError, match="encoder mine cannot be read"):
        find_encoder_card(str(tmp_path / "mine"))
