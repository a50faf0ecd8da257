import shlex

import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from napari_mil.annotations import Region
from napari_mil.errors import OptionError
from napari_mil.training.regions.classes import (
    NOT_DRAWN,
    UNKNOWN,
    RegionClasses,
    mapping_text,
    parse_mapping,
)

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


@pytest.mark.parametrize(
    ("text", "mapping"),
    [
        ("Tumor=malignant,Stroma=benign", {"Tumor": "malignant", "Stroma": "benign"}),
        (" Tumor = malignant ; Frame=;", {"Tumor": "malignant", "Frame": ""}),
        ("", {}),
        (" , ;", {}),
        ('"Tumor, G3"=malignant', {"Tumor, G3": "malignant"}),
        ("Tumor, G3=malignant", {"Tumor, G3": "malignant"}),
        ("a=b,Tumor, G3=malignant,c=d", {"a": "b", "Tumor, G3": "malignant", "c": "d"}),
        ("A=B=malignant", {"A=B": "malignant"}),
        ('"A=B, C"="x=y"', {"A=B, C": "x=y"}),
        ('5" probe=malignant', {'5" probe': "malignant"}),
        ('"say ""no"""=malignant', {'say "no"': "malignant"}),
    ],
)
def test_a_mapping_is_read_with_and_without_quotes(text, mapping):
    assert parse_mapping(text) == mapping


@pytest.mark.parametrize("text", ["Tumor", "=malignant", "a=b,Tumor", '"A=B"'])
def test_an_entry_without_a_name_or_a_class_is_refused(text):
    with pytest.raises(OptionError, match="Regions are mapped as"):
        parse_mapping(text)


def test_a_name_mapped_twice_is_refused():
    with pytest.raises(OptionError, match="'a' are mapped to two classes"):
        parse_mapping("a=b,a=c")


NAMES = st.text(st.sampled_from('ab ,;="'), min_size=1, max_size=6).map(str.strip).filter(bool)


@given(mapping=st.dictionaries(NAMES, st.one_of(NAMES, st.just("")), max_size=3))
def test_a_mapping_that_was_written_is_read_back(mapping):
    assert parse_mapping(mapping_text(mapping)) == mapping


@pytest.mark.parametrize("name", ["Tumor", "Tumor, G3", "A=B", "a; b", "Tumor G3"])
def test_a_hint_works_as_it_stands_and_as_a_shell_leaves_it(name):
    hint = mapping_text({name: "malignant"})
    assert parse_mapping(hint) == {name: "malignant"}
    assert parse_mapping(hint.replace('"', "")) == {name: "malignant"}
    assert shlex.split(shlex.quote(hint)) == [hint]
