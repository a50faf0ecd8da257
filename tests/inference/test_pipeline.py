import itertools
import threading

import numpy as np
import pytest
import torch

from napari_mil.bags import Bag, tile_grid, tissue_mask
from napari_mil.encoders import create_encoder
from napari_mil.errors import (
    CancelledError,
    ClassifierError,
    MissingMppError,
    NapariMilError,
    NoTissueError,
)
from napari_mil.events import Advanced, CancellationToken, Fallback, Finished, Partial, Started
from napari_mil.inference import embedding, pipeline
from napari_mil.inference.devices import ForgivingEncoder, choose_device
from napari_mil.inference.pipeline import classify, visiting_order
from napari_mil.inference.planning import plan_tiles


def test_an_answer_holds_everything_about_its_instances(slide, classifier):
    prediction = classify(slide, classifier, device="cpu")
    n = len(prediction.coords)
    assert n == prediction.n_instances == len(prediction.features)
    assert prediction.attention.shape == (n, 1)
    assert prediction.attention.sum() == pytest.approx(1, abs=1e-5)
    assert prediction.probabilities.sum() == pytest.approx(1)
    assert prediction.probabilities[1] == pytest.approx(
        1 / (1 + np.exp(-prediction.logits[0] / 1.7)), abs=1e-6
    )
    assert prediction.label == prediction.classes[int(prediction.probabilities[1] >= 0.5)]
    assert prediction.slide["name"] == "CMU-1-Small-Region"
    assert set(prediction.slide) == {"name", "fingerprint", "dimensions", "mpp", "vendor"}
    assert prediction.provenance["device"] == "cpu"


def test_the_order_of_visits_does_not_change_the_answer(slide, classifier):
    by_rows, from_the_middle = (
        classify(slide, classifier, device="cpu"),
        classify(slide, classifier, device="cpu", focus=(1500.0, 900.0)),
    )
    assert np.array_equal(by_rows.coords, from_the_middle.coords)
    assert np.allclose(by_rows.attention, from_the_middle.attention, atol=1e-6)
    assert by_rows.probabilities == pytest.approx(from_the_middle.probabilities, abs=1e-6)


def test_a_path_a_slide_and_a_bag_of_the_same_tiles_get_the_same_answer(
    slide, slide_path, classifier
):
    prediction = classify(slide_path, classifier, device="cpu")
    again = classify(prediction.features, classifier, device="cpu")
    assert np.array_equal(again.logits, prediction.logits)
    assert np.array_equal(again.attention, prediction.attention)
    assert np.array_equal(classify(slide, classifier, device="cpu").logits, prediction.logits)


def test_every_feature_describes_the_very_pixels_its_tile_covers(slide, classifier, monkeypatch):
    """The alignment that an overlay stands on: mean colour as the encoder saw it against the slide at the tile's place."""
    seen = {}
    original = ForgivingEncoder.encode

    def watch(self, tiles):
        seen.setdefault("means", []).append(tiles.mean((1, 2)))
        return original(self, tiles)

    monkeypatch.setattr(ForgivingEncoder, "encode", watch)
    prediction = classify(slide, classifier, device="cpu")
    means = np.concatenate(seen["means"])
    side = prediction.tile_size0
    width, height = slide.dimensions
    for i in range(0, len(means), 7):
        x, y = prediction.coords[i]
        if x + side <= width and y + side <= height:
            covered = slide.read_region((x, y), 0, (round(side), round(side))).mean((0, 1))
            assert means[i] == pytest.approx(covered, abs=2.0), i


def test_events_come_in_order_and_partial_answers_grow(slide, classifier, monkeypatch):
    monkeypatch.setattr(pipeline, "PARTIAL_EVERY", 0.0)
    monkeypatch.setattr(embedding, "LARGEST_BATCH", 16)
    events = []
    prediction = classify(slide, classifier, device="cpu", on_event=events.append, focus=(0.0, 0.0))
    assert isinstance(events[0], Started)
    assert events[0].total == prediction.n_instances == len(events[0].grid)
    assert isinstance(events[-1], Finished)
    assert events[-1].result is prediction
    done = [event.done for event in events if isinstance(event, Advanced)]
    assert done == sorted(done)
    assert done[-1] == prediction.n_instances
    partials = [event for event in events if isinstance(event, Partial)]
    assert partials, "tissue lights up before the end"
    assert all(set(a.indices) < set(b.indices) for a, b in itertools.pairwise(partials))
    assert all(event.values["attention"].sum() == pytest.approx(1, abs=1e-5) for event in partials)


