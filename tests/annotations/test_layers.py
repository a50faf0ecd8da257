import pytest

from napari_mil.annotations import read_annotations

HALO = """<?xml version="1.0" encoding="UTF-8"?>
<Annotations>
  <Annotation Name="Tumor" Visible="True" LineColor="255">
    <Regions>
      <Region Type="Polygon" HasEndcaps="0" NegativeROA="0">
        <Vertices>
          <V X="-10" Y="0" /><V X="100" Y="0" /><V X="100" Y="100" /><V X="-10" Y="100" />
        </Vertices>
      </Region>
      <Region Type="Rectangle" HasEndcaps="0" NegativeROA="1">
        <Vertices><V X="10" Y="10" /><V X="30" Y="30" /></Vertices>
      </Region>
      <Region Type="Ellipse" HasEndcaps="0" NegativeROA="0">
        <Vertices><V X="200" Y="200" /><V X="300" Y="260" /></Vertices>
      </Region>
      <Region Type="Ruler" HasEndcaps="0" NegativeROA="0">
        <Vertices><V X="0" Y="0" /><V X="10" Y="10" /></Vertices>
      </Region>
    </Regions>
  </Annotation>
</Annotations>
"""
IMAGESCOPE = """<Annotations MicronsPerPixel="0.5"><Annotation Id="1" Name="{name}">
<Attributes><Attribute Name="Description" Id="0" Value="{description}"/></Attributes>
<Regions><Region Id="1" Type="1" Text="{text}" NegativeROA="0"><Vertices>
<Vertex X="10,5" Y="0"/><Vertex X="20" Y="0"/><Vertex X="20" Y="10"/><Vertex X="10,5" Y="10"/>
</Vertices></Region></Regions></Annotation></Annotations>"""


def test_what_imagescope_writes_is_read(shared):
    annotations = read_annotations(shared / "data/interop/annotations/aperio_imagescope.xml")
    assert [region.name for region in annotations.regions] == ["Tumor", "Stroma", "Stroma"]
    tumour, rectangle, ellipse = (region.area for region in annotations.regions)
    assert len(tumour.interiors) == 1, "a negative region is a hole"
    assert rectangle.area == 260 * 300
    assert ellipse.area < (ellipse.bounds[2] - ellipse.bounds[0]) * (
        ellipse.bounds[3] - ellipse.bounds[1]
    )


def test_what_halo_writes_is_read(tmp_path):
    path = tmp_path / "slide.annotations"
    path.write_text(HALO)
    found = read_annotations(path)
    assert [region.name for region in found.regions] == ["Tumor", "Tumor"]
    pierced, ellipse = (region.area for region in found.regions)
    assert pierced.bounds == (-10, 0, 100, 100)
    assert pierced.area == 110 * 100 - 20 * 20
    assert ellipse.bounds == pytest.approx((200, 200, 300, 260), abs=0.1)
    assert found.remarks == ("1 points, lines or empty shapes left out.",)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ({"name": "Tumor", "description": "x", "text": "y"}, "Tumor"),
        ({"name": "", "description": "Tumor", "text": "y"}, "Tumor"),
        ({"name": "", "description": "", "text": "Tumor"}, "Tumor"),
        ({"name": "", "description": "", "text": ""}, None),
    ],
)
def test_a_layer_has_its_class_in_the_first_place_that_says_one(tmp_path, words, expected):
    path = tmp_path / "slide.xml"
    path.write_text(IMAGESCOPE.format(**words))
    (region,) = read_annotations(path).regions
    assert region.name == expected
    assert region.area.bounds == (10.5, 0, 20, 10), "a decimal comma is a decimal point"
