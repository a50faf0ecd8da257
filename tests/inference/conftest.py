import json

import numpy as np
import pytest
import torch

from napari_mil.aggregators import create_aggregator
from napari_mil.encoders import create_encoder
from napari_mil.inference.card import CARD_FILE, ClassifierCard
from napari_mil.inference.classifier import Classifier
from napari_mil.inference.facts import AggregatorRef, EncoderRef


@pytest.fixture(scope="session")
def make_classifier():
    """Return a function that makes an untrained classifier."""

    def make(
        aggregator="gated-abmil",
        classes=("benign", "malignant"),
        link="sigmoid",
        encoder=True,
        **card,
    ):
        torch.manual_seed(3)
        texture = create_encoder("texture", device="cpu")
        reference = None
        if encoder:
            fingerprint = texture.fingerprint if encoder is True else encoder
            reference = EncoderRef("texture", fingerprint)
        entries = {
            "name": "untrained",
            "title": "Nothing it has learned",
            "classes": classes,
            "link": link,
            "encoder": reference,
            "in_dim": texture.dim,
            "tile_px": 128,
            "mpp": 0.6,
            "mpp_assumed": True,
            "overlap": 0.0,
            "aggregator": AggregatorRef(
                aggregator, {"hidden": 16} if "abmil" in aggregator else {}
            ),
            "temperature": 1.7,
            "threshold": 0.5,
            "licence": "BSD-3-Clause",
            "intended_use": "Tests.",
            **card,
        }
        built = ClassifierCard(**entries)
        network = create_aggregator(
            aggregator,
            built.in_dim,
            built.n_outputs,
            multi_label=built.multi_label,
            **built.aggregator.options,
        ).eval()
        return Classifier(
            built, network, torch.full((texture.dim,), 0.3), torch.full((texture.dim,), 0.5)
        )

    return make


@pytest.fixture(scope="session")
def classifier(make_classifier):
    return make_classifier()


@pytest.fixture
def features():
    return np.random.default_rng(0).random((20, 78), np.float32)


@pytest.fixture
def spoil_card():
    """Return a function that changes entries of a bundle's card; None removes one."""

    def spoil(folder, **changes):
        entries = json.loads((folder / CARD_FILE).read_text())
        entries.update(changes)
        remaining = {key: value for key, value in entries.items() if value is not None}
        (folder / CARD_FILE).write_text(json.dumps(remaining))

    return spoil
