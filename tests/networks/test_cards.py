"""Cards of the networks against the networks they make."""

import pytest
import torch

from napari_mil.networks.cards import BACKBONES
from napari_mil.networks.registry import create_backbone

every_card = pytest.mark.parametrize("card", BACKBONES.values(), ids=BACKBONES)


@every_card
def test_a_card_is_listed_by_its_name_and_says_its_source(card):
    assert BACKBONES[card.name] is card
    assert card.source


@every_card
def test_maps_are_returned_by_networks_whose_card_says_so(card):
    network = create_backbone(card.name, maps=True).eval()
    images = torch.zeros(1, card.channels, card.tile_px, card.tile_px)
    assert network(images).ndim == (4 if card.has_maps else 2)
