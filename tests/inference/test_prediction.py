import json
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_mil.aggregators import single_linkage
from napari_mil.errors import OutputError
from napari_mil.inference.likeness import Unlikeness
from napari_mil.inference.prediction import (
    INSTANCES_FILE,
    PREDICTION_FILE,
    TREE_FILE,
    Prediction,
    instance_columns,
)

any_float32 = st.floats(width=32, allow_nan=False, allow_infinity=False)


def prediction_of(n=3, attention=None, scores=None, **changes):
    return Prediction(
        **{
            "classes": ("no, none", "some"),
            "logits": np.array([0.3], np.float32),
            "probabilities": np.array([0.4255575, 0.5744425], np.float32),
            "label": "some",
            "labels": ("some",),
            "coords": np.arange(2 * n).reshape(n, 2) * 224,
            "tile_size0": 224.44889779559118,
            "attention": attention,
            "instance_scores": scores,
            "critical": np.array([1]),
            "slide": {
                "name": "a slide",
                "fingerprint": "f" * 32,
                "dimensions": [10, 20],
                "mpp": 0.499,
                "vendor": "aperio",
            },
            "classifier": {"name": "c"},
            "provenance": {"device": "cpu", "fallbacks": ["something"]},
            **changes,
        }
    )


def assert_equal(a, b):
    for field in Prediction.__dataclass_fields__:
        left = getattr(a, field)
        right = getattr(b, field)
        if isinstance(left, np.ndarray):
            assert left.dtype == right.dtype, field
            assert np.array_equal(left, right), field
        elif field != "features":
            assert left == right, field


@settings(max_examples=40)
@given(
    attention=arrays(np.float32, (4, 2), elements=any_float32),
    scores=arrays(np.float32, (4, 2), elements=any_float32),
)
def test_saving_and_loading_keeps_every_bit(tmp_path_factory, attention, scores):
    folder = tmp_path_factory.mktemp("prediction")
    prediction = prediction_of(4, attention, scores)
    prediction.save(folder)
    assert_equal(prediction, Prediction.load(folder))


def test_tree_similarity_and_masks_come_back_to_the_bit(tmp_path):
    points = np.random.default_rng(0).normal(size=(5, 3))
    extras = {
        "similarity": np.array([0.1, -1, 1, 0.3333333, 0], np.float32),
        "masks": {"high": np.array([True, False, False, False, True]), "random": np.zeros(5, bool)},
        "tree": single_linkage(points),
    }
    prediction = prediction_of(5, np.full((5, 1), 0.2, np.float32), **extras)
    prediction.save(tmp_path)
    again = Prediction.load(tmp_path)
    assert np.array_equal(again.similarity, extras["similarity"])
    assert {kind: mask.tolist() for kind, mask in again.masks.items()} == {
        kind: mask.tolist() for kind, mask in extras["masks"].items()
    }
    assert np.array_equal(again.tree.triplets, extras["tree"].triplets)
    assert np.array_equal(again.tree.heights, extras["tree"].heights)


def test_an_answer_without_a_tree_leaves_none_of_the_answer_before(tmp_path):
    prediction_of(2, tree=single_linkage(np.eye(2))).save(tmp_path)
    assert (tmp_path / TREE_FILE).exists()
    prediction_of(2).save(tmp_path)
    assert not (tmp_path / TREE_FILE).exists()
    assert Prediction.load(tmp_path).tree is None


def test_a_tree_that_was_taken_away_is_missed(tmp_path):
    prediction_of(2, tree=single_linkage(np.eye(2))).save(tmp_path)
    (tmp_path / TREE_FILE).unlink()
    with pytest.raises(OutputError, match="no complete prediction"):
        Prediction.load(tmp_path)


def test_a_bag_of_images_has_names_instead_of_places(tmp_path):
    prediction = prediction_of(
        2,
        np.ones((2, 1), np.float32) / 2,
        coords=None,
        tile_size0=None,
        names=("a, b.png", 'say "c".png'),
    )
    prediction.save(tmp_path)
    assert (tmp_path / INSTANCES_FILE).read_text().splitlines()[0] == "name,attention"
    assert_equal(prediction, Prediction.load(tmp_path))


def test_the_files_hold_what_the_contract_names(tmp_path):
    attention = np.full((3, 1), 1 / 3, np.float32)
    scores = np.full((3, 2), 0.5, np.float32)
    prediction_of(3, attention, scores).save(tmp_path)
    entries = json.loads((tmp_path / PREDICTION_FILE).read_text())
    assert entries["schema"] == "napari-mil/prediction/1"
    assert set(entries["slide"]) == {"name", "fingerprint", "dimensions", "mpp", "vendor"}
    assert list(entries["probabilities"]) == entries["classes"] == ["no, none", "some"]
    assert entries["n_instances"] == 3
    header = (tmp_path / INSTANCES_FILE).read_text().splitlines()[0]
    assert header == 'x,y,width,height,attention,"score_no, none",score_some'


def test_columns_are_named_after_classes_or_heads():
    two = np.zeros((5, 2))
    three = np.zeros((5, 3))
    assert list(instance_columns(("a", "b"), two, None)) == ["attention_a", "attention_b"]
    assert list(instance_columns(("a", "b"), three, None)) == [
        "attention_1",
        "attention_2",
        "attention_3",
    ]
    assert list(instance_columns(("a", "b"), two[:, :1], two)) == [
        "attention",
        "score_a",
        "score_b",
    ]


def test_an_anonymous_answer_has_no_name(tmp_path):
    prediction_of().anonymous().save(tmp_path)
    assert "a slide" not in (tmp_path / PREDICTION_FILE).read_text()


def test_saving_again_replaces_the_answer_and_leaves_nothing_beside(tmp_path):
    prediction_of(3).save(tmp_path)
    prediction_of(5).save(tmp_path)
    assert Prediction.load(tmp_path).n_instances == 5
    assert sorted(path.name for path in tmp_path.iterdir()) == [INSTANCES_FILE, PREDICTION_FILE]


@pytest.mark.parametrize("lost", [PREDICTION_FILE, INSTANCES_FILE])
def test_half_an_answer_is_none(tmp_path, lost):
    prediction_of().save(tmp_path)
    (tmp_path / lost).unlink()
    with pytest.raises(OutputError, match="no complete prediction"):
        Prediction.load(tmp_path)


def test_a_fault_while_writing_leaves_the_earlier_answer(tmp_path, monkeypatch):
    prediction_of(3).save(tmp_path)

    def fail(self, path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Prediction, "_write_table", fail)
    with pytest.raises(OutputError, match="No space left"):
        prediction_of(5).save(tmp_path)
    assert Prediction.load(tmp_path).n_instances == 3


def test_a_file_in_the_way_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written"):
        prediction_of().save(tmp_path / "file")


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes anywhere")
def test_a_folder_without_permission_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="cannot be written"):
        prediction_of().save(tmp_path / "out")


def test_how_unlike_the_training_data_it_is_comes_back_to_the_bit(tmp_path):
    unlikeness = Unlikeness(np.array([0.3333333, 1.7, 0.9], np.float32), 1.0000001)
    prediction_of(3, unlikeness=unlikeness).save(tmp_path)
    again = Prediction.load(tmp_path).unlikeness
    assert np.array_equal(again.instances, unlikeness.instances)
    assert again.bag == unlikeness.bag
    entries = json.loads((tmp_path / "prediction.json").read_text())["unlike"]
    assert entries == {"bag": 1.0000001, "is_unlike": True, "share": pytest.approx(1 / 3)}
    prediction_of(3).save(tmp_path)
    assert Prediction.load(tmp_path).unlikeness is None
