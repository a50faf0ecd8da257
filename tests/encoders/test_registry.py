import pytest

from napari_mil.encoders.registry import create_encoder
from napari_mil.errors import UnknownNameError


def test_an_unknown_encoder_is_named():
    with pytest.raises(UnknownNameError, match=r"'uni'.*texture"):
        create_encoder("uni")
    with pytest.raises(UnknownNameError, match="computed, not learned"):
        create_encoder("texture", weights="some.pt")
