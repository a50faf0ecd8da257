from napari_mil.annotations import read_annotations

NESTED = """<ASAP_Annotations><Annotations>
<Annotation Name="Annotation 0" Type="Polygon" PartOfGroup="Invasive"><Coordinates>
<Coordinate Order="2" X="10" Y="10"/><Coordinate Order="0" X="0" Y="0"/>
<Coordinate Order="1" X="10" Y="0"/><Coordinate Order="3" X="0" Y="10"/>
</Coordinates></Annotation>
<Annotation Name="Annotation 1" Type="Dot" PartOfGroup="None"><Coordinates>
<Coordinate Order="0" X="5" Y="5"/></Coordinates></Annotation>
<Annotation Name="Annotation 2" Type="Rectangle" PartOfGroup="None"><Coordinates>
<Coordinate Order="0" X="0" Y="0"/><Coordinate Order="1" X="4" Y="0"/>
<Coordinate Order="2" X="4" Y="4"/><Coordinate Order="3" X="0" Y="4"/></Coordinates></Annotation>
</Annotations><AnnotationGroups>
<Group Name="Tumor" PartOfGroup="None"/><Group Name="Invasive" PartOfGroup="Tumor"/>
</AnnotationGroups></ASAP_Annotations>"""


def test_what_asap_writes_is_read(shared):
    found = read_annotations(shared / "cases/25-asap-xml/Tumor/tumor_000.xml")
    (region,) = found.regions
    assert region.name == "Tumor"
    assert region.area.bounds == (100, 100, 400, 400)
    names = [
        region.name
        for region in read_annotations(shared / "data/interop/annotations/asap.xml").regions
    ]
    assert names[:2] == ["Tumor", "Stroma"]


def test_vertices_come_in_the_order_of_their_numbers_and_groups_may_nest(tmp_path):
    path = tmp_path / "slide.xml"
    path.write_text(NESTED)
    found = read_annotations(path)
    assert [region.name for region in found.regions] == ["Tumor: Invasive", None]
    assert found.regions[0].area.area == 100, "a ring in the file's order would cross itself"
    assert found.remarks == ("1 points, lines or empty shapes left out.",)
