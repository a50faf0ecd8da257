import numpy as np
import pytest
import shapely
import torch

from napari_mil.aggregators import create_aggregator
from napari_mil.annotations import Region, write_geojson
from napari_mil.events import CancellationToken, ignore
from napari_mil.training.cohorts.scanning import scan_annotated_folder
from napari_mil.training.regions.classes import RegionClasses
from napari_mil.training.regions.drawn import SlideRegions
from napari_mil.training.regions.targets import (
    TaughtTiles,
    TileTargets,
    Unreached,
    count_taught,
    instance_targets,
    sum_taught,
    taught_words,
)
from napari_mil.training.store import BagStore
from tests.conftest import write_pyramid

COORDS = np.array([[0, 0], [100, 0], [200, 0]])
TWO = ("normal", "tumour")


def box(k, name):
    """Covers tile k."""
    return Region(shapely.box(100 * k, 0, 100 * k + 100, 100), name)


def found(regions, labels, classes=TWO, multi_label=False, mapping=None, **drawn):
    """Return the targets of three tiles in a row, and the regions that are too small for them."""
    known = None if regions is None else SlideRegions(tuple(regions), **drawn)
    return instance_targets(
        known, labels, RegionClasses(classes, mapping or {}), multi_label, COORDS, 100.0
    )


def targets(*arguments, **options):
    return found(*arguments, **options).values


def test_every_tile_of_a_negative_slide_is_negative():
    assert targets(None, ("normal",)).tolist() == [0, 0, 0]


def test_a_positive_slide_without_regions_says_nothing():
    assert targets(None, ("tumour",)) is None
    assert targets((), ("tumour",)) is None


def test_tiles_outside_the_regions_of_a_positive_slide_are_negative():
    assert targets((box(1, "Tumour"),), ("tumour",)).tolist() == [0, 1, 0]
    assert targets((box(1, None),), ("tumour",)).tolist() == [0, 1, 0], (
        "a region without a class belongs to the slide's"
    )
    assert targets((box(1, "tumour: necrotic"),), ("tumour",)).tolist() == [0, 1, 0]


def test_ignored_regions_are_unknown():
    known = targets((box(1, "tumour"), box(2, "Ignore*")), ("tumour",))
    assert known[:2].tolist() == [0, 1]
    assert np.isnan(known[2])


def test_half_a_tile_decides():
    half = Region(shapely.box(100, 0, 150, 100), "tumour")
    less = Region(shapely.box(100, 0, 149, 100), "tumour")
    assert targets((half,), ("tumour",)).tolist() == [0, 1, 0]
    assert targets((less,), ("tumour",)) is None, "it covers no tile, so nothing is outside it"
    beside = targets((less, box(0, "tumour")), ("tumour",))
    assert np.isnan(beside[1]), "what it touches is unknown"
    assert beside[[0, 2]].tolist() == [1, 0]


def test_of_more_classes_what_is_outside_is_unknown():
    known = targets((box(0, "b"), box(2, "c")), ("b",), ("a", "b", "c"))
    assert known.tolist() == [1, -1, 2]


def test_independent_labels_are_known_where_they_have_regions():
    known = targets((box(0, "b"),), ("a", "b"), ("a", "b", "c"), multi_label=True)
    assert np.isnan(known[:, [0, 2]]).all()
    assert known[:, 1].tolist() == [1, 0, 0]


def test_regions_beside_a_slide_reach_its_tiles(tmp_path, noise, quick, settings):
    """Of two slides, one has its left half annotated."""
    for label in TWO:
        (tmp_path / "data" / label).mkdir(parents=True)
        write_pyramid(tmp_path / "data" / label / f"{label}.tiff", noise[:256, :256])
    write_geojson(
        [Region(shapely.box(0, 0, 128, 256), "tumour")],
        tmp_path / "data" / "tumour" / "tumour.geojson",
    )
    cohort = scan_annotated_folder(tmp_path / "data")
    assert [bool(bag.annotations) for bag in cohort.bags] == [False, True]
    store = BagStore(
        cohort, quick(tile_px=64, mpp=0.5, mask="none"), settings, ignore, CancellationToken(), None
    )
    assert store.targets_of_instances(0).tolist() == [0] * 16
    assert store.targets_of_instances(1).reshape(4, 4).tolist() == [[1, 1, 0, 0]] * 4


