"""Adapted encoders for tests: the released network with one tensor changed."""

import torch

from napari_mil.encoders.adapted import AdaptedEncoder, write_encoder
from napari_mil.encoders.adapted_cards import AdaptationFacts, AdaptedEncoderCard, ProbeFigure
from napari_mil.encoders.cards import EFFICIENTNET_LITE0
from napari_mil.encoders.efficientnet_lite import released_trunk

CPU = torch.device("cpu")
FIGURE = ProbeFigure("neighbours", 0.7, 0.8, 0.1, 0.05, 0.15, 6, "slides")


def write_adapted(folder, scale=1.1, tile_px=64, probes=(FIGURE,)):
    """Write an encoder whose last norm is scaled; return its folder."""
    trunk = released_trunk()
    with torch.no_grad():
        trunk.blocks[10].bn2.weight.mul_(scale)
    encoder = AdaptedEncoder(EFFICIENTNET_LITE0, trunk, CPU, 1, precision="float32")
    card = AdaptedEncoderCard(
        name=folder.name,
        base=EFFICIENTNET_LITE0.name,
        fingerprint=encoder.fingerprint,
        tile_px=tile_px,
        mpp=1.0,
        training=AdaptationFacts("contrastive", 3, "1 held-out slide", 40, 2, "content"),
        probes=tuple(probes),
    )
    write_encoder(card, trunk, folder)
    return folder
