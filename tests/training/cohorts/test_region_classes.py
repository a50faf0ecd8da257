import pytest
import shapely

from napari_mil.annotations import Region
from napari_mil.errors import OptionError
from napari_mil.training.cohorts.region_classes import NOT_DRAWN, UNKNOWN, RegionClasses

CLASSES = RegionClasses(
    ("benign", "malignant", "Malignant"), {"Tumor": "malignant", "Stroma": "BENIGN", "Frame": ""}
)


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("malignant", 1),
        ("Malignant", 2),
        ("MALIGNANT", 1),
        (" benign ", 0),
        ("Tumor", 1),
        ("tumor", 1),
        ("Tumor: Positive", 1),
        ("Lesion: Tumor", 1),
        ("Stroma", 0),
        ("frame", NOT_DRAWN),
        ("Other", UNKNOWN),
        ("Other: Kind", UNKNOWN),
    ],
)
def test_a_name_is_matched_exactly_then_by_case_then_by_the_mapping(name, number):
    assert CLASSES.number_of_name(name) == number
    assert CLASSES.number_of_name(name) == number, "also when asked again"


def test_composed_and_decomposed_letters_are_the_same():
    assert RegionClasses(("Gewebe mit Übergang",)).number_of_name("Gewebe mit U\u0308bergang") == 0


def test_a_region_without_a_name_belongs_to_the_only_class_of_its_slide():
    region = Region(shapely.box(0, 0, 1, 1), None)
    assert CLASSES.number_of(region, ("malignant",)) == 1
    assert CLASSES.number_of(region, ("benign", "malignant")) == UNKNOWN
    assert CLASSES.number_of(region, ()) == UNKNOWN


def test_a_mapping_onto_no_class_is_refused():
    CLASSES.check()
    with pytest.raises(OptionError, match=r"'Tumor' cannot be mapped to 'bad'.*a, b"):
        RegionClasses(("a", "b"), {"Tumor": "bad"}).check()
    with pytest.raises(OptionError, match=r"'A' is a class of the cohort by itself"):
        RegionClasses(("a", "b"), {"A": "b"}).check()