@pytest.mark.parametrize(
    "aggregator", ["dsmil", "dsmil-released", "mi-net-instance", "single-instance"]
)
def test_unknown_instances_do_not_enter_the_loss(aggregator):
    torch.manual_seed(0)
    network = create_aggregator(aggregator, 4, 1).eval()
    bag = torch.randn(6, 4)
    known = torch.tensor([1.0, 0.0, float("nan"), float("nan"), 0.0, 1.0])
    target = torch.tensor([1.0])
    logits = network(bag).instance_logits[:, 0]
    expected = torch.nn.functional.binary_cross_entropy_with_logits(
        logits[[0, 1, 4, 5]], known[[0, 1, 4, 5]]
    )
    assert torch.allclose(network(bag, target, known).losses["instances"], expected)
    nothing = network(bag, target, torch.full((6,), float("nan"))).losses["instances"]
    assert nothing == 0


def test_tiles_of_a_name_that_is_no_class_are_unknown_and_never_negative():
    alone = targets((box(1, "lesion"),), ("tumour",))
    assert alone is None, "no positive region is drawn, so that nothing says what is outside"
    beside = targets((box(0, "lesion"), box(1, "tumour")), ("tumour",))
    assert np.isnan(beside[0])
    assert beside[1:].tolist() == [1, 0]
    negative = targets((box(0, "lesion"),), ("normal",))
    assert np.isnan(negative[0])
    assert negative[1:].tolist() == [0, 0]
    assert targets((box(0, "lesion"),), ("b",), ("a", "b", "c")) is None
    several = targets((box(0, "lesion"), box(1, "a")), ("a",), ("a", "b"), True)
    assert np.isnan(several[0]).all()
    assert several[1:, 0].tolist() == [1, 0]


def test_a_mapping_says_which_class_a_name_stands_for():
    regions = (box(0, "Lesion"), box(1, "Fat"), box(2, "frame"))
    mapping = {"lesion": "Tumour", "Fat": "normal", "Frame": ""}
    assert targets(regions, ("tumour",), mapping=mapping).tolist() == [1, 0, 0]


def test_a_negative_region_alone_leaves_what_is_outside_unknown():
    known = targets((box(1, "normal"),), ("tumour",))
    assert known[1] == 0
    assert np.isnan(known[[0, 2]]).all()


def test_positive_regions_on_a_negative_slide_are_unknown():
    known = targets((box(1, "tumour"),), ("normal",))
    assert np.isnan(known[1])
    assert known[[0, 2]].tolist() == [0, 0]


@pytest.mark.parametrize(("inner", "value"), [("normal", 0), ("Ignore*", np.nan)])
def test_the_smaller_of_two_regions_over_a_tile_decides(inner, value):
    """A hole that was drawn as a region of its own is a hole, whatever the order."""
    outer = Region(shapely.box(0, 0, 300, 100), "tumour")
    for regions in ((outer, box(1, inner)), (box(1, inner), outer)):
        known = targets(regions, ("tumour",))
        np.testing.assert_equal(known, np.array([1, value, 1], np.float32))


def test_what_regions_teach_is_counted_by_class():
    known = found((box(0, "lesion"), box(1, "tumour")), ("tumour",))
    assert count_taught(known, 3, TWO, False) == (TaughtTiles("tumour", 1, 1, 1),)
    exclusive = found((box(0, "b"),), ("b",), ("a", "b", "c"))
    a, b, _ = count_taught(exclusive, 3, ("a", "b", "c"), False)
    assert (a.positive, a.negative, a.unknown) == (0, 1, 2)
    assert count_taught(TileTargets(None), 5, TWO, False) == (TaughtTiles("tumour", 0, 0, 5),)
    assert (b.positive, b.negative, b.unknown) == (1, 0, 2)


def spot(x, name, side=10):
    """Covers a small part of the tile at x."""
    return Region(shapely.box(x, 10, x + side, 10 + side), name)


def dot(x, name):
    return Region(shapely.Point(x, 50), name)


@pytest.mark.parametrize(
    "places",
    [
        (5000, 5000, 9000, 9000),
        (-900, -900, -300, -300),
        (0, 0, 0.9, 0.9),
        (10, 10, 20, 20),
        (0, 300, 300, 400),
    ],
)
@pytest.mark.parametrize("name", ["tumour", None])
def test_a_region_that_covers_no_tile_makes_none_negative(places, name):
    assert targets((Region(shapely.box(*places), name),), ("tumour",)) is None


