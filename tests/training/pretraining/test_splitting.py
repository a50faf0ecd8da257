from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_mil.training.pretraining.sources import find_sources
from napari_mil.training.pretraining.splitting import (
    even_shares,
    hold_out,
    neighbouring_pairs,
)


@given(st.lists(st.integers(0, 50), min_size=1, max_size=12), st.integers(0, 300))
def test_shares_are_even_and_never_more_than_there_are(available, total):
    shares = even_shares(available, total)
    assert sum(shares) == min(total, sum(available))
    assert all(share <= most for share, most in zip(shares, available, strict=True))
    unfilled = [share for share, most in zip(shares, available, strict=True) if share < most]
    if unfilled:
        assert max(shares) <= min(unfilled) + 1


def patients_of(cohort, names):
    bags = [replace(bag, patient=name) for bag, name in zip(cohort.bags, names, strict=True)]
    return replace(cohort, bags=tuple(bags))


def test_whole_patients_are_held_out_where_there_are_several(regions, lattice):
    cohort = patients_of(regions, ["a", "a", "b", "b", "c", "c", "d", "d"])
    lattices = [lattice(k) for k in range(8)]
    held = hold_out(cohort, lattices, 0.25, seed=0)
    chosen = [k for k in range(8) if held.masks[k].any()]
    assert all(held.masks[k].all() for k in chosen)
    assert len({cohort.bags[k].patient for k in chosen}) == 1
    assert len(chosen) == 2
    assert held.words == "2 held-out slides"
    known = replace(cohort, bags=tuple(replace(bag, patient_known=True) for bag in cohort.bags))
    assert hold_out(known, lattices, 0.25, seed=0).words == "2 held-out slides of other patients"


def test_slides_of_one_patient_are_split_by_slide(regions, lattice):
    cohort = patients_of(regions, ["a"] * 8)
    held = hold_out(cohort, [lattice(k) for k in range(8)], 0.25, seed=0)
    assert sum(mask.all() for mask in held.masks) == 2


def test_classes_are_held_out_alike(regions, lattice):
    for seed in range(5):
        held = hold_out(regions, [lattice(k) for k in range(8)], 0.25, seed)
        labels = [
            bag.label for bag, mask in zip(regions.bags, held.masks, strict=True) if mask.all()
        ]
        assert sorted(labels) == ["left", "right"]


def test_images_of_the_only_folder_are_held_out(image_bag, lattice):
    held = hold_out(find_sources([image_bag]), [lattice(images=6)], 0.25, seed=0)
    images = lattice(images=6).image
    whole = [held.masks[0][images == image].all() for image in range(6)]
    assert sum(whole) == 2
    assert held.masks[0].sum() == 48
    assert held.words == "2 held-out images of the same folder"


def test_of_the_only_slide_the_right_side_is_held_out_behind_a_gap(slide_path, lattice):
    only = lattice(rows=5, columns=16)
    held = hold_out(find_sources([slide_path]), [only], 0.25, seed=0)
    columns = only.cells[:, 1]
    assert columns[held.masks[0]].min() == columns[held.learned(0)].max() + 2
    assert "the only slide" in held.words


def test_pairs_are_neighbours_and_share_no_tile(lattice):
    both = lattice(rows=5, columns=7, images=2)
    held = np.arange(len(both)) % 5 != 0
    pairs = neighbouring_pairs(both, held, np.random.default_rng(0))
    flat = [i for pair in pairs for i in pair]
    assert len(pairs) > 10
    assert len(set(flat)) == len(flat)
    assert held[flat].all()
    for first, second in pairs:
        assert both.image[first] == both.image[second]
        assert np.abs(both.cells[first] - both.cells[second]).sum() == 1


def test_nothing_held_out_gives_no_pair(lattice):
    empty = np.zeros(24, bool)
    assert neighbouring_pairs(lattice(), empty, np.random.default_rng(0)) == []


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5])
def test_something_is_left_to_learn_from(regions, lattice, share):
    lattices = [lattice(k) for k in range(8)]
    held = hold_out(regions, lattices, share, seed=3)
    assert sum(len(held.learned(k)) for k in range(8)) >= 4 * 24
