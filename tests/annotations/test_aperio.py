from napari_mil.annotations.aperio import read_aperio


def test_what_imagescope_writes_is_read(shared):
    annotations = read_aperio(shared / "data/interop/annotations/aperio_imagescope.xml")
    assert [region.name for region in annotations.regions] == ["Tumor", "Stroma", "Stroma"]
    tumour, rectangle, ellipse = (region.area for region in annotations.regions)
    assert len(tumour.interiors) == 1, "a negative region is a hole"
    assert rectangle.area == 260 * 300
    assert ellipse.area < (ellipse.bounds[2] - ellipse.bounds[0]) * (
        ellipse.bounds[3] - ellipse.bounds[1]
    )
