"""Cards of the encoders against the encoders they name."""

import numpy as np
import pytest

from napari_mil.encoders import create_encoder, list_encoders
from napari_mil.encoders.cards import ENCODERS

runnable = {name: card for name, card in ENCODERS.items() if not card.needs}


@pytest.mark.parametrize("card", runnable.values(), ids=runnable)
def test_a_card_says_the_length_of_features_and_the_smallest_tile(card):
    encoder = create_encoder(card.name, device="cpu")
    side = card.smallest_tile
    assert encoder.encode(np.zeros((1, side, side, 3), np.uint8)).shape == (1, card.dim)
    with pytest.raises(ValueError, match="uint8"):
        encoder.encode(np.zeros((1, side - 1, side - 1, 3), np.uint8))


def test_the_list_is_a_copy():
    list_encoders().clear()
    assert list_encoders() == ENCODERS
