from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from napari_mil.bags import open_image_bag, tile_grid
from napari_mil.disk_cache import cached_files
from napari_mil.encoders import create_encoder, list_encoders
from napari_mil.events import Advanced, CancellationToken, Partial
from napari_mil.inference import bag_embedding
from napari_mil.inference.bag_embedding import BagEmbedder
from napari_mil.inference.pipeline import classify
from napari_mil.settings import Settings
from tests.inference.test_devices import SmallDevice


@pytest.fixture
def settings(tmp_path):
    return Settings(cache_folder=tmp_path / "cache", encoder_threads=1)


@pytest.fixture
def embedder(settings):
    encoder = create_encoder("texture", device="cpu")
    return BagEmbedder(encoder, settings, CancellationToken())


@pytest.fixture
def no_encoding(monkeypatch):
    """Return a function after whose call encoding tiles fails the test."""

    def forbid():
        monkeypatch.setattr(
            bag_embedding, "embed_tiles", lambda *_, **__: pytest.fail("encoded again")
        )
        monkeypatch.setattr(
            bag_embedding, "embed_images", lambda *_, **__: pytest.fail("encoded again")
        )

    return forbid


PRECISIONS = [
    (card.name, precision)
    for card in list_encoders().values()
    if not card.needs
    for precision in (("float32", "bfloat16") if card.tolerance else ("auto",))
]


@pytest.mark.parametrize(("name", "precision"), PRECISIONS)
def test_cached_features_are_those_of_any_order_of_reading_to_the_bit(
    slide, settings, name, precision
):
    encoder = create_encoder(name, device="cpu", threads=1, precision=precision)
    grid = tile_grid(slide, 224, 1.0)
    embedder = BagEmbedder(encoder, settings, CancellationToken())
    order = np.random.default_rng(0).permutation(len(grid))
    made = embedder.embed_slide(slide, grid, order=order)
    embedder.offer(made)
    cached = embedder.embed_slide(slide, grid)
    again = BagEmbedder(encoder, replace(settings, cache_gb=0), CancellationToken())
    fresh = again.embed_slide(slide, grid)
    assert (made.is_cached, cached.is_cached, fresh.is_cached) == (False, True, False)
    assert cached.features.tobytes() == made.features.tobytes() == fresh.features.tobytes()


def test_a_second_classifier_on_the_same_encoder_encodes_nothing(
    slide, make_classifier, settings, no_encoding
):
    classify(slide, make_classifier(), device="cpu", settings=settings, focus=(900.0, 900.0))
    other = make_classifier("dsmil", classes=("a", "b", "c"), link="softmax")
    fresh = classify(slide, other, device="cpu", settings=replace(settings, cache_gb=0))
    no_encoding()
    events = []
    cached = classify(slide, other, device="cpu", settings=settings, on_event=events.append)
    assert cached.provenance["from_cache"]
    assert not fresh.provenance["from_cache"]
    for name in ("logits", "probabilities", "coords", "attention", "instance_scores"):
        assert np.array_equal(getattr(cached, name), getattr(fresh, name)), name
    (advanced,) = [event for event in events if isinstance(event, Advanced)]
    assert advanced.done == cached.n_instances
    assert not [event for event in events if isinstance(event, Partial)]


def test_other_tissue_of_the_same_slide_is_encoded_anew(slide, classifier, settings):
    whole = classify(slide, classifier, device="cpu", mask=None, settings=settings)
    tissue = classify(slide, classifier, device="cpu", settings=settings)
    assert tissue.n_instances < whole.n_instances
    assert not tissue.provenance["from_cache"]
    assert len(cached_files(settings.cache_folder)) == 2


def test_a_folder_of_images_is_encoded_once_whatever_its_files_are_called(
    tmp_path, embedder, no_encoding
):
    folder = tmp_path / "images"
    folder.mkdir()
    for k in range(3):
        pixels = np.random.default_rng(k).integers(0, 256, (20, 24, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{k}.png")
    made = embedder.embed_images(open_image_bag(folder))
    embedder.offer(made)
    no_encoding()
    moved = folder.rename(tmp_path / "moved")
    (moved / "0.png").rename(moved / "00.png")
    cached = embedder.embed_images(open_image_bag(moved))
    assert cached.is_cached
    assert cached.features.tobytes() == made.features.tobytes()


def test_a_damaged_entry_is_made_again(slide, embedder):
    grid = tile_grid(slide, 224, 1.0)
    made = embedder.embed_slide(slide, grid)
    embedder.offer(made)
    path = embedder.cache.path(made.key)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    again = embedder.embed_slide(slide, grid)
    assert not again.is_cached
    assert again.features.tobytes() == made.features.tobytes()
    embedder.offer(again)
    assert embedder.embed_slide(slide, grid).is_cached


def test_features_of_a_slide_with_unreadable_tiles_serve_their_run_alone(slide, embedder):
    grid = tile_grid(slide, 224, 1.0)
    x, y = grid.coords[0]
    slide.damage.add(grid.level, (x, y, x + 10, y + 10), "torn")
    made = embedder.embed_slide(slide, grid)
    assert len(made.grid) == len(made.features) == len(grid) - 1
    embedder.offer(made)
    assert not embedder.cache.path(made.key).exists()
    path = embedder.store(made)
    assert path.exists()
    assert not embedder.embed_slide(slide, grid).is_cached


def test_features_of_two_devices_mixed_are_not_kept(slide, settings):
    device = SmallDevice(0)
    embedder = BagEmbedder(device, settings, CancellationToken())
    made = embedder.embed_slide(slide, tile_grid(slide, 224, 1.0))
    assert made.device == "cpu"
    assert device.device == torch.device("cuda")
    assert not made.is_whole
    embedder.offer(made)
    assert cached_files(settings.cache_folder) == []


def test_a_cancelled_run_takes_nothing_from_the_cache_and_leaves_nothing(slide, embedder):
    from napari_mil.errors import CancelledError

    embedder._cancel.cancel()
    with pytest.raises(CancelledError):
        embedder.embed_slide(slide, tile_grid(slide, 224, 1.0))
    assert cached_files(embedder._settings.cache_folder) == []
