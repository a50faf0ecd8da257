"""Cards of the embedded encoders against the encoders they name."""

import numpy as np
import pytest

from napari_mil.encoders import create_encoder
from napari_mil.encoders.cards import DEFAULT_ENCODER, ENCODERS


@pytest.mark.parametrize("card", ENCODERS.values(), ids=ENCODERS)
def test_a_card_says_the_length_of_features_and_the_smallest_tile(card):
    encoder = create_encoder(card.name, device="cpu")
    side = card.smallest_tile
    assert encoder.encode(np.zeros((1, side, side, 3), np.uint8)).shape == (1, card.dim)
    with pytest.raises(ValueError, match="uint8"):
        encoder.encode(np.zeros((1, side - 1, side - 1, 3), np.uint8))


def test_the_default_is_the_first_embedded_one():
    assert next(iter(ENCODERS)) == DEFAULT_ENCODER
