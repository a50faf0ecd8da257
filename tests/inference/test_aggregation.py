from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from napari_mil.bags import Bag
from napari_mil.events import Fallback
from napari_mil.inference import aggregation, pipeline
from napari_mil.inference.pipeline import classify


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
    low = make_classifier(threshold=float(p) - 0.01)
    high = make_classifier(threshold=float(p) + 0.01)
    assert classify(Bag(features), low, device="cpu").label == "malignant"
    assert classify(Bag(features), high, device="cpu").label == "benign"


@dataclass
class OnSmallGpu:
    """A classifier on a GPU that holds no bag."""

    on_cpu: object
    mean: object = field(default_factory=lambda: SimpleNamespace(device=torch.device("cuda")))

    def to(self, device):
        assert device.type == "cpu"
        return self.on_cpu


def test_a_bag_too_large_for_the_gpu_is_aggregated_by_the_cpu(classifier, features, monkeypatch):
    aggregate = aggregation._aggregate

    def on_the_cpu_alone(classifier, features):
        if classifier.mean.device.type != "cpu":
            raise torch.OutOfMemoryError("full")
        return aggregate(classifier, features)

    monkeypatch.setattr(aggregation, "_aggregate", on_the_cpu_alone)
    answer = aggregation.answer_bag(OnSmallGpu(classifier), features)
    expected = aggregation.answer_bag(classifier, features)
    assert answer.device == torch.device("cpu")
    assert np.array_equal(answer.logits, expected.logits)


def test_another_device_than_the_one_asked_for_is_told_with_the_answer(
    classifier, features, monkeypatch
):
    answered = replace(aggregation.answer_bag(classifier, features), device=torch.device("cuda"))
    monkeypatch.setattr(pipeline, "answer_bag", lambda *_: answered)
    events = []
    prediction = classify(Bag(features), classifier, device="cpu", on_event=events.append)
    assert prediction.provenance["fallbacks"] == [pipeline.TOO_LARGE_A_BAG]
    assert events.count(Fallback(pipeline.TOO_LARGE_A_BAG)) == 1
