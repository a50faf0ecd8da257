import pytest
import torch

from napari_mil.inference import loaded_encoders
from napari_mil.inference.loaded_encoders import loaded_encoder
from napari_mil.inference.pipeline import classify

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _nothing_loaded(monkeypatch):
    monkeypatch.setattr(loaded_encoders, "_loaded", {})


def test_the_encoder_of_the_last_run_is_taken_again():
    first = loaded_encoder("texture", CPU, 1)
    assert loaded_encoder("texture", CPU, 1) is first
    other = loaded_encoder("texture", CPU, 2)
    assert other is not first
    assert other.threads == 2
    assert loaded_encoder("texture", CPU, 1) is not first, "one is kept for each device"


def test_an_encoder_that_moved_to_another_device_is_made_again(monkeypatch):
    first = loaded_encoder("texture", CPU, 1)
    monkeypatch.setattr(first, "device", torch.device("cuda"))
    assert loaded_encoder("texture", CPU, 1) is not first


def test_a_second_classification_loads_no_encoder(slide, classifier, monkeypatch):
    first = classify(slide, classifier, device="cpu", mask=None)
    monkeypatch.setattr(
        loaded_encoders, "create_encoder", lambda *_, **__: pytest.fail("loaded again")
    )
    again = classify(slide, classifier, device="cpu", mask=None)
    assert first.logits == again.logits
