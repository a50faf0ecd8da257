import json

import pytest

from napari_mil.errors import OptionError
from napari_mil.training.pretraining.config import (
    PretrainingConfig,
    make_pretraining_config,
    read_pretraining_config,
)


def test_a_configuration_is_read_as_it_was_written(tmp_path):
    config = make_pretraining_config(sources=("a.svs",), tiles=30, seed=4)
    (tmp_path / "pretraining.json").write_text(config.as_json())
    assert read_pretraining_config(tmp_path / "pretraining.json") == config


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"encoder": "texture"}, "'texture' cannot be adapted; choose efficientnet-lite0"),
        ({"level": 0, "mpp": 1.0}, "give level or mpp, not both"),
        ({"tile_px": 8}, "tiles of at least 32 px, not 8"),
        ({"tiles": 3}, "tiles: "),
        ({"epochs": 0}, "epochs: "),
        ({"held_out": 0}, "held_out: "),
        ({"colour": 1}, "colour: "),
    ],
)
def test_what_cannot_be_is_refused_in_words(fields, words):
    with pytest.raises(OptionError) as caught:
        make_pretraining_config(**fields)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["{", "[]", '{"tiles": "many"}'])
def test_a_damaged_file_is_refused_in_words(tmp_path, text):
    (tmp_path / "pretraining.json").write_text(text)
    with pytest.raises(OptionError):
        read_pretraining_config(tmp_path / "pretraining.json")


def test_what_travels_names_no_path():
    settings = make_pretraining_config(sources=("/secret/a.svs",), threads=2).settings()
    assert "secret" not in json.dumps(settings)
    assert settings["tiles"] == 2000


def test_every_field_says_what_it_is():
    assert all(field.description for field in PretrainingConfig.model_fields.values())
