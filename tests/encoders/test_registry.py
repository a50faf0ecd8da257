import pytest

from napari_mil.encoders import registry
from napari_mil.encoders.foundation_cards import ALIASES, FOUNDATION_MODELS
from napari_mil.encoders.registry import create_encoder
from napari_mil.errors import OptionError, UnknownNameError


def test_an_unknown_encoder_is_named():
    with pytest.raises(UnknownNameError, match=r"'vgg'.*efficientnet-lite0, texture, uni"):
        create_encoder("vgg")


@pytest.mark.parametrize("name", ["texture", "efficientnet-lite0"])
def test_embedded_encoders_take_no_weights(name):
    with pytest.raises(UnknownNameError, match=r"takes no weights; leave out some\.pt"):
        create_encoder(name, weights="folder/some.pt")


def test_a_precision_that_an_encoder_does_not_have_is_refused():
    with pytest.raises(OptionError, match="texture has float32 alone"):
        create_encoder("texture", device="cpu", precision="bfloat16")
    assert create_encoder("texture", device="cpu", precision="float32").precision == "float32"
    with pytest.raises(OptionError, match=r"'float8'.*auto, float32, bfloat16"):
        create_encoder("efficientnet-lite0", device="cpu", precision="float8")


@pytest.mark.parametrize("alias", ALIASES)
def test_names_of_other_tools_stand_for_a_model(alias, monkeypatch):
    made = []
    monkeypatch.setattr(registry, "resolve_name", lambda path: lambda *given: made.append(given))
    create_encoder(alias, weights="some.pt", device="cpu")
    assert made[0][0] is FOUNDATION_MODELS[ALIASES[alias]]
