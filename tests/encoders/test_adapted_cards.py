import json
from dataclasses import replace

import pytest

from napari_mil.encoders import adapted_cards, list_encoders
from napari_mil.encoders.adapted_cards import (
    CARD_FILE,
    RUN_FOLDER,
    adapted_encoder_at,
    own_encoders,
    read_adapted_card,
)
from napari_mil.errors import CheckpointError
from tests.adapted import FIGURE, write_adapted


@pytest.fixture
def own(tmp_path, monkeypatch):
    monkeypatch.setattr(adapted_cards, "own_encoders_folder", lambda: tmp_path / "own")
    return tmp_path / "own"


def spoil(folder, **changes):
    entries = json.loads((folder / CARD_FILE).read_text()) | changes
    (folder / CARD_FILE).write_text(json.dumps(entries))


def test_own_encoders_are_listed_by_the_name_of_their_folder(own):
    write_adapted(own / "breast")
    write_adapted(own / "damaged")
    (own / "damaged" / CARD_FILE).write_text("{")
    (own / "uni.safetensors").write_bytes(b"")
    write_adapted(own / "skin" / RUN_FOLDER)
    assert list(own_encoders()) == ["breast", "skin"]
    card = list_encoders()["breast"]
    assert (card.tile_px, card.base, card.folder) == (64, "efficientnet-lite0", own / "breast")
    assert card.source == "efficientnet-lite0 adapted to 3 slides: better"


def test_no_own_encoder_takes_the_name_of_a_known_one(own):
    write_adapted(own / "texture")
    assert list_encoders()["texture"].folder is None


def test_an_encoder_is_found_by_its_folder_its_file_or_its_run(tmp_path):
    folder = write_adapted(tmp_path / "run" / RUN_FOLDER)
    for path in (folder, folder / CARD_FILE, tmp_path / "run"):
        assert adapted_encoder_at(path) == folder
    assert read_adapted_card(folder).name == "run"
    for path in (tmp_path, tmp_path / "nowhere", tmp_path / ("x" * 5000)):
        assert adapted_encoder_at(path) is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"schema": "napari-mil/encoder/9"}, "may need a newer"),
        ({"tile_px": "wide"}, "wrong in tile_px"),
        ({"base": "resnet"}, "contradicts itself"),
        ({"mpp": -1}, "contradicts itself"),
    ],
)
def test_a_card_that_cannot_be_is_refused_in_words(tmp_path, changes, words):
    folder = write_adapted(tmp_path / "mine")
    spoil(folder, **changes)
    with pytest.raises(CheckpointError, match=words):
        read_adapted_card(folder)


def test_a_card_is_read_as_it_was_written(tmp_path):
    card = read_adapted_card(write_adapted(tmp_path / "mine"))
    assert card.probes == (FIGURE,)
    assert card.training.tiles == 40


@pytest.mark.parametrize(
    ("low", "high", "verdict", "words"),
    [
        (0.01, 0.2, "better", "adapting helped"),
        (-0.01, 0.2, "not shown to be better", "may do as well"),
        (-0.2, -0.01, "worse", "stay with efficientnet-lite0"),
    ],
)
def test_the_interval_alone_decides_the_verdict(low, high, verdict, words):
    figure = replace(FIGURE, low=low, high=high)
    assert figure.verdict == verdict
    sentence = figure.sentence("efficientnet-lite0", "2 held-out slides")
    assert words in sentence
    assert "On 2 held-out slides" in sentence
    assert "0.800 adapted, 0.700 before" in sentence
