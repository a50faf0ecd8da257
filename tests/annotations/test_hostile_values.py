"""Whatever a file holds, a reader returns regions or raises the one error that is caught."""

import gzip
import json
import math
import warnings

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_mil.annotations import read_annotations
from napari_mil.errors import AnnotationError
from tests.annotations.documents import SQUARE, feature, polygon, write_document

NUMBERS = st.one_of(
    st.integers(-600, 600),
    st.floats(),
    st.sampled_from([10**400, -(10**400), 1e300, 5e-324, math.nan, math.inf]),
)
ODD = st.one_of(NUMBERS, st.none(), st.booleans(), st.text(max_size=5))
POSITIONS = st.one_of(st.lists(NUMBERS, min_size=2, max_size=3), st.lists(ODD, max_size=4), ODD)
RINGS = st.lists(POSITIONS, max_size=6)
JSON = st.recursive(
    ODD,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
KINDS = st.sampled_from(
    [
        "Point",
        "MultiPoint",
        "LineString",
        "MultiLineString",
        "Polygon",
        "MultiPolygon",
        "GeometryCollection",
        "Circle",
        None,
        5,
    ]
)
GEOMETRIES = st.one_of(
    st.fixed_dictionaries(
        {
            "type": KINDS,
            "coordinates": st.one_of(POSITIONS, RINGS, st.lists(RINGS, max_size=3), JSON),
        },
        optional={"isEllipse": ODD, "geometries": JSON},
    ),
    JSON,
)
PROPERTIES = st.one_of(
    st.dictionaries(
        st.sampled_from(["classification", "class", "label", "type", "name", "tissue", "metadata"]),
        st.one_of(
            JSON, st.fixed_dictionaries({"names": JSON}), st.fixed_dictionaries({"name": JSON})
        ),
    ),
    JSON,
)
FEATURES = st.fixed_dictionaries(
    {"type": st.just("Feature"), "geometry": GEOMETRIES, "properties": PROPERTIES}
)
XML_NUMBERS = st.one_of(
    st.integers(-600, 600).map(str),
    st.sampled_from(["", "x", "NaN", "inf", "1,5", "1,300.5", "1e400", "9" * 400, "1_0", " 7 "]),
)
VERTICES = st.lists(st.tuples(XML_NUMBERS, XML_NUMBERS), max_size=5)
once_a_file = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def read_or_refuse(path):
    """Read a file; what is read has finite shapes, and no library warns."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            found = read_annotations(path)
        except AnnotationError as error:
            refusal = str(error)
            found = None
    if found is None:
        assert refusal.startswith(path.name)
        assert "\n" not in refusal
        return
    for region in found.regions:
        assert region.area.is_valid
        assert 0 < region.area.area < math.inf
    for region in (*found.regions, *found.marks):
        assert not region.area.is_empty
        assert region.name is None or region.name.encode().decode() == region.name


@once_a_file
@given(features=st.lists(FEATURES, max_size=3))
def test_geojson_of_any_values(tmp_path, features):
    read_or_refuse(write_document(tmp_path, *features))


@once_a_file
@given(document=JSON)
def test_json_of_any_form(tmp_path, document):
    path = tmp_path / "slide.json"
    path.write_text(json.dumps(document))
    read_or_refuse(path)


@once_a_file
@given(
    vertices=VERTICES,
    orders=st.lists(XML_NUMBERS, min_size=5, max_size=5),
    kind=st.sampled_from(["Polygon", "Rectangle", "Spline", "Dot", "PointSet", "x"]),
    group=st.sampled_from(["None", "tumour", "inner"]),
)
def test_asap_of_any_values(tmp_path, vertices, orders, kind, group):
    corners = "".join(
        f'<Coordinate Order="{order}" X="{x}" Y="{y}"/>'
        for (x, y), order in zip(vertices, orders, strict=False)
    )
    path = tmp_path / "slide.xml"
    path.write_text(
        f'<ASAP_Annotations><Annotation Type="{kind}" PartOfGroup="{group}">{corners}</Annotation>'
        '<Group Name="inner" PartOfGroup="tumour"/><Group Name="tumour" PartOfGroup="inner"/>'
        "</ASAP_Annotations>"
    )
    read_or_refuse(path)


@once_a_file
@given(
    shapes=st.lists(
        st.tuples(
            st.sampled_from(["0", "1", "2", "3", "Polygon", "Ellipse", "Rectangle", "Ruler", ""]),
            st.sampled_from("01"),
            VERTICES,
        ),
        max_size=3,
    ),
    tag=st.sampled_from(["V", "Vertex"]),
)
def test_layers_of_any_values(tmp_path, shapes, tag):
    regions = ""
    for kind, negative, vertices in shapes:
        corners = "".join(f'<{tag} X="{x}" Y="{y}"/>' for x, y in vertices)
        regions += f'<Region Type="{kind}" NegativeROA="{negative}">{corners}</Region>'
    path = tmp_path / "slide.annotations"
    path.write_text(f'<Annotations><Annotation Name="a">{regions}</Annotation></Annotations>')
    read_or_refuse(path)


@once_a_file
@given(content=st.one_of(st.binary(max_size=60), st.text(max_size=30).map(lambda t: t.encode())))
@pytest.mark.parametrize(
    "start", [b"", b"<", b"{", b"\xff\xfe<\0", b"<\0", b"\x1f\x8b", b"\xfe\xff"]
)
def test_bytes_of_any_kind(tmp_path, start, content):
    path = tmp_path / "slide.geojson"
    path.write_bytes(start + content)
    read_or_refuse(path)


@pytest.mark.parametrize(
    "coordinate", ["NaN", "Infinity", "-Infinity", "1" + "0" * 400, "1e300", "null", '"x"', "[1]"]
)
def test_a_coordinate_that_no_slide_has_is_named_with_its_file(tmp_path, coordinate):
    document = json.dumps(feature(polygon(SQUARE))).replace("110", coordinate)
    path = tmp_path / "slide.geojson"
    path.write_text(document)
    with pytest.raises(AnnotationError, match=r"^slide\.geojson holds .*coordinate"):
        read_annotations(path)


@pytest.mark.parametrize("coordinate", ["1,300.5", "", "x", "NaN", "inf", "1e300"])
@pytest.mark.parametrize(
    "document",
    [
        '<ASAP_Annotations><Annotation Type="Polygon"><Coordinate X="{}" Y="1"/></Annotation>'
        "</ASAP_Annotations>",
        '<Annotations><Annotation Name="a"><Region Type="0"><Vertex X="{}" Y="1"/></Region>'
        "</Annotation></Annotations>",
        '<Annotations><Annotation Name="a"><Region Type="Polygon"><V X="{}" Y="1"/></Region>'
        "</Annotation></Annotations>",
    ],
)
def test_a_coordinate_of_xml_that_is_no_number_is_named_with_its_file(
    tmp_path, document, coordinate
):
    path = tmp_path / "slide.xml"
    path.write_text(document.format(coordinate))
    with pytest.raises(AnnotationError, match=r"^slide\.xml holds .*export the annotations again"):
        read_annotations(path)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (5, "5"),
        ("Tumor", "Tumor"),
        ([5, None, "Tumor"], "5: Tumor"),
        ({"a": 1}, None),
        (True, None),
        (["\ud800Tumor\n"], "Tumor"),
    ],
)
def test_names_of_any_kind_are_read_whole_or_not_at_all(tmp_path, names, expected):
    path = write_document(tmp_path, feature(polygon(SQUARE), classification={"names": names}))
    (region,) = read_annotations(path).regions
    assert region.name == expected


XML = '<?xml version="1.0" encoding="UTF-16"?><Annotations><Annotation Name="é"/></Annotations>'


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("text", [XML, '{"type": "FeatureCollection", "features": []}'])
def test_every_unicode_encoding_is_read(tmp_path, encoding, text):
    path = tmp_path / "slide.xml"
    if encoding == "utf-32" or text is not XML:
        text = text.removeprefix('<?xml version="1.0" encoding="UTF-16"?>')
    path.write_bytes(text.encode(encoding))
    assert read_annotations(path).regions == ()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le"])
def test_entities_are_refused_in_every_encoding(tmp_path, encoding):
    path = tmp_path / "slide.xml"
    path.write_bytes('<!DOCTYPE a [<!ENTITY b "c">]><Annotations/>'.encode(encoding))
    with pytest.raises(AnnotationError, match="declares entities"):
        read_annotations(path)


def test_a_truncated_archive_is_refused(tmp_path):
    path = tmp_path / "slide.geojson.gz"
    path.write_bytes(gzip.compress(json.dumps(feature(polygon(SQUARE))).encode())[:40])
    with pytest.raises(AnnotationError, match="no readable GeoJSON"):
        read_annotations(path)
