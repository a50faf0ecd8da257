"""Shapes drawn in the window that become regions of a class."""

import numpy as np
import pytest

from napari_mil.annotations import read_annotations


def test_shapes_become_regions_to_the_pixel_and_replace_their_earlier_selves(bench, look, regions):
    look(regions)
    entry = bench.open(regions / "left" / "region00.tiff")
    unit = entry.slide.mpp
    corners = (
        np.array([[10, 20], [10, 120], [70, 120], [70, 20]]) - 0.5
    ) * unit  # (y, x), pixel corners
    layer = bench.viewer.add_shapes([corners], shape_type="rectangle", name="drawn")
    turned = np.array([[100, 100], [130, 130], [100, 160], [70, 130]]) * unit
    layer.add(turned, shape_type="ellipse")
    layer.add(np.array([[0, 0], [10, 10]]), shape_type="line")
    other = regions / "left" / "region00.geojson"
    other.write_text('{"type": "FeatureCollection", "features": []}')
    bench.workbench.regions.keep("left")
    kept = regions / "left" / "region00.regions.geojson"
    found = read_annotations(kept).regions
    assert [region.name for region in found] == ["left", "left"]
    assert found[0].area.bounds == pytest.approx((20, 10, 120, 70))
    radius = np.hypot(30, 30) / 2
    assert found[1].area.area == pytest.approx(np.pi * radius**2, rel=0.01)
    assert found[1].area.centroid.coords[0] == pytest.approx((130.5, 100.5), abs=0.1)
    layer.data = [corners]
    bench.workbench.regions.keep("right")
    assert [region.name for region in read_annotations(kept).regions] == ["right"], (
        "not the same region in two classes"
    )
    assert other.read_text().startswith("{"), "files of other programs are left alone"


def test_shapes_without_an_area_are_no_regions(bench, look, regions, notices):
    look(regions)
    bench.open(regions / "left" / "region00.tiff")
    bench.viewer.add_shapes([np.array([[0, 0], [10, 10]])], shape_type="line", name="a line")
    bench.workbench.regions.keep("left")
    assert "No shape in a line has an area" in notices[-1]
    assert not (regions / "left" / "region00.regions.geojson").exists()