def test_a_small_region_leaves_what_it_touches_unknown():
    known = targets((box(0, "tumour"), spot(195, "tumour")), ("tumour",))
    assert known[0] == 1
    assert np.isnan(known[1:]).all(), "it touches two tiles"
    inside = targets((box(0, "tumour"), spot(50, "tumour")), ("tumour",))
    assert inside.tolist() == [1, 0, 0], "a tile that is positive already stays so"
    benign = targets((box(0, "tumour"), box(1, "normal"), spot(150, "tumour")), ("tumour",))
    assert np.isnan(benign[1]), "half of it is normal, but not all"
    assert targets((box(0, "tumour"), spot(150, "normal")), ("tumour",)).tolist() == [1, 0, 0]
    assert targets((box(0, "tumour"), spot(150, "Ignore*")), ("tumour",)).tolist() == [1, 0, 0]
    negative = targets((spot(150, "tumour"),), ("normal",))
    assert np.isnan(negative[1])
    assert negative[[0, 2]].tolist() == [0, 0]
    labels = targets((box(0, "a"), spot(150, "a"), spot(50, "b")), ("a",), ("a", "b"), True)
    np.testing.assert_equal(labels[:, 0], np.array([1, np.nan, 0], np.float32))
    assert np.isnan(labels[:, 1]).all(), "regions of b cover no tile"


def test_small_regions_that_fill_half_a_tile_together_cover_it():
    many = [spot(x, "tumour", 20) for x in range(0, 100, 20)]
    many += [Region(shapely.box(0, 40, 100, 70), "tumour")]
    assert targets(many, ("tumour",)).tolist() == [1, 0, 0]


@pytest.mark.parametrize("mark", [dot(150, "tumour"), dot(150, None), dot(150, "lesion")])
def test_a_tile_with_a_positive_point_or_line_is_not_negative(mark):
    known = targets((box(0, "tumour"),), ("tumour",), marks=(mark,))
    assert known[[0, 2]].tolist() == [1, 0]
    assert np.isnan(known[1])


@pytest.mark.parametrize("name", ["normal", "Ignore*", "frame"])
def test_a_point_of_something_else_changes_nothing(name):
    known = targets(
        (box(0, "tumour"),), ("tumour",), marks=(dot(150, name),), mapping={"frame": ""}
    )
    assert known.tolist() == [1, 0, 0]


def test_points_of_a_slide_without_regions():
    assert targets((), ("tumour",), marks=(dot(150, "tumour"),)) is None
    negative = targets((), ("normal",), marks=(dot(150, "tumour"), dot(50, None)))
    np.testing.assert_equal(negative, np.array([0, np.nan, 0], np.float32))
    labels = targets((box(0, "a"),), ("a",), ("a", "b"), True, marks=(dot(150, "a"),))
    np.testing.assert_equal(labels[:, 0], np.array([1, np.nan, 0], np.float32))


def test_where_part_of_what_was_drawn_is_not_known_nothing_outside_is():
    known = targets((box(0, "tumour"),), ("tumour",), is_complete=False)
    np.testing.assert_equal(known, np.array([1, np.nan, np.nan], np.float32))
    assert targets((), ("normal",), is_complete=False).tolist() == [0, 0, 0]
    labels = targets((box(0, "a"),), ("a",), ("a", "b"), True, is_complete=False)
    np.testing.assert_equal(labels[:, 0], np.array([1, np.nan, np.nan], np.float32))


def test_regions_of_one_outline_and_two_classes_are_of_none():
    outline = shapely.box(0, 0, 200, 100)
    alike = shapely.box(1, 0, 200, 101)
    for first, second in (("tumour", "normal"), ("normal", "tumour"), (None, "normal")):
        both = (Region(outline, first), Region(alike, second))
        assert targets(both, ("tumour",)) is None
    known = targets((Region(outline, "normal"), Region(alike, "tumour"), box(2, None)), ("tumour",))
    np.testing.assert_equal(known, np.array([np.nan, np.nan, 1], np.float32))
    several = targets(both, ("tumour",), ("normal", "tumour"), True)
    assert several[:2].tolist() == [[1, 1]] * 2, "labels do not exclude each other"


def test_a_tile_that_two_classes_halve_is_unknown_unless_one_holds_its_centre():
    left = Region(shapely.box(100, 0, 149, 100).union(shapely.box(151, 0, 153, 100)), "normal")
    right = Region(shapely.box(151, 0, 200, 100).union(shapely.box(147, 0, 149, 100)), "tumour")
    assert np.isnan(targets((left, right, box(0, "tumour")), ("tumour",))[1])


def test_regions_that_cover_half_of_no_tile_are_counted_and_said():
    known = found((spot(50, "tumour"), spot(150, None), spot(120, "normal")), ("tumour",))
    (one,) = count_taught(known, 3, TWO, False, "a.svs")
    assert one == TaughtTiles("tumour", 0, 0, 3, (Unreached("a.svs", 2),))
    (other,) = count_taught(found((spot(50, "tumour"),), ("tumour",)), 3, TWO, False, "b.svs")
    _, sentence = taught_words(sum_taught([(one,), (other,)]))
    assert sentence.startswith("3 regions cover half of no tile (tumour, a.svs and 1 more): ")
    _, alone = taught_words((other,))
    assert alone.startswith("1 region covers half of no tile (tumour, b.svs): ")
