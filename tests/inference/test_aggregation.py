import pytest

from napari_mil.bags import Bag
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