def test_cancelling_ends_within_one_batch(slide, classifier, monkeypatch):
    monkeypatch.setattr(embedding, "LARGEST_BATCH", 8)
    token, done = CancellationToken(), []

    def cancel_after_two(event):
        if isinstance(event, Advanced):
            done.append(event.done)
            if len(done) == 2:
                token.cancel()

    with pytest.raises(CancelledError):
        classify(slide, classifier, device="cpu", on_event=cancel_after_two, cancel=token)
    assert done == [8, 16]


def test_visits_go_coarse_to_fine_and_outwards(slide):
    grid = tile_grid(slide, 64, 0.5)
    order = visiting_order(grid, (1000.0, 1500.0))
    assert sorted(order) == list(range(len(grid)))
    coarse = (grid.cells[order] % 4 == 0).all(1)
    assert coarse[: coarse.sum()].all()
    distance = np.hypot(*(grid.coords[order] + 32 - np.array([1000, 1500])).T)[: coarse.sum()]
    assert (np.diff(distance) >= 0).all()


def test_glass_alone_is_refused(paint, classifier):
    slide = paint(np.full((600, 600, 3), 243, np.uint8))
    with pytest.raises(NoTissueError, match=r"painted\.tiff shows no tissue"):
        classify(slide, classifier)
    assert classify(slide, classifier, mask=None, device="cpu").n_instances == 16


def test_a_slide_without_scale_is_refused_and_mended_by_the_user(paint, noise, classifier):
    with pytest.raises(MissingMppError, match="--slide-mpp"):
        classify(paint(noise, mpp=None), classifier)
    assert (
        classify(
            paint(noise, mpp=None, name="b.tiff").with_mpp(0.5), classifier, device="cpu"
        ).n_instances
        > 1
    )


def test_uncertain_scales_are_said(paint, noise, classifier):
    slide = paint(noise, mpp=None)
    grid = plan_tiles(slide, classifier.card, None, level=0).grid
    prediction = classify(slide, classifier, grid=grid, device="cpu")
    assert "scale is unknown" in prediction.provenance["fallbacks"][0]
    coarse = paint(noise, mpp=1.1, name="coarse.tiff")
    assert (
        "enlarged"
        in classify(coarse, classifier, mask=None, device="cpu").provenance["fallbacks"][0]
    )


def test_a_classifier_of_bare_features_refuses_slides(slide, make_classifier, features):
    bare = make_classifier(encoder=False)
    with pytest.raises(ClassifierError, match="bare features"):
        classify(slide, bare)
    assert classify(Bag(features), bare, device="cpu").names == tuple(map(str, range(20)))


def test_features_of_another_length_are_refused(classifier):
    with pytest.raises(ClassifierError, match="length 78, not"):
        classify(Bag(np.zeros((3, 10), np.float32)), classifier)


def test_another_version_of_the_encoder_is_refused(slide, make_classifier):
    with pytest.raises(ClassifierError, match="another version"):
        classify(slide, make_classifier(encoder="an older fingerprint"))


@pytest.mark.parametrize(
    ("link", "classes"),
    [("softmax", ("a", "b", "c")), ("multi-label", ("a", "b", "c")), ("sigmoid", ("a", "b"))],
)
def test_every_link_gives_one_probability_per_class(make_classifier, features, link, classes):
    prediction = classify(Bag(features), make_classifier("dsmil", classes, link), device="cpu")
    assert prediction.probabilities.shape == (len(classes),)
    assert prediction.instance_scores.shape == (20, len(classes))
    if link == "multi-label":
        assert prediction.label is None
        assert set(prediction.labels) == {
            name for name, p in zip(classes, prediction.probabilities, strict=True) if p >= 0.5
        }
    else:
        assert prediction.labels == (prediction.label,)


def test_the_threshold_of_the_bundle_decides_between_two_classes(make_classifier, features):
    p = classify(Bag(features), make_classifier(), device="cpu").probabilities[1]
    low, high = (
        make_classifier(threshold=float(p) - 0.01),
        make_classifier(threshold=float(p) + 0.01),
    )
    assert classify(Bag(features), low, device="cpu").label == "malignant"
    assert classify(Bag(features), high, device="cpu").label == "benign"


