import numpy as np
import pytest
import torch

from napari_mil.encoders.efficientnet_lite import EfficientNetLite0Encoder, released_trunk
from napari_mil.errors import CancelledError
from napari_mil.events import CancellationToken
from napari_mil.training.pretraining.fitting import Adaptation, Network, view_px
from napari_mil.training.pretraining.tiles import LEARNED, Tiles

CPU = torch.device("cpu")


@pytest.fixture
def tiles(slide):
    """Forty tiles of two bags of a real slide."""
    places = [(300 + 80 * (k % 8), 300 + 80 * (k // 8)) for k in range(40)]
    pixels = np.stack([slide.read_region(place, 0, (64, 64)) for place in places])
    return Tiles(
        pixels,
        np.arange(40),
        np.repeat([0, 1], 20),
        np.zeros(40, int),
        np.array(places) // 80,
        np.full(40, LEARNED),
        "nothing",
    )


def adapt(tiles, config, epochs):
    adaptation = Adaptation(released_trunk(), tiles, config, CPU)
    for _ in range(epochs):
        adaptation.advance(CancellationToken())
    return adaptation


def test_the_network_begins_with_the_vectors_of_the_encoder(tiles):
    network = Network(released_trunk())
    ours = network.vectors(torch.tensor(tiles.pixels[:6])).detach().numpy()
    encoder = EfficientNetLite0Encoder(CPU, 1, precision="float32")
    assert np.allclose(ours, encoder.encode(tiles.pixels[:6]), atol=1e-3)


def test_learning_tells_tiles_apart_better(tiles, small):
    adaptation = adapt(tiles, small(epochs=6, batch=40, learning_rate=1e-3, temperature=0.2), 6)
    losses = [row["loss"] for row in adaptation.history]
    assert losses[-1] < losses[0] - 0.1
    assert adaptation.finished


def test_early_blocks_and_statistics_of_norms_stay(tiles, small):
    before = released_trunk().state_dict()
    after = adapt(tiles, small(), 1).trunk.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all(int(name.split(".")[1]) >= 5 for name in changed if name.startswith("blocks"))
    assert not [name for name in changed if "running" in name or not name.startswith("blocks")]


def test_a_state_goes_on_with_the_same_bits(tiles, small):
    config = small(epochs=3)
    whole = adapt(tiles, config, 3)
    cut = adapt(tiles, config, 1)
    resumed = Adaptation(released_trunk(), tiles, config, CPU)
    resumed.load(cut.state())
    while not resumed.finished:
        resumed.advance(CancellationToken())
    assert resumed.history == whole.history
    expected = whole.trunk.state_dict()
    assert all(
        torch.equal(expected[name], each) for name, each in resumed.trunk.state_dict().items()
    )


def test_a_state_of_another_network_is_refused(tiles, small):
    adaptation = adapt(tiles, small(), 0)
    with pytest.raises(ValueError, match="other tensors"):
        adaptation.load({**adaptation.state(), "network": {}})


def test_an_epoch_sees_every_tile_once_but_for_the_rest(tiles, small):
    adaptation = adapt(tiles, small(batch=16), 0)
    batches = adaptation._batches(np.random.default_rng(0))
    assert [len(batch) for batch in batches] == [16, 16]
    assert len({int(i) for batch in batches for i in batch}) == 32


def test_cancelling_within_an_epoch_keeps_the_history(tiles, small):
    adaptation = adapt(tiles, small(), 1)
    token = CancellationToken()
    token.cancel()
    with pytest.raises(CancelledError):
        adaptation.advance(token)
    assert adaptation.epoch == 1


@pytest.mark.parametrize(
    ("tile", "view"), [(32, 32), (56, 32), (96, 48), (112, 64), (224, 128), (448, 128)]
)
def test_views_are_parts_of_tiles(tile, view):
    assert view_px(tile) == view
