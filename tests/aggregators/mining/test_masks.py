"""Masks of instances: counts, ties and guards."""

import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_mil.aggregators.mining import MaskRatios, mask_instances

shares = st.sampled_from([0.0, 0.01, 0.07, 0.2, 0.5, 0.8])


@settings(max_examples=150)
@given(
    n=st.integers(2, 120),
    heads=st.integers(1, 4),
    high=shares,
    low=shares,
    random=shares,
    drawn=st.sampled_from([0.5, 1.0]),
    seed=st.integers(0, 99),
)
def test_each_part_has_its_count_of_all_instances_and_something_stays(
    n, heads, high, low, random, drawn, seed
):
    scores = torch.randn(n, heads, generator=torch.Generator().manual_seed(seed)).softmax(0)
    masks = mask_instances(
        scores, MaskRatios(high, low, random, drawn), generator=torch.Generator().manual_seed(seed)
    )
    assert set(masks) == {
        kind for kind, share in {"high": high, "low": low, "random": random}.items() if share
    }
    if not masks:
        return
    kept = ~torch.stack(list(masks.values())).any(0)
    assert kept.sum() >= 1
    if kept.sum() > 1:  # no guard was needed
        for kind, share in {"low": low, "random": random}.items():
            assert not share or masks[kind].sum() == math.ceil(n * share)
        if high:
            pool = math.ceil(n * min(1.0, high / drawn))
            assert masks["high"].sum() == (
                math.ceil(n * high) if drawn == 1 or high > drawn else math.ceil(pool * drawn)
            )


@settings(max_examples=60)
@given(n=st.integers(3, 60), min_keep=st.integers(1, 5), seed=st.integers(0, 99))
def test_what_stays_at_least_is_released_random_first_then_low_then_high(n, min_keep, seed):
    scores = torch.randn(n, 1, generator=torch.Generator().manual_seed(seed))
    masks = mask_instances(
        scores,
        MaskRatios(0.5, 0.6, 0.3),
        min_keep=min_keep,
        generator=torch.Generator().manual_seed(seed),
    )
    kept = ~torch.stack(list(masks.values())).any(0)
    assert kept.sum() >= min(min_keep, n)
    # The highest is masked as long as there is anything else to release.
    assert masks["high"][scores.argmax()] == (min_keep < n)


def test_bags_of_one_and_scores_that_are_no_numbers_mask_nothing():
    everything = MaskRatios(0.5, 0.5, 0.5)
    assert not any(mask.any() for mask in mask_instances(torch.ones(1, 1), everything).values())
    assert not any(
        mask.any() for mask in mask_instances(torch.full((9, 2), torch.nan), everything).values()
    )
    assert mask_instances(torch.ones(9, 1), MaskRatios()) == {}


def test_ties_in_the_vote_go_to_the_higher_mean_then_to_the_lower_index():
    scores = torch.tensor([[0.9, 0.0], [0.0, 0.8], [0.5, 0.5], [0.5, 0.5]])
    masks = mask_instances(
        scores, MaskRatios(high=0.25)
    )  # each head marks its best one; two instances with a vote each
    assert masks["high"].tolist() == [True, False, False, False]
    equal = mask_instances(torch.full((4, 1), 0.25), MaskRatios(high=0.5))
    assert equal["high"].tolist() == [True, True, False, False]
