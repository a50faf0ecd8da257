"""Comparison with masks drawn by hand, beside Otsu's threshold on saturation.

``pytest -s tests/bags/test_tissue_drawn.py`` prints the table.
"""

import numpy as np
import pytest

from napari_mil.bags.segmentation import segment_tissue
from tests.bags.tissue.drawn import drawn_masks, intersection_over_union, otsu_on_saturation


@pytest.fixture(scope="module")
def overlaps():
    """Return (name, ours, Otsu's) of every picture that is on this machine."""
    rows = []
    for mask in drawn_masks():
        if mask.is_available:
            picture = mask.read()
            drawn = mask.fill(picture.shape)
            ours = intersection_over_union(segment_tissue(picture).tissue, drawn)
            otsu = intersection_over_union(otsu_on_saturation(picture), drawn)
            rows.append((mask.name, ours, otsu))
    print("\nintersection over union      ours   Otsu on saturation")
    for name, ours, otsu in rows:
        print(f"{name:36s} {ours:.3f}   {otsu:.3f}")
    means = np.mean([row[1:] for row in rows], 0)
    print(f"{'mean of ' + str(len(rows)):36s} {means[0]:.3f}   {means[1]:.3f}")
    return rows


def test_every_picture_is_segmented_at_least_as_well_as_by_otsu(overlaps):
    assert [name for name, ours, otsu in overlaps if ours < otsu] == []


def test_the_mean_overlap_is_high(overlaps):
    assert np.mean([ours for _name, ours, _otsu in overlaps]) > 0.85


def test_at_least_twelve_masks_are_drawn(shared):
    available = [mask for mask in drawn_masks() if mask.is_available]
    assert len(available) >= 12
    for mask in available:
        assert mask.fill(mask.read().shape).any()
