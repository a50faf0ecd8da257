"""Tiles as QuPath reads them."""

import gzip
import json
import tracemalloc

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_mil.annotations import read_annotations
from napari_mil.events import CancellationToken
from napari_mil.exports.exporting import export_prediction
from napari_mil.exports.geojson import UNKNOWN_ORIGIN, write_geojson
from napari_mil.exports.source import Corner, ExportChoices, ExportSource, ObjectKind
from tests.exports.answers import SLIDE_FACTS, answer

any_float32 = st.floats(width=32, allow_nan=True, allow_infinity=True)


def written(prediction, folder, name="a.geojson", **choices):
    """Export and return the document."""
    path = folder / name
    export_prediction(prediction, "geojson", path, choices=ExportChoices(**choices))
    content = path.read_bytes()
    return json.loads(gzip.decompress(content) if name.endswith(".gz") else content)


def refuse(text):
    raise AssertionError(f"{text} is no JSON")


def check_qupath_reads(document):
    """Check what QuPath 0.5 to 0.7 ask of a file of tiles."""
    assert document["type"] == "FeatureCollection"
    for feature in document["features"]:
        assert feature["type"] == "Feature"
        assert len(feature["id"]) == 36
        assert feature["geometry"]["type"] == "Polygon"
        (ring,) = feature["geometry"]["coordinates"]
        assert len(ring) == 5
        assert ring[0] == ring[-1]
        properties = feature["properties"]
        assert properties["objectType"] in ("tile", "annotation")
        assert properties["isLocked"] is True
        classification = properties.get("classification")
        if classification is not None:
            # Without a colour the whole import fails.
            assert set(classification) in ({"name", "color"}, {"names", "color"})
            assert len(classification["color"]) == 3
        for value in properties["measurements"].values():
            assert isinstance(value, (int, float))


def test_tiles_are_locked_squares_with_class_and_values(tmp_path):
    document = written(answer(), tmp_path)
    check_qupath_reads(document)
    first = document["features"][1]
    assert first["geometry"]["coordinates"] == [
        [[100, 0], [200.25, 0], [200.25, 100.25], [100, 100.25], [100, 0]]
    ]
    assert first["properties"]["objectType"] == "tile"
    assert set(first["properties"]["measurements"]) == {
        "attention",
        "score: normal",
        "score: tumour",
        "unlike",
    }


@settings(max_examples=30)
@given(arrays(np.float32, (6, 1), elements=any_float32))
def test_values_read_back_to_the_bit_and_what_is_no_number_is_left_out(tmp_path_factory, values):
    folder = tmp_path_factory.mktemp("export")
    path = folder / "a.geojson"
    export_prediction(answer(attention=values), "geojson", path)
    document = json.loads(path.read_text(), parse_constant=refuse)
    check_qupath_reads(document)
    for feature, value in zip(document["features"], values[:, 0], strict=True):
        measured = feature["properties"]["measurements"].get("attention")
        assert measured is not None or not np.isfinite(value)
        assert measured is None or np.float32(measured) == value


@settings(max_examples=20)
@given(
    corners=arrays(np.int64, (6, 2), elements=st.integers(0, 200_000)),
    size=st.floats(1, 5000),
    origin=st.tuples(st.integers(0, 5000), st.integers(0, 5000)),
)
def test_annotations_read_back_at_the_same_coordinates(tmp_path_factory, corners, size, origin):
    path = tmp_path_factory.mktemp("export") / "a.geojson.gz"
    provenance = {"origin": list(origin)}
    prediction = answer(coords=corners, tile_size0=size, provenance=provenance)
    choices = ExportChoices(objects=ObjectKind.ANNOTATION)
    export_prediction(prediction, "geojson", path, choices=choices)
    regions = read_annotations(path).regions
    shifted = corners - np.array(origin)
    for region, (x, y) in zip(regions, shifted.tolist(), strict=True):
        assert region.area.bounds == (x, y, x + size, y + size)
        assert region.name in prediction.classes


def test_tiles_are_no_drawn_annotations(tmp_path):
    written(answer(), tmp_path)
    assert read_annotations(tmp_path / "a.geojson").regions == ()


def test_positions_count_from_the_stored_part_unless_the_canvas_is_asked_for(tmp_path):
    provenance = {"origin": [30, 7]}
    cropped = written(answer(provenance=provenance), tmp_path)
    assert cropped["features"][0]["geometry"]["coordinates"][0][0] == [-30, -7]
    assert cropped["napari_mil"]["origin"] == [30, 7]
    whole = written(answer(provenance=provenance), tmp_path, corner=Corner.CANVAS)
    assert whole["features"][0]["geometry"]["coordinates"][0][0] == [0, 0]


def test_an_unknown_corner_is_said(tmp_path):
    mirax = answer(provenance={}, slide={**SLIDE_FACTS, "vendor": "mirax"})
    assert export_prediction(mirax, "geojson", tmp_path / "a.geojson") == (UNKNOWN_ORIGIN,)
    assert export_prediction(answer(), "geojson", tmp_path / "a.geojson") == ()


def test_a_second_export_has_the_same_ids_so_that_it_replaces_the_first(tmp_path):
    first = written(answer(seed=1), tmp_path)
    second = written(answer(seed=2), tmp_path)
    ids = [[feature["id"] for feature in each["features"]] for each in (first, second)]
    assert ids[0] == ids[1]
    assert len(set(ids[0])) == 6


def test_masks_and_critical_tiles_are_marked(tmp_path):
    mask = np.array([True, False, False, True, False, False])
    document = written(answer(masks={"high": mask}, critical=np.array([2])), tmp_path)
    measured = [each["properties"]["measurements"]["masked: high"] for each in document["features"]]
    assert measured == mask.astype(int).tolist()
    assert document["features"][2]["properties"]["name"] == "critical: tumour"


def test_several_classes_of_one_tile_are_a_derived_class(tmp_path):
    scores = np.full((6, 2), 0.9, np.float32)
    document = written(answer(instance_scores=scores, label=None, labels=()), tmp_path)
    check_qupath_reads(document)
    classification = document["features"][0]["properties"]["classification"]
    assert classification["names"] == ["normal", "tumour"]


def test_names_with_quotes_and_letters_of_any_script_are_kept(tmp_path):
    classes = ('say "no"', "肿瘤\\n")
    document = written(answer(classes=classes), tmp_path)
    names = {each["properties"]["classification"]["name"] for each in document["features"]}
    assert names <= set(classes)


def test_the_compressed_file_tells_neither_a_name_nor_a_time(tmp_path):
    document = written(answer(), tmp_path, "patient.geojson.gz")
    assert document == written(answer(), tmp_path)
    head = (tmp_path / "patient.geojson.gz").read_bytes()[:10]
    assert head[3] == 0
    assert head[4:8] == b"\0\0\0\0"


def test_memory_does_not_grow_with_the_number_of_tiles(tmp_path):
    peaks = []
    for n in (2000, 10_000):
        source = ExportSource(answer(n))
        assert source.columns
        assert source.classes_of_instances
        tracemalloc.start()
        try:
            write_geojson(source, tmp_path / str(n), CancellationToken())
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
        assert (tmp_path / str(n)).stat().st_size > 300 * n
    assert peaks[1] < 1.1 * peaks[0]
