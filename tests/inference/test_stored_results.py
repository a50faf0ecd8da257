from dataclasses import replace

import numpy as np
import pytest

from napari_mil.errors import OutputError
from napari_mil.inference.pipeline import classify
from napari_mil.inference.prediction import Prediction
from napari_mil.inference.stored_results import (
    read_result,
    read_results,
    why_outdated,
    with_kept_features,
)
from napari_mil.inference.targets import open_target
from napari_mil.settings import Settings


@pytest.fixture
def saved(slide_path, classifier, tmp_path):
    prediction = classify(slide_path, classifier, device="cpu")
    prediction.save(tmp_path / "answer")
    return prediction, tmp_path / "answer"


def test_a_result_says_what_the_prediction_says_without_its_instances(saved):
    prediction, folder = saved
    result = read_result(folder)
    assert result.probabilities == pytest.approx(prediction.probabilities)
    assert result.labels == prediction.labels
    assert result.fingerprint == prediction.slide["fingerprint"]
    assert result.n_instances == prediction.n_instances
    assert result.tiles.tile_px == 128
    assert result.is_slide
    assert read_results(folder.parent) == (result,)


@pytest.mark.parametrize("length", [0, 1, 40, 400])
def test_a_result_that_was_cut_anywhere_is_refused_in_a_sentence(saved, length):
    _, folder = saved
    file = folder / "prediction.json"
    file.write_bytes(file.read_bytes()[:length])
    with pytest.raises(OutputError, match="holds no complete prediction"):
        read_result(folder)
    assert read_results(folder.parent) == ()


def test_an_answer_holds_for_the_same_slide_classifier_and_tiles(saved, slide_path, classifier):
    result = read_result(saved[1])
    with open_target(slide_path) as target:
        now = (target, classifier.card, classifier.fingerprint)
        assert why_outdated(result, *now) == ()
        assert why_outdated(replace(result, fingerprint="0"), *now) == ("the content is another",)
        other = replace(result, classifier_fingerprint="0")
        assert why_outdated(other, *now) == ("the classifier was replaced",)
        other = replace(other, classifier="other", tiles=None)
        assert why_outdated(other, *now) == ("untrained is chosen now",)
        other = replace(result, tiles=replace(result.tiles, level=1))
        assert why_outdated(other, *now) == ("the tiles are others",)
        assert why_outdated(replace(result, tissue="drawn"), *now) == ("the tissue is another",)


def test_the_features_of_an_answer_come_back_from_the_cache_as_they_were(saved):
    prediction, folder = saved
    stored = Prediction.load(folder)
    assert stored.features is None
    found = with_kept_features(stored, Settings())
    assert np.array_equal(found.features.features, prediction.features.features)
    assert np.array_equal(found.features.coords, prediction.coords)


def test_without_a_cache_an_answer_has_no_features(saved, tmp_path):
    stored = Prediction.load(saved[1])
    gone = with_kept_features(stored, Settings(cache_folder=tmp_path / "nowhere"))
    assert gone is stored
    older = replace(stored, provenance={})
    assert with_kept_features(older, Settings()) is older
