import numpy as np
import pytest
import torch

from napari_mil.encoders import create_encoder
from napari_mil.errors import UnknownNameError
from napari_mil.events import Fallback
from napari_mil.inference.devices import FULL_MEMORY, ForgivingEncoder, choose_device


class SmallDevice:
    """Encoder on a device that holds only so many tiles at once."""

    name = "texture"
    fingerprint = "f"
    tile_px = 224
    precision = "float32"

    def __init__(self, holds, device="cuda", error=None):
        self.error = error or torch.OutOfMemoryError("full")
        self.holds = holds
        self.device = torch.device(device)
        self.batches = []
        self._texture = create_encoder("texture", device="cpu")
        self.dim = self._texture.dim

    def encode(self, tiles):
        if len(tiles) > self.holds:
            raise self.error
        self.batches.append(len(tiles))
        return self._texture.encode(tiles)

    def to(self, device):
        return SmallDevice(10**6, device)


def test_a_full_gpu_halves_the_batch_and_tells_it_once():
    tiles = np.random.default_rng(0).integers(0, 256, (20, 16, 16, 3), dtype=np.uint8)
    events = []
    encoder = ForgivingEncoder(SmallDevice(5), events.append)
    features = np.concatenate([encoder.encode(tiles), encoder.encode(tiles)])
    assert np.array_equal(features[:20], create_encoder("texture", device="cpu").encode(tiles))
    assert [event.message for event in events] == [
        "The GPU's memory is full; smaller batches are used."
    ]
    assert max(encoder.encoder.batches) == 5


def test_a_gpu_too_small_for_one_tile_gives_way_to_the_cpu():
    tiles = np.zeros((4, 16, 16, 3), np.uint8)
    events = []
    encoder = ForgivingEncoder(SmallDevice(0), events.append)
    assert encoder.encode(tiles).shape == (4, 78)
    assert encoder.encoder.device.type == "cpu"
    assert "the CPU is used" in events[-1].message


def test_halving_and_giving_way_are_each_told_once_however_many_batches_come():
    tiles = np.random.default_rng(0).integers(0, 256, (20, 16, 16, 3), dtype=np.uint8)
    events = []
    encoder = ForgivingEncoder(SmallDevice(0), events.append)
    features = np.concatenate([encoder.encode(tiles) for _ in range(3)])
    assert np.array_equal(features[40:], create_encoder("texture", device="cpu").encode(tiles))
    assert [event.message for event in events] == encoder.fallbacks
    assert len(events) == len(set(encoder.fallbacks)) == 2
    assert "smaller batches" in encoder.fallbacks[0]
    assert "the CPU is used" in encoder.fallbacks[1]


@pytest.mark.parametrize("words", FULL_MEMORY)
def test_full_memory_of_cudas_libraries_counts_as_well(words):
    tiles = np.zeros((4, 16, 16, 3), np.uint8)
    device = SmallDevice(2, error=RuntimeError(f"{words} when calling something"))
    encoder = ForgivingEncoder(device, lambda event: None)
    assert encoder.encode(tiles).shape == (4, 78)
    assert encoder.encoder is device


def test_other_errors_of_a_gpu_are_not_taken_for_full_memory():
    device = SmallDevice(0, error=RuntimeError("CUDA error: an illegal memory access"))
    with pytest.raises(RuntimeError, match="illegal"):
        ForgivingEncoder(device, print).encode(np.zeros((1, 16, 16, 3), np.uint8))


def test_a_full_cpu_is_not_hidden():
    with pytest.raises(torch.OutOfMemoryError):
        ForgivingEncoder(SmallDevice(0, "cpu"), print).encode(np.zeros((1, 16, 16, 3), np.uint8))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_missing_gpu_is_told():
    events = []
    assert choose_device("cuda", events.append) == torch.device("cpu")
    assert isinstance(events[0], Fallback)
    assert choose_device("auto", events.append) == torch.device("cpu")
    assert len(events) == 1


def test_an_unknown_device_is_named():
    with pytest.raises(UnknownNameError, match="'tpu9'"):
        choose_device("tpu9", print)