class SmallDevice:
    """An encoder on a device that holds only so many tiles at once."""

    def __init__(self, holds, device="cuda"):
        self.holds, self.device, self.batches = holds, torch.device(device), []
        self._texture = create_encoder("texture", device="cpu")
        self.dim = self._texture.dim

    def encode(self, tiles):
        if len(tiles) > self.holds:
            raise torch.OutOfMemoryError("full")
        self.batches.append(len(tiles))
        return self._texture.encode(tiles)

    def to(self, device):
        return SmallDevice(10**6, device)


def test_a_full_gpu_halves_the_batch_and_says_so_once():
    tiles, said = np.random.default_rng(0).integers(0, 256, (20, 16, 16, 3), dtype=np.uint8), []
    encoder = ForgivingEncoder(SmallDevice(5), said.append)
    features = np.concatenate([encoder.encode(tiles), encoder.encode(tiles)])
    assert np.array_equal(features[:20], create_encoder("texture", device="cpu").encode(tiles))
    assert [event.message for event in said] == [
        "The GPU's memory is full; smaller batches are used."
    ]
    assert max(encoder.encoder.batches) == 5


def test_a_gpu_too_small_for_one_tile_gives_way_to_the_cpu():
    tiles, said = np.zeros((4, 16, 16, 3), np.uint8), []
    encoder = ForgivingEncoder(SmallDevice(0), said.append)
    assert encoder.encode(tiles).shape == (4, 78)
    assert encoder.encoder.device.type == "cpu"
    assert "the CPU is used" in said[-1].message


def test_a_mask_is_not_guessed_from_a_word(slide, classifier):
    with pytest.raises(NapariMilError, match="not 'none'"):
        classify(slide, classifier, mask="none")


def test_a_given_grid_is_used_without_looking_for_tissue(slide, classifier, monkeypatch):
    monkeypatch.setattr(pipeline, "tissue_mask", lambda *_: pytest.fail("looked for tissue"))
    grid = tile_grid(slide, 128, 0.6)
    prediction = classify(slide, classifier, grid=grid, device="cpu")
    assert prediction.n_instances == len(grid)
    assert prediction.provenance["tissue"] is None


def test_the_scale_is_judged_before_tissue_is_looked_for(paint, noise, classifier, monkeypatch):
    monkeypatch.setattr(pipeline, "tissue_mask", lambda *_: pytest.fail("looked for tissue"))
    with pytest.raises(MissingMppError):
        plan_tiles(paint(noise, mpp=None), classifier.card)


def test_an_unknown_device_is_named(features, classifier):
    with pytest.raises(NapariMilError, match="'tpu9'"):
        classify(Bag(features), classifier, device="tpu9")


def test_encoding_leaves_the_threads_of_others_as_they_were():
    seen = []
    before = torch.get_num_threads()
    create_encoder("texture", device="cpu", threads=2).encode(np.zeros((4, 64, 64, 3), np.uint8))
    thread = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert [torch.get_num_threads(), *seen] == [before, before]


def test_a_full_cpu_is_not_hidden():
    with pytest.raises(torch.OutOfMemoryError):
        ForgivingEncoder(SmallDevice(0, "cpu"), print).encode(np.zeros((1, 16, 16, 3), np.uint8))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_missing_gpu_is_said():
    said = []
    assert choose_device("cuda", said.append) == torch.device("cpu")
    assert isinstance(said[0], Fallback)
    assert choose_device("auto", said.append) == torch.device("cpu")
    assert len(said) == 1


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_gpu_and_cpu_agree(slide, classifier):
    cpu, gpu = classify(slide, classifier, device="cpu"), classify(slide, classifier, device="cuda")
    assert np.allclose(cpu.attention, gpu.attention, atol=1e-5)


def test_drawn_tissue_is_used_as_it_is(slide, classifier):
    mask = tissue_mask(slide)
    mask.mask[: len(mask.mask) // 2] = False
    prediction = classify(slide, classifier, mask=mask, device="cpu")
    assert prediction.coords[:, 1].min() > slide.dimensions[1] / 2 - prediction.tile_size0
