"""Which column is coloured, and how its values become colours."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_mil.gui.model.display import (
    Column,
    Display,
    Kind,
    Look,
    Role,
    ScaleMode,
    can_be_mined,
    chosen_column,
    columns_of,
    default_column,
    scale_of,
    scaled,
)
from tests.gui.model import builders as build

KEYS = ["attention_1", "attention_2", "score_low", "score_high", "similarity", "unlike"]
COLUMNS = columns_of(KEYS, ("low", "middle", "high"))
numbers = st.one_of(st.just(np.nan), st.floats(0, 1, width=32))
some_values = st.integers(0, 9).flatmap(lambda n: arrays(np.float32, n, elements=numbers))


def test_columns_are_named_by_kind_and_class_or_head():
    titles = [column.title for column in COLUMNS]
    assert titles == [
        "attention: 1",
        "attention: 2",
        "score: low",
        "score: high",
        "similarity",
        "unlike",
    ]


def test_what_is_unlike_is_shown_as_a_multiple_of_its_limit():
    assert scale_of(Display(), Kind.UNLIKE) is ScaleMode.RAW
    values = np.array([0.5, 1.0, 7.0], np.float32)
    shown, low, high = scaled(values, ScaleMode.RAW, Kind.UNLIKE)
    assert np.array_equal(shown, values)
    assert (low, high) == (0, 2)


def test_of_two_classes_the_score_of_the_first_is_left_out():
    columns = columns_of(["score_normal", "score_tumour"], ("normal", "tumour"))
    assert [column.name for column in columns] == ["tumour"]


def test_columns_that_are_no_map_are_left_out():
    assert columns_of(["x", "masked_high"], ()) == []


def test_a_score_is_shown_first_and_attention_without_one():
    assert default_column(COLUMNS).key == "score_low"
    assert default_column(COLUMNS[:2]).key == "attention_1"
    assert default_column([]) is None


@pytest.mark.parametrize(
    ("kind", "name", "key"),
    [
        (None, "", "score_low"),
        (Kind.ATTENTION, "", "attention_1"),
        (Kind.ATTENTION, "2", "attention_2"),
        (Kind.SCORE, "unheard", "score_low"),
        (Kind.SIMILARITY, "", "similarity"),
    ],
)
def test_a_display_chooses_a_column_by_kind_and_name(kind, name, key):
    assert chosen_column(Display(kind=kind, name=name), COLUMNS).key == key


def test_an_answer_without_the_chosen_values_shows_what_it_has():
    columns = columns_of(["attention"], ())
    assert chosen_column(Display(kind=Kind.SCORE), columns).key == "attention"


@pytest.mark.parametrize("kind", [Kind.CLUSTERS, Kind.MASKS, Kind.CRITICAL, Kind.TRAINING])
def test_groups_and_marks_are_no_column(kind):
    assert chosen_column(Display(kind=kind), COLUMNS) is None


def test_scores_are_shown_as_they_are_and_everything_else_by_rank():
    assert scale_of(Display(), Kind.SCORE) is ScaleMode.RAW
    assert scale_of(Display(), Kind.ATTENTION) is ScaleMode.RANK
    assert scale_of(Display(scale=ScaleMode.LOG), Kind.SCORE) is ScaleMode.LOG


def test_raw_scores_span_the_whole_colour_bar_whatever_they_are():
    values, low, high = scaled(np.array([0.4, 0.6], np.float32), ScaleMode.RAW, Kind.SCORE)
    assert (low, high) == (0.0, 1.0)
    assert np.allclose(values, [0.4, 0.6])


def test_raw_attention_spans_its_own_range():
    raw = np.array([0.25, np.nan, 0.75], np.float32)
    _, low, high = scaled(raw, ScaleMode.RAW, Kind.ATTENTION)
    assert (low, high) == (0.25, 0.75)


def test_a_logarithm_tells_no_value_apart_from_the_smallest_share():
    raw = np.array([0.0, 1e-9, 1e-3, 1.0], np.float32)
    values, low, high = scaled(raw, ScaleMode.LOG, Kind.ATTENTION)
    assert np.allclose(values, [-6, -6, -3, 0])
    assert np.allclose((low, high), (-6, 0))


@given(some_values, st.sampled_from(ScaleMode), st.sampled_from([Kind.SCORE, Kind.ATTENTION]))
def test_every_scaled_value_lies_between_the_ends_of_the_colour_bar(values, mode, kind):
    shown, low, high = scaled(values, mode, kind)
    known = shown[~np.isnan(shown)]
    assert low < high
    assert np.array_equal(np.isnan(shown), np.isnan(values))
    assert ((known >= low) & (known <= high)).all()


def test_a_look_changes_only_what_it_says():
    display = Display().with_look(Role.OVERLAY, Look(opacity=0.4, colormap="magma"))
    display = display.with_look(Role.OVERLAY, Look(visible=False))
    assert display.look(Role.OVERLAY) == Look(False, 0.4, "magma")
    assert display.look(Role.GROUPS) == Look()


def test_a_classifier_that_is_not_mined_says_why():
    assert can_be_mined(build.card(), ["gated-abmil"]) == ""
    assert can_be_mined(build.card(aggregator="hamil"), ["dsmil", "transmil"]) == (
        "Masked mining is made for dsmil, transmil; this is hamil."
    )


def test_a_column_with_one_head_is_titled_by_its_kind():
    assert Column(Kind.ATTENTION, "", "attention").title == "attention"
