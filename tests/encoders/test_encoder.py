import numpy as np
import torch

from napari_mil.encoders.cards import EncoderCard
from napari_mil.encoders.encoder import Encoder


class MeanColour(Encoder):
    """Encoder of mean colours."""

    card = EncoderCard(
        "mean-colour", "mean colour", 3, 32, 1.0, "none", "none", "none", smallest_tile=2
    )
    fingerprint = "mean-colour-1"

    def encode(self, tiles):
        return tiles.mean((1, 2), dtype=np.float32)

    def to(self, device):
        return MeanColour(device, self.threads)


def test_an_encoder_tells_what_its_card_says():
    encoder = MeanColour(torch.device("cpu"))
    assert (encoder.name, encoder.dim, encoder.mpp) == ("mean-colour", 3, 1.0)
    assert (encoder.tile_px, encoder.smallest_tile) == (32, 2)


def test_all_cores_are_used_unless_a_number_of_threads_is_wanted():
    assert MeanColour(torch.device("cpu")).threads >= 1
    assert MeanColour(torch.device("cpu"), threads=3).to(torch.device("cpu")).threads == 3
