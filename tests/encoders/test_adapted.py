import json

import numpy as np
import pytest
import torch

from napari_mil.encoders import adapted, create_encoder
from napari_mil.encoders.adapted import AdaptedEncoder, read_trunk, trunk_of, write_encoder
from napari_mil.encoders.adapted_cards import CARD_FILE, WEIGHTS_FILE, read_adapted_card
from napari_mil.encoders.cards import EFFICIENTNET_LITE0
from napari_mil.encoders.efficientnet_lite import released_trunk
from napari_mil.errors import CheckpointError, OutputError, UnknownNameError
from tests.adapted import CPU, write_adapted


@pytest.fixture
def tiles():
    return np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), np.uint8)


def test_an_adapted_encoder_is_made_from_its_folder(tmp_path, tiles):
    folder = write_adapted(tmp_path / "mine")
    mine = create_encoder(str(folder), device="cpu", threads=1, precision="float32")
    released = create_encoder("efficientnet-lite0", device="cpu", threads=1, precision="float32")
    assert (mine.name, mine.tile_px, mine.mpp) == ("mine", 64, 1.0)
    assert mine.fingerprint != released.fingerprint
    ours, theirs = mine.encode(tiles), released.encode(tiles)
    assert np.array_equal(ours[:, :80], theirs[:, :80]), "block 4 is the same"
    assert not np.array_equal(ours[:, 80:], theirs[:, 80:])
    assert np.array_equal(mine.to(CPU).encode(tiles), ours)


def test_unchanged_weights_have_the_fingerprint_and_vectors_of_the_release(tmp_path, tiles):
    folder = write_adapted(tmp_path / "same", scale=1.0)
    same = create_encoder(str(folder), device="cpu", threads=1, precision="float32")
    released = create_encoder("efficientnet-lite0", device="cpu", threads=1, precision="float32")
    assert same.fingerprint == released.fingerprint
    assert np.array_equal(same.encode(tiles), released.encode(tiles))


def test_it_takes_no_other_weights(tmp_path):
    folder = write_adapted(tmp_path / "mine")
    with pytest.raises(UnknownNameError, match=r"adapted and takes no weights; leave out w\.pt"):
        create_encoder(str(folder), weights="w.pt", device="cpu")


@pytest.mark.parametrize("spoil", ["missing", "garbage", "short", "not a number"])
def test_damaged_weights_are_refused_in_one_sentence(tmp_path, spoil):
    folder = write_adapted(tmp_path / "mine")
    file = folder / WEIGHTS_FILE
    if spoil == "missing":
        file.unlink()
    elif spoil == "garbage":
        file.write_bytes(b"\xff" * 300)
    else:
        state = read_trunk(folder).state_dict()
        if spoil == "short":
            del state["blocks.10.bn2.weight"]
        else:
            state["blocks.10.bn2.weight"][0] = torch.nan
        adapted.save_file(state, file)
    with pytest.raises(CheckpointError, match="encoder mine cannot be used") as caught:
        create_encoder(str(folder), device="cpu")
    assert "\n" not in str(caught.value)


def test_weights_of_another_encoder_are_noticed(tmp_path):
    folder = write_adapted(tmp_path / "mine")
    other = write_adapted(tmp_path / "other", scale=1.2)
    (folder / WEIGHTS_FILE).write_bytes((other / WEIGHTS_FILE).read_bytes())
    with pytest.raises(CheckpointError, match="is not the one that"):
        AdaptedEncoder.open(folder, CPU, 1)


def test_an_encoder_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    folder = write_adapted(tmp_path / "mine")
    before = (folder / CARD_FILE).read_bytes()

    def full(*_):
        raise OSError("no space left")

    monkeypatch.setattr(adapted, "save_file", full)
    with pytest.raises(OutputError, match="make room"):
        write_encoder(read_adapted_card(folder), released_trunk(), folder)
    assert (folder / CARD_FILE).read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine"]


def test_the_file_names_nothing_of_the_slides(tmp_path):
    folder = write_adapted(tmp_path / "mine")
    entries = json.loads((folder / CARD_FILE).read_text())
    assert entries["schema"] == "napari-mil/encoder/1"
    assert "folder" not in entries
    assert str(tmp_path) not in (folder / CARD_FILE).read_text()


def test_all_weights_are_needed():
    state = released_trunk().state_dict()
    assert trunk_of(state).taps == (4, 10)
    with pytest.raises(RuntimeError):
        trunk_of({**state, "extra": torch.zeros(1)})
    assert EFFICIENTNET_LITE0.folder is None
