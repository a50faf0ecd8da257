import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_mil import bags
from napari_mil.bags import Bag, tile_grid, tissue_mask
from napari_mil.errors import CancelledError, ClassifierError
from napari_mil.events import Advanced, CancellationToken, Fallback, Finished, Partial, Started
from napari_mil.findings import Finding, FindingKind
from napari_mil.inference import embedding, pipeline
from napari_mil.inference.classifier import load_classifier
from napari_mil.inference.devices import ForgivingEncoder
from napari_mil.inference.likeness import describe
from napari_mil.inference.pipeline import classify


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
    by_rows = classify(slide, classifier, device="cpu")
    from_the_middle = classify(slide, classifier, device="cpu", focus=(1500.0, 900.0))
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
    # Overlays rely on this: the mean colour that the encoder saw is that of the tile's place.
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
    assert partials, "values are shown before the end"
    assert all(set(a.indices) < set(b.indices) for a, b in itertools.pairwise(partials))
    assert all(event.values["attention"].sum() == pytest.approx(1, abs=1e-5) for event in partials)


def test_cancelling_ends_within_one_batch(slide, classifier, monkeypatch):
    monkeypatch.setattr(embedding, "LARGEST_BATCH", 8)
    token = CancellationToken()
    done = []

    def cancel_after_two(event):
        if isinstance(event, Advanced):
            done.append(event.done)
            if len(done) == 2:
                token.cancel()

    with pytest.raises(CancelledError):
        classify(slide, classifier, device="cpu", on_event=cancel_after_two, cancel=token)
    assert done == [4, 12]


def test_a_classifier_of_bare_features_refuses_slides(slide, make_classifier, features):
    bare = make_classifier(encoder=False)
    with pytest.raises(ClassifierError, match="bare features"):
        classify(slide, bare)
    assert classify(Bag(features), bare, device="cpu").names == tuple(map(str, range(20)))


def test_features_of_another_length_are_refused(classifier):
    with pytest.raises(ClassifierError, match="length 78, not"):
        classify(Bag(np.zeros((3, 10), np.float32)), classifier)


def test_a_given_grid_is_used_without_looking_for_tissue(slide, classifier, monkeypatch):
    monkeypatch.setattr(bags, "tissue_mask", lambda *_: pytest.fail("looked for tissue"))
    grid = tile_grid(slide, 128, 0.6)
    prediction = classify(slide, classifier, grid=grid, device="cpu")
    assert prediction.n_instances == len(grid)
    assert prediction.provenance["tissue"] is None


def test_drawn_tissue_is_used_as_it_is(slide, classifier):
    mask = tissue_mask(slide)
    mask.mask[: len(mask.mask) // 2] = False
    prediction = classify(slide, classifier, mask=mask, device="cpu")
    assert prediction.coords[:, 1].min() > slide.dimensions[1] / 2 - prediction.tile_size0


def test_remarks_on_the_tissue_come_with_the_answer(slide, classifier):
    finding = Finding(FindingKind.PEN_MARKS, slide.path, "Pen marks were left out.")
    mask = replace(tissue_mask(slide), findings=(finding,))
    told = []
    prediction = classify(slide, classifier, mask=mask, device="cpu", on_event=told.append)
    assert finding.text in prediction.provenance["fallbacks"]
    assert Fallback(finding.text) in told
    assert prediction.provenance["tissue_method"] == "glass"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_gpu_and_cpu_agree(slide, classifier):
    cpu = classify(slide, classifier, device="cpu")
    gpu = classify(slide, classifier, device="cuda")
    assert np.allclose(cpu.attention, gpu.attention, atol=1e-5)


def test_an_answer_says_where_it_is_unlike_the_training_data(classifier):
    random = np.random.default_rng(0)
    bags = list((random.normal(size=(12, 30, 78)) * 0.5 + 0.3).astype(np.float32))
    standardised = [classifier.standardise(bag).numpy() for bag in bags]
    described = replace(
        classifier, likeness=describe(standardised, [str(k) for k in range(len(bags))])
    )
    like = classify(Bag(bags[0]), described, device="cpu")
    assert not like.unlikeness.is_unlike
    assert like.provenance["fallbacks"] == []
    unlike = classify(Bag(bags[0] + 4), described, device="cpu")
    assert unlike.unlikeness.is_unlike
    assert "unlike" in unlike.columns()
    (remark,) = unlike.provenance["fallbacks"]
    assert remark.startswith("This is unlike what untrained was trained on: 100 % of its tiles")
    assert np.array_equal(unlike.logits, classify(Bag(bags[0] + 4), classifier).logits)


def test_a_bundle_keeps_the_description_of_its_training_data(classifier, tmp_path):
    bags = list(np.random.default_rng(0).normal(size=(6, 9, 78)).astype(np.float32))
    described = replace(classifier, likeness=describe(bags, list("abcdef")))
    described.save(tmp_path / "bundle", "notes")
    again = load_classifier(tmp_path / "bundle")
    features = classifier.mean.numpy() + bags[0]
    assert np.array_equal(
        again.unlikeness(features).instances, described.unlikeness(features).instances
    )
    assert again.fingerprint == described.fingerprint != classifier.fingerprint
