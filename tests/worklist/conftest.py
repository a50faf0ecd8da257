"""A small classifier of bare features on disk, and feature files that it takes."""

import numpy as np
import pytest

from napari_mil.inference.card import FEATURES, read_card
from napari_mil.inference.results import ClassifyRequest
from napari_mil.worklist.states import Question
from tests.inference.conftest import make_classifier  # noqa: F401


@pytest.fixture(scope="session")
def bundles(make_classifier, tmp_path_factory):  # noqa: F811
    """Two classifiers of bare features, by name."""
    root = tmp_path_factory.mktemp("classifiers")
    made = {}
    for name, aggregator in (("first", "gated-abmil"), ("second", "abmil")):
        classifier = make_classifier(aggregator, encoder=False, instances=FEATURES)
        classifier.save(root / name, "")
        made[name] = (read_card(root / name), classifier.fingerprint)
    return made


@pytest.fixture
def ask(bundles, tmp_path):
    """Return a function that says what would classify into a folder."""

    def question(name="first", out=None):
        card, fingerprint = bundles[name]
        request = ClassifyRequest(device="cpu")
        return Question(out or tmp_path / "bags-results", card, fingerprint, request, {})

    return question


@pytest.fixture
def bag(tmp_path):
    """Return a function that writes a feature file below the folder of bags."""

    def write(name, seed=0, n=6):
        path = tmp_path / "bags" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, np.random.default_rng(seed).random((n, 78), np.float32))
        return path

    return write
