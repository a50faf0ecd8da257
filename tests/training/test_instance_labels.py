import numpy as np
import pytest
import shapely
import torch

from napari_mil.aggregators import create_aggregator
from napari_mil.annotations import Region, write_geojson
from napari_mil.events import CancellationToken, ignore
from napari_mil.training.cohorts.region_classes import RegionClasses
from napari_mil.training.cohorts.scanning import scan_annotated_folder
from napari_mil.training.instance_labels import TaughtTiles, count_taught, instance_targets
from napari_mil.training.store import BagStore
from tests.conftest import write_pyramid

COORDS = np.array([[0, 0], [100, 0], [200, 0]])
TWO = ("normal", "tumour")


def box(k, name):
    """Covers tile k."""
    return Region(shapely.box(100 * k, 0, 100 * k + 100, 100), name)


def targets(regions, labels, classes=TWO, multi_label=False, mapping=None):
    return instance_targets(
        regions, labels, RegionClasses(classes, mapping or {}), multi_label, COORDS, 100.0
    )


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
    found = targets((box(1, "tumour"), box(2, "Ignore*")), ("tumour",))
    assert found[:2].tolist() == [0, 1]
    assert np.isnan(found[2])


def test_half_a_tile_decides():
    half = Region(shapely.box(100, 0, 150, 100), "tumour")
    less = Region(shapely.box(100, 0, 149, 100), "tumour")
    assert targets((half,), ("tumour",)).tolist() == [0, 1, 0]
    assert targets((less,), ("tumour",)).tolist() == [0, 0, 0]


def test_of_more_classes_what_is_outside_is_unknown():
    found = targets((box(0, "b"), box(2, "c")), ("b",), ("a", "b", "c"))
    assert found.tolist() == [1, -1, 2]


def test_independent_labels_are_known_where_they_have_regions():
    found = targets((box(0, "b"),), ("a", "b"), ("a", "b", "c"), multi_label=True)
    assert np.isnan(found[:, [0, 2]]).all()
    assert found[:, 1].tolist() == [1, 0, 0]


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
    found = targets((box(1, "normal"),), ("tumour",))
    assert found[1] == 0
    assert np.isnan(found[[0, 2]]).all()


def test_positive_regions_on_a_negative_slide_are_unknown():
    found = targets((box(1, "tumour"),), ("normal",))
    assert np.isnan(found[1])
    assert found[[0, 2]].tolist() == [0, 0]


@pytest.mark.parametrize(("inner", "value"), [("normal", 0), ("Ignore*", np.nan)])
def test_the_smaller_of_two_regions_over_a_tile_decides(inner, value):
    """A hole that was drawn as a region of its own is a hole, whatever the order."""
    outer = Region(shapely.box(0, 0, 300, 100), "tumour")
    for regions in ((outer, box(1, inner)), (box(1, inner), outer)):
        found = targets(regions, ("tumour",))
        np.testing.assert_equal(found, np.array([1, value, 1], np.float32))


def test_what_regions_teach_is_counted_by_class():
    found = targets((box(0, "lesion"), box(1, "tumour")), ("tumour",))
    assert count_taught(found, 3, TWO, False) == (TaughtTiles("tumour", 1, 1, 1),)
    exclusive = targets((box(0, "b"),), ("b",), ("a", "b", "c"))
    a, b, _ = count_taught(exclusive, 3, ("a", "b", "c"), False)
    assert (a.positive, a.negative, a.unknown) == (0, 1, 2)
    assert count_taught(None, 5, TWO, False) == (TaughtTiles("tumour", 0, 0, 5),)
    assert (b.positive, b.negative, b.unknown) == (1, 0, 2)
