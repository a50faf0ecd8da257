"""dsmil-wsi checkpoints."""

import pytest
import torch

from napari_mil.aggregators import load_published_state
from napari_mil.aggregators.dsmil import DSMILReleased
from napari_mil.errors import CheckpointError
from tests.aggregators.published.states import dsmil


@pytest.mark.parametrize("head", ["", ".0"])
@pytest.mark.parametrize("classes", [1, 2])
def test_dsmil_is_rebuilt_and_its_outputs_are_labels_of_their_own(head, classes):
    aggregator = load_published_state(dsmil(classes, head=head))
    assert isinstance(aggregator, DSMILReleased)
    assert aggregator.sigmoids
    assert aggregator(torch.randn(9, 24)).logits.shape == (classes,)


def test_an_embedder_inside_dsmil_is_refused_plainly():
    with pytest.raises(CheckpointError, match="embedder"):
        load_published_state(dsmil() | {"i_classifier.feature_extractor.0.weight": torch.zeros(1)})


def test_the_first_release_of_dsmil_has_no_relu_behind_its_information():
    linear = {
        "b_classifier.q.weight": torch.randn(128, 24),
        "b_classifier.q.bias": torch.zeros(128),
        "b_classifier.v.1.weight": torch.randn(24, 24),
    }
    state = linear | {
        "b_classifier.v.1.bias": torch.zeros(24),
        "i_classifier.fc.0.weight": torch.randn(1, 24),
        "i_classifier.fc.0.bias": torch.zeros(1),
    }
    state |= {
        "b_classifier.fcc.weight": torch.randn(1, 1, 24),
        "b_classifier.fcc.bias": torch.zeros(1),
    }
    kinds = [type(layer).__name__ for layer in load_published_state(state).v]
    assert kinds == ["Dropout", "Linear"]
    assert [
        type(layer).__name__ for layer in load_published_state(state, {"passing_v": True}).v
    ] == ["Dropout", "Linear", "ReLU"]
