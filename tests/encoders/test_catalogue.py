from napari_mil.encoders import list_encoders
from napari_mil.encoders.cards import ENCODERS
from napari_mil.encoders.foundation_cards import FOUNDATION_MODELS


def test_embedded_encoders_come_first_and_need_nothing():
    cards = list_encoders()
    assert list(cards) == [*ENCODERS, *FOUNDATION_MODELS]
    assert all(not cards[name].needs for name in ENCODERS)
    assert all("extra" in cards[name].needs for name in FOUNDATION_MODELS)


def test_the_list_is_a_copy():
    list_encoders().clear()
    assert list_encoders()
