"""GeoJSON documents to read in tests."""

import json

SQUARE = [[10, 20], [110, 20], [110, 120], [10, 120], [10, 20]]


def write_document(tmp_path, *features, name="slide.geojson"):
    path = tmp_path / name
    path.write_text(json.dumps({"type": "FeatureCollection", "features": list(features)}))
    return path


def feature(geometry, **properties):
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def polygon(*rings):
    return {"type": "Polygon", "coordinates": list(rings)}
