import tracemalloc

import numpy as np
import pytest
from PIL import Image

from napari_mil.bags import open_image_bag, tile_grid
from napari_mil.encoders import create_encoder
from napari_mil.errors import CancelledError
from napari_mil.events import CancellationToken
from napari_mil.inference.embedding import Progress, at_least, embed_images, embed_tiles
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
