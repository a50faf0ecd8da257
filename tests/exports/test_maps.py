"""Which values can be mapped, and how they become colours."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_mil.exports.maps import (
    ATTENTION,
    CONTRIBUTION,
    SCORE,
    UNLIKE,
    ScaleMode,
    default_key,
    default_scale,
    difference,
    mapped_keys,
    ranks,
    scaled,
    title_of,
)

numbers = st.one_of(st.just(np.nan), st.floats(0, 1, width=32))
some_values = st.integers(0, 12).flatmap(lambda n: arrays(np.float32, n, elements=numbers))


def test_columns_are_titled_by_kind_and_class_or_head():
    assert [title_of(key) for key in ("attention", "attention_2", "score_a_b")] == [
        "attention",
        "attention: 2",
        "score: a_b",
    ]


def test_of_two_classes_the_score_of_the_first_is_no_map_of_its_own():
    keys = ["x", "attention", "score_a", "score_b", "masked_high", "unlike"]
    assert mapped_keys(keys, ("a", "b")) == ["attention", "score_b", "unlike"]
    assert mapped_keys(keys, ("a", "b", "c")) == ["attention", "score_a", "score_b", "unlike"]


def test_a_score_comes_first_and_attention_without_one():
    assert default_key(["attention", "score_b"]) == "score_b"
    assert default_key(["similarity", "attention"]) == "attention"
    assert default_key(["unlike"]) is None


def test_what_has_limits_is_shown_as_it_is():
    assert default_scale(SCORE) is default_scale(UNLIKE) is ScaleMode.RAW
    assert default_scale(ATTENTION) is ScaleMode.RANK


def test_what_is_unlike_is_shown_as_a_multiple_of_its_limit():
    values = np.array([0.5, 1.0, 7.0], np.float32)
    shown, low, high = scaled(values, ScaleMode.RAW, UNLIKE)
    assert np.array_equal(shown, values)
    assert (low, high) == (0, 2)


def test_raw_scores_span_the_whole_colour_bar_whatever_they_are():
    values, low, high = scaled(np.array([0.4, 0.6], np.float32), ScaleMode.RAW, SCORE)
    assert (low, high) == (0.0, 1.0)
    assert np.allclose(values, [0.4, 0.6])


def test_raw_attention_spans_its_own_range():
    raw = np.array([0.25, np.nan, 0.75], np.float32)
    _, low, high = scaled(raw, ScaleMode.RAW, ATTENTION)
    assert (low, high) == (0.25, 0.75)


def test_a_logarithm_tells_no_value_apart_from_the_smallest_share():
    raw = np.array([0.0, 1e-9, 1e-3, 1.0], np.float32)
    values, low, high = scaled(raw, ScaleMode.LOG, ATTENTION)
    assert np.allclose(values, [-6, -6, -3, 0])
    assert np.allclose((low, high), (-6, 0))


WHOLE = [mode for mode in ScaleMode if mode is not ScaleMode.PERCENTILE]


@given(some_values, st.sampled_from(WHOLE), st.sampled_from([SCORE, ATTENTION]))
def test_every_scaled_value_lies_between_the_ends_of_the_colour_bar(values, mode, kind):
    shown, low, high = scaled(values, mode, kind)
    known = shown[~np.isnan(shown)]
    assert low < high
    assert np.array_equal(np.isnan(shown), np.isnan(values))
    assert ((known >= low) & (known <= high)).all()


@given(some_values)
def test_ranks_keep_the_order_and_leave_out_what_is_unknown(values):
    shares = ranks(values)
    known = ~np.isnan(values)
    assert np.array_equal(np.isnan(shares), ~known)
    assert ((shares[known] >= 0) & (shares[known] <= 1)).all()
    higher = values[known][:, None] > values[known]
    assert (shares[known][:, None] > shares[known])[higher].all()


def test_the_highest_value_has_rank_one_and_the_lowest_none():
    assert ranks(np.array([3.0, 1.0, 2.0])).tolist() == [1.0, 0.0, 0.5]
    assert ranks(np.array([7.0])).tolist() == [1.0]


def test_values_with_a_sign_keep_zero_in_the_middle():
    values = np.array([-3.0, 0.0, 1.0, np.nan], np.float32)
    raw, low, high = scaled(values, ScaleMode.RAW, CONTRIBUTION)
    assert (low, high) == (-3.0, 3.0)
    np.testing.assert_array_equal(raw, values)
    ranked, low, high = scaled(values, ScaleMode.RANK, CONTRIBUTION)
    assert (low, high) == (-1.0, 1.0)
    np.testing.assert_array_equal(ranked, [-1.0, 0.0, 0.5, np.nan])
    assert default_scale(CONTRIBUTION) is ScaleMode.RANK, "one tile often outweighs all others"
    nothing = scaled(np.zeros(3, np.float32), ScaleMode.RAW, CONTRIBUTION)
    assert nothing[1:] == (-1.0, 1.0)


def test_percentiles_leave_single_extremes_out_of_the_colours():
    values = np.arange(1001, dtype=np.float32)
    values[-1] = 1e6
    shown, low, high = scaled(values, ScaleMode.PERCENTILE, "attention")
    assert (low, high) == pytest.approx((10, 990))
    np.testing.assert_array_equal(shown, values)
    _, low, high = scaled(values - 500, ScaleMode.PERCENTILE, "contribution")
    assert -low == high < 1000


def test_a_difference_is_taken_where_both_have_a_value():
    first = np.array([0.9, 0.5, np.nan, 0.2], np.float32)
    second = np.array([0.4, 0.6, 0.1, np.nan], np.float32)
    values, limit = difference(first, second, ScaleMode.RAW)
    np.testing.assert_allclose(values, [0.5, -0.1, np.nan, np.nan], rtol=1e-6)
    assert limit == np.float32(0.9) - np.float32(0.4)


@given(some_values)
def test_a_difference_of_ranks_depends_on_order_alone(values):
    other = values[::-1].copy()
    found, limit = difference(values, other, ScaleMode.RANK)
    again, same = difference(values * 8, other, ScaleMode.RANK)
    np.testing.assert_array_equal(found, again)
    assert limit == same
    known = found[~np.isnan(found)]
    assert (np.abs(known) <= limit).all()
    assert 0 < limit <= 1


def test_maps_that_are_equal_differ_by_nothing():
    values, limit = difference(np.ones(3, np.float32), np.ones(3, np.float32), ScaleMode.RAW)
    assert values.tolist() == [0, 0, 0]
    assert limit == 1


def test_the_predicted_class_comes_first_among_those_of_a_kind():
    keys = ["attention", "score_a", "score_b", "score_c", "alone_a", "alone_c"]
    found = mapped_keys(keys, ("a", "b", "c"), "c")
    assert found == ["attention", "score_c", "score_a", "score_b", "alone_c", "alone_a"]
