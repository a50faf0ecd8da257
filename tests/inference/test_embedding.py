import tracemalloc

import numpy as np
import pytest
import torch
from PIL import Image

from napari_mil.bags import open_image_bag, tile_grid
from napari_mil.encoders import create_encoder
from napari_mil.errors import CancelledError
from napari_mil.events import CancellationToken
from napari_mil.inference.embedding import (
    BatchSizes,
    Progress,
    at_least,
    embed_images,
    embed_tiles,
)
from napari_mil.settings import Settings


@pytest.fixture
def images(tmp_path):
    random = np.random.default_rng(0)
    for k, side in enumerate((40, 40, 8, 64)):
        pixels = random.integers(0, 256, (side, side + 3, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{k}.png")
    return open_image_bag(tmp_path)


def test_images_of_any_size_give_the_features_they_have_alone(images):
    encoder = create_encoder("texture", device="cpu")
    events = []
    bag = embed_images(images, encoder, CancellationToken(), smallest=16, on_event=events.append)
    assert bag.names == ("0.png", "1.png", "2.png", "3.png")
    alone = [encoder.encode(at_least(images.read(k), 16)[None]) for k in range(len(images))]
    assert np.allclose(bag.features, np.concatenate(alone), atol=1e-5)
    assert events[-1].done == 4


def test_encoding_images_can_be_cancelled(images):
    token = CancellationToken()
    token.cancel()
    with pytest.raises(CancelledError):
        embed_images(images, create_encoder("texture", device="cpu"), token)


def test_a_small_image_is_continued_by_reflection():
    image = np.arange(2 * 5 * 3, dtype=np.uint8).reshape(2, 5, 3)
    padded = at_least(image, 4)
    assert padded.shape == (4, 5, 3)
    assert np.array_equal(padded[2:], image[::-1])
    assert at_least(image, 2) is image


def test_parts_of_a_unit_add_up_to_whole_ones():
    progress = Progress(2)
    done = [progress.advance(0.1).done for _ in range(20)]
    assert done[8] == 0
    assert done[9] == 1
    assert done[-1] == 2


def test_the_findings_about_images_travel_with_their_features(tmp_path):
    pages = [Image.new("L", (40, 40), value) for value in (1, 2)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    images = open_image_bag(tmp_path)
    bag = embed_images(images, create_encoder("texture", device="cpu"), CancellationToken())
    assert bag.names == ("a.tif [page 1]", "a.tif [page 2]")
    assert bag.warnings == images.findings
    assert len(bag.warnings) == 1


class TileMeans:
    """Encoder of tiles by their mean colour."""

    device = torch.device("cpu")

    def encode(self, tiles):
        return tiles.mean((1, 2), dtype=np.float32)


def test_memory_grows_with_the_features_alone_however_many_tiles_there_are(paint, noise):
    slide = paint(noise)
    slide._backend.store.capacity = 0
    grid = tile_grid(slide, 16, 0.5, overlap=0.5)
    quarter = grid.subset(np.arange(len(grid)) < len(grid) // 4)
    # Batches in flight are bounded; small ones let the difference show.
    settings = Settings(read_ahead=1)
    peaks = []
    tracemalloc.start()
    try:
        for part in (quarter, quarter, grid):
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            features = embed_tiles(slide, part, TileMeans(), settings, CancellationToken())
            peaks.append(tracemalloc.get_traced_memory()[1] - before - features.nbytes)
    finally:
        tracemalloc.stop()
    pixels = len(grid) * 16 * 16 * 3
    assert peaks[2] < peaks[1] + pixels / 20
    assert pixels / 20 > 100_000


class FakeGpu:
    """What torch says of a GPU of 1 GB on which a tile takes 4 MB."""

    GB = 1_000_000_000
    TILE = 4_000_000

    def __init__(self):
        self.device = torch.device("cuda")
        self.batches = []
        self.peak = 0

    def encode(self, tiles):
        self.batches.append(len(tiles))
        self.peak = len(tiles) * self.TILE
        return tiles.mean((1, 2), dtype=np.float32)

    def forget_peak(self, device):
        self.peak = 0


@pytest.fixture
def gpu(monkeypatch):
    fake = FakeGpu()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 0)
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 0)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (FakeGpu.GB, FakeGpu.GB))
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", fake.forget_peak)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: fake.peak)
    return fake


def test_batches_double_to_a_fixed_size_on_the_cpu():
    sizes = BatchSizes(224, TileMeans())
    assert [sizes.next() for _ in range(6)] == [4, 8, 16, 31, 31, 31]
    assert [BatchSizes(4096, TileMeans()).next() for _ in range(2)] == [1, 1]


def test_batches_grow_on_a_gpu_until_one_takes_half_of_the_free_memory(gpu):
    sizes = BatchSizes(224, gpu)
    for _ in range(12):
        sizes.encode(np.zeros((sizes.next(), 8, 8, 3), np.uint8))
    assert gpu.batches == [4, 8, 16, 32, 64, *[125] * 7]
    assert max(gpu.batches) * FakeGpu.TILE <= FakeGpu.GB / 2
    tight = BatchSizes(224, gpu)
    gpu.TILE = FakeGpu.GB / 4
    for _ in range(4):
        tight.encode(np.zeros((tight.next(), 8, 8, 3), np.uint8))
    assert gpu.batches[-1] == 2, "fewer than on a CPU where a tile takes much"


def test_batches_of_any_sizes_give_the_same_features(paint, noise, gpu):
    slide = paint(noise)
    grid = tile_grid(slide, 16, 0.5, overlap=0.5)
    order = np.random.default_rng(0).permutation(len(grid))
    token = CancellationToken()
    on_gpu = embed_tiles(slide, grid, gpu, Settings(), token, order=order)
    on_cpu = embed_tiles(slide, grid, TileMeans(), Settings(), token)
    assert np.array_equal(on_gpu, on_cpu)
    assert sum(gpu.batches) == len(grid)
