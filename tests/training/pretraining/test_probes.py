from dataclasses import replace

import numpy as np
import pytest

from napari_mil.training.pretraining.probes import (
    Vectors,
    neighbour_scores,
    probe,
    probe_neighbours,
)
from napari_mil.training.pretraining.tiles import LEARNED, Tiles

DIM = 6


def made_tiles(bags=6, pairs=5, learned=10):
    """Tiles of some held-out bags, and as many bags that are learned from."""
    rows = []
    number = 0
    for bag in range(bags):
        for k in range(pairs):
            rows += [(bag, 0, 10 * k, 0, number), (bag, 0, 10 * k, 1, number)]
            number += 1
    rows += [(bags + k % bags, 0, k, 0, LEARNED) for k in range(learned * bags)]
    bag, image, row, column, pair = np.array(rows).T
    places = np.arange(len(rows))
    return Tiles(places, places, bag, image, np.stack([row, column], 1), pair, "some slides")


def vectors(tiles, alike, seed=0):
    """Vectors of which neighbours are alike to some degree."""
    random = np.random.default_rng(seed)
    probed = random.normal(size=(len(tiles.probed), DIM)).astype(np.float32)
    common = np.repeat(random.normal(size=(len(probed) // 2, DIM)), 2, axis=0)
    learned = random.normal(size=(len(tiles.learned), DIM)).astype(np.float32)
    return Vectors(learned, (alike * common + (1 - alike) * probed).astype(np.float32))


def test_neighbours_that_are_equal_score_one_and_random_ones_a_half():
    tiles = made_tiles(bags=12, pairs=8)
    equal = neighbour_scores(vectors(tiles, 1.0).probed, tiles, tiles.probed)
    assert (equal == 1).all()
    chance = neighbour_scores(vectors(tiles, 0.0).probed, tiles, tiles.probed)
    assert chance.mean() == pytest.approx(0.5, abs=0.08)


def test_the_colour_of_a_slide_does_not_decide():
    tiles = made_tiles(bags=12, pairs=8)
    random = np.random.default_rng(1)
    stained = random.normal(size=(12, DIM))[tiles.bag[tiles.probed]] * 5
    noise = random.normal(size=(len(tiles.probed), DIM))
    scores = neighbour_scores((stained + noise).astype(np.float32), tiles, tiles.probed)
    assert scores.mean() == pytest.approx(0.5, abs=0.08)


def test_a_slide_without_distant_tiles_is_not_asked():
    tiles = made_tiles(bags=3, pairs=1)
    scores = neighbour_scores(vectors(tiles, 1.0).probed, tiles, tiles.probed)
    assert np.isnan(scores).all(), "tiles of other slides do not stand in"


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [(0.2, 0.8, "better"), (0.8, 0.2, "worse"), (0.4, 0.4, "not shown to be better")],
)
def test_the_probe_says_which_encoder_is_better(before, after, verdict):
    tiles = made_tiles()
    figure = probe_neighbours(tiles, vectors(tiles, before), vectors(tiles, after, seed=1))
    assert figure.verdict == verdict
    assert figure.gain == pytest.approx(figure.after - figure.before)
    assert figure.low <= figure.gain <= figure.high
    assert (figure.units, figure.unit) == (6, "slides")


def test_of_few_slides_pairs_are_drawn_for_the_interval():
    tiles = made_tiles(bags=2)
    figure = probe_neighbours(tiles, vectors(tiles, 0.2), vectors(tiles, 0.8))
    assert (figure.units, figure.unit) == (10, "pairs of tiles")


def test_too_few_pairs_say_nothing(regions):
    tiles = made_tiles(bags=1, pairs=2)
    same = vectors(tiles, 0.5)
    assert probe_neighbours(tiles, same, same) is None
    assert probe(regions, tiles, same, same) == ()


@pytest.fixture
def labelled(regions):
    """Sixteen held-out and sixteen learned bags of two classes."""
    bags = tuple(
        replace(regions.bags[k % 8], label=("left", "right")[k % 2], patient=str(k))
        for k in range(32)
    )
    return replace(regions, bags=bags)


def with_labels(tiles, strength, seed=0):
    random = np.random.default_rng(seed)
    signal = np.where(tiles.bag % 2, strength, -strength)[:, None] * np.eye(DIM)[0]
    values = (random.normal(size=(len(tiles.bag), DIM)) * 2 + signal).astype(np.float32)
    return Vectors(values[tiles.learned], values[tiles.probed])


def test_labels_decide_where_there_are_enough(labelled):
    tiles = made_tiles(bags=16)
    figures = probe(labelled, tiles, with_labels(tiles, 0.0), with_labels(tiles, 3.0, seed=1))
    assert len(figures) == 2
    first = figures[0]
    assert "linear classifier of left and right" in first.measure
    assert first.after == pytest.approx(1.0)
    assert first.verdict == "better"
    assert (first.units, first.unit) == (16, "slides")


def test_equal_encoders_differ_by_nothing(labelled):
    tiles = made_tiles(bags=16)
    same = with_labels(tiles, 0.3)
    for figure in probe(labelled, tiles, same, same):
        assert (figure.gain, figure.low, figure.high) == (0, 0, 0)
        assert figure.verdict == "not shown to be better"


def test_few_labelled_slides_leave_it_to_the_neighbours(labelled):
    tiles = made_tiles(bags=4)
    same = vectors(tiles, 0.5)
    (figure,) = probe(labelled, tiles, same, same)
    assert "neighbouring" in figure.measure


def test_an_interval_is_not_drawn_from_few_patients(labelled):
    bags = tuple(replace(bag, patient=f"p{k % 4}") for k, bag in enumerate(labelled.bags))
    tiles = made_tiles(bags=16)
    (figure,) = probe(
        replace(labelled, bags=bags), tiles, with_labels(tiles, 0.0), with_labels(tiles, 3.0)
    )
    assert "neighbouring" in figure.measure
