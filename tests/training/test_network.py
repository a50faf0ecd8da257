import torch
from torch import nn

from napari_mil import load_classifier
from napari_mil.events import Fallback
from napari_mil.training.cohorts.scanning import scan_annotated_folder
from napari_mil.training.network import copy_matching_tensors
from napari_mil.training.run import train


def test_a_start_that_knows_other_classes_gives_everything_but_their_layers(
    feature_folder, quick, settings, tmp_path
):
    first = train(
        scan_annotated_folder(feature_folder(n=4)),
        quick(epochs=1),
        out=tmp_path / "first",
        settings=settings,
    ).classifier
    said = []
    others = scan_annotated_folder(feature_folder(n=4, classes=("liver", "spleen"), name="others"))
    train(
        others,
        quick(epochs=1, learning_rate=1e-9, start_from=str(first)),
        out=tmp_path / "second",
        on_event=said.append,
        settings=settings,
    )
    assert any(
        "The classes are others" in event.message and "start fresh" in event.message
        for event in said
        if isinstance(event, Fallback)
    )
    before, after = (
        load_classifier(folder).aggregator.state_dict()
        for folder in (first, tmp_path / "second" / "classifier")
    )
    same = {key for key in before if torch.allclose(before[key], after[key], atol=1e-6)}
    assert {key for key in before if key not in same} == {"classifier.weight", "classifier.bias"}


def test_three_classes_start_from_two(feature_folder, quick, settings, tmp_path):
    first = train(
        scan_annotated_folder(feature_folder()),
        quick(epochs=1),
        out=tmp_path / "two",
        settings=settings,
    )
    three = scan_annotated_folder(feature_folder(classes=("a", "b", "c"), name="three"))
    said = []
    result = train(
        three,
        quick(start_from=str(first.classifier), epochs=6),
        out=tmp_path / "run",
        settings=settings,
        on_event=said.append,
    )
    assert any(
        "classifier start fresh" in event.message for event in said if isinstance(event, Fallback)
    )
    card = load_classifier(result.classifier).card
    assert card.link == "softmax"
    assert card.classes == ("a", "b", "c")


def test_only_tensors_of_equal_name_and_shape_are_copied():
    torch.manual_seed(0)
    start = nn.ModuleDict({"body": nn.Linear(3, 4), "head": nn.Linear(4, 2)})
    network = nn.ModuleDict({"body": nn.Linear(3, 4), "head": nn.Linear(4, 3)})
    fresh = copy_matching_tensors(network, start.state_dict(), skipped={"body.bias"})
    assert fresh == ["body", "head"]
    assert torch.equal(network["body"].weight, start["body"].weight)
    assert not torch.equal(network["body"].bias, start["body"].bias)
