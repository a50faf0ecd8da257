import pytest

from napari_mil.annotations.reading import read_annotations
from napari_mil.errors import AnnotationError
from tests.annotations.documents import SQUARE, feature, polygon, write_document


def test_qupath_counts_from_the_scanned_area_where_a_slide_has_one(tmp_path):
    path = write_document(tmp_path, feature(polygon(SQUARE)))
    assert read_annotations(path, origin=(1000, 2000)).regions[0].area.bounds == (
        1010,
        2020,
        1110,
        2120,
    )


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        '{"type": "x"}',
        "[1, 2]",
        "plain text",
        "<html></html>",
        "<Annotations>",
        '<!DOCTYPE a [<!ENTITY b "c">]><Annotations/>',
        "\x1f\x8bxx",
    ],
)
def test_what_holds_no_regions_is_refused_in_one_sentence(tmp_path, content):
    path = tmp_path / "slide.geojson"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(AnnotationError, match=r"slide\.geojson") as refused:
        read_annotations(path)
    assert "\n" not in str(refused.value)
