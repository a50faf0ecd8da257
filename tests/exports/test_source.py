"""Facts that every format takes of an answer and its pixels."""

import numpy as np
import pytest

from napari_mil.bags import Bag
from napari_mil.errors import OutputError, UnknownNameError
from napari_mil.exports.maps import ScaleMode
from napari_mil.exports.source import (
    ExportChoices,
    ExportSource,
    make_source,
    with_features,
    without_names,
)
from napari_mil.inference.pipeline import classify
from tests.exports.answers import answer, answer_on, images_answer


def test_a_slide_that_was_not_classified_is_refused(paint, noise):
    slide = paint(noise)
    with pytest.raises(OutputError, match="is not what this answer was made of"):
        make_source(answer(), slide)
    assert make_source(answer_on(slide), slide).slide is slide


def test_features_take_a_slide_that_their_tiles_lie_on(paint, noise):
    slide = paint(noise)
    of_features = {"slide": {"name": "a", "fingerprint": "1" * 32}}
    assert make_source(answer(**of_features), slide).slide is slide
    far = np.full((6, 2), 100_000)
    with pytest.raises(OutputError, match="not what this answer was made of"):
        make_source(answer(coords=far, **of_features), slide)


def test_tiles_lie_on_the_lattice_they_were_cut_on(slide):
    prediction = classify(slide, "breast-malignancy", device="cpu")
    source = ExportSource(prediction)
    stride = prediction.provenance["grid"]["stride0"]
    assert source.layout.stride0 == stride
    # The exact place of each tile is rounded to the one the answer holds.
    assert np.array_equal(np.rint(source.layout.coords), prediction.coords)
    assert np.array_equal(
        source.layout.index[tuple(source.layout.cells.T)], np.arange(len(source.layout))
    )


def test_positions_without_a_grid_tell_their_lattice():
    provenance = {"device": "cpu"}
    source = ExportSource(answer(provenance=provenance))
    assert source.layout.shape == (2, 3)


@pytest.mark.parametrize(
    ("column", "scale", "key", "mode"),
    [
        (None, None, "score_tumour", ScaleMode.RAW),
        ("attention", None, "attention", ScaleMode.RANK),
        ("attention", ScaleMode.LOG, "attention", ScaleMode.LOG),
        ("score_normal", None, "score_normal", ScaleMode.RAW),
    ],
)
def test_pictures_colour_what_is_chosen_as_the_canvas_would(column, scale, key, mode):
    source = ExportSource(answer(), choices=ExportChoices(column=column, scale=scale))
    assert (source.shown.key, source.shown.scale) == (key, mode)
    assert source.shown.values is source.columns[key]


def test_a_column_that_is_not_there_is_named_with_those_that_are():
    source = ExportSource(answer(), choices=ExportChoices(column="score_dog"))
    with pytest.raises(UnknownNameError, match=r"no column 'score_dog'.*score_tumour, unlike"):
        assert source.shown


def test_tiles_have_the_class_that_the_rule_of_the_answer_gives():
    scores = np.array([[0.45, 0.55], [0.35, 0.65], [0.2, 0.8]], np.float32)
    strict = {**answer().classifier, "threshold": 0.6}
    source = ExportSource(answer(3, instance_scores=scores, classifier=strict))
    assert source.classes_of_instances == (("normal",), ("tumour",), ("tumour",))


def test_of_several_classes_the_highest_score_counts():
    scores = np.array([[0.1, 0.2, 0.7], [0.4, 0.3, 0.3]], np.float32)
    source = ExportSource(answer(2, classes=("a", "b", "c"), instance_scores=scores))
    assert source.classes_of_instances == (("c",), ("a",))


def test_independent_classes_are_all_that_reach_the_threshold():
    scores = np.array([[0.6, 0.7], [0.1, 0.2]], np.float32)
    source = ExportSource(answer(2, instance_scores=scores, label=None, labels=()))
    assert source.classes_of_instances == (("normal", "tumour"), ())


def test_tiles_without_scores_have_no_class():
    assert ExportSource(answer(instance_scores=None)).classes_of_instances is None


def test_pixels_that_are_no_squares_have_a_scale_for_each_axis():
    grid = {"stride0": 100.25, "aspect": 2.0}
    source = ExportSource(answer(provenance={"grid": grid}))
    across, down = source.mpp_xy
    assert down == 2 * across
    assert (across + down) / 2 == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("facts", "origin"),
    [
        ({"provenance": {"origin": [300, 40]}}, (300, 40)),
        ({"provenance": {}}, (0, 0)),
        ({"provenance": {}, "slide": {"vendor": "mirax"}}, None),
        ({"provenance": {}, "slide": {}}, None),
    ],
)
def test_the_corner_that_qupath_counts_from_is_known_or_said_to_be_unknown(facts, origin):
    assert ExportSource(answer(**facts)).origin == origin


def test_classifying_keeps_the_corner_that_qupath_counts_from(slide):
    prediction = classify(slide, "breast-malignancy", device="cpu")
    assert prediction.provenance["origin"] == list(slide.origin)


def test_names_are_left_out_everywhere():
    remarks = ["a slide is unlike", "patient-7-2.png: odd", "slides"]
    named = images_answer(slide={"name": "a slide"}, provenance={"fallbacks": remarks})
    bare = without_names(named)
    assert "name" not in bare.slide
    assert bare.names == ("0", "1", "2", "3")
    assert bare.provenance["fallbacks"] == ["the slide is unlike", "the slide: odd", "slides"]


def test_without_a_name_the_fingerprint_stands_for_the_slide():
    assert ExportSource(without_names(answer())).title == "slide-ffffffff"
    assert ExportSource(without_names(images_answer())).title == "bag-bbbbbbbb"


def test_what_lacks_positions_or_sizes_says_so():
    assert "no positions" in ExportSource(images_answer()).lacks_positions
    assert "how large" in ExportSource(answer(tile_size0=None)).lacks_positions
    assert ExportSource(answer()).lacks_positions == ""


def test_features_of_other_instances_are_refused():
    prediction = answer()
    features = np.zeros((6, 4), np.float32)
    joined = with_features(prediction, Bag(features, prediction.coords, 100.25))
    assert joined.features.features is features
    assert with_features(prediction, Bag(features)).features.coords is None
    for other in (Bag(features[:5]), Bag(features, prediction.coords + 1, 100.25)):
        with pytest.raises(OutputError, match="give the features that it was made of"):
            with_features(prediction, other)


def test_critical_tiles_are_named_by_their_class():
    assert ExportSource(answer(critical=np.array([2]))).critical_names == {2: ("tumour",)}
    both = ExportSource(answer(critical=np.array([4, 4]))).critical_names
    assert both == {4: ("normal", "tumour")}
    assert ExportSource(answer(critical=None)).critical_names == {}
