import gzip

import pytest

from napari_mil.annotations.finding import AnnotationFiles
from tests.annotations.documents import write_document


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "annotations").mkdir()
    for name in ("TCGA-1.2.svs", "b.tif", "B.tif", "c.ome.tif", "D.ome.tif"):
        (tmp_path / name).touch()
    return tmp_path


def find_annotations(slide):
    return AnnotationFiles().of(slide)


def names(paths):
    return [path.name for path in paths]


def test_annotations_are_found_beside_a_slide(folder):
    slide = folder / "TCGA-1.2.svs"
    assert find_annotations(slide) == ()
    inside = write_document(folder / "annotations", name="TCGA-1.2.geojson")
    assert find_annotations(slide) == (inside,)
    beside = folder / "TCGA-1.2.xml"
    beside.write_text("<Annotations/>")
    assert find_annotations(slide) == (beside, inside), "all of them count"
    drawn = write_document(folder, name="TCGA-1.2.svs.regions.geojson")
    assert find_annotations(slide)[0] == drawn


@pytest.mark.parametrize(
    ("file", "slide"),
    [
        ("TCGA-1.2.GEOJSON", "TCGA-1.2.svs"),
        ("TCGA-1.2.XML", "TCGA-1.2.svs"),
        ("tcga-1.2.geojson", "TCGA-1.2.svs"),
        ("TCGA-1.2.SVS.geojson", "TCGA-1.2.svs"),
        ("b.geojson", "b.tif"),
        ("B.geojson", "B.tif"),
        ("c.geojson", "c.ome.tif"),
        ("c.ome.geojson", "c.ome.tif"),
        ("C.geojson", "c.ome.tif"),
    ],
)
def test_case_and_the_ome_of_a_slide_do_not_count(folder, file, slide):
    write_document(folder, name=file)
    files = AnnotationFiles()
    owners = [
        name
        for name in ("TCGA-1.2.svs", "b.tif", "B.tif", "c.ome.tif", "D.ome.tif")
        if files.of(folder / name)
    ]
    assert owners == [slide]
    assert files.strays([folder]) == ()


def test_a_folder_of_annotations_is_found_without_regard_to_case(tmp_path):
    (tmp_path / "Annotations").mkdir()
    (tmp_path / "a.tif").touch()
    inside = write_document(tmp_path / "Annotations", name="a.geojson")
    assert find_annotations(tmp_path / "a.tif") == (inside,)


def test_a_slide_named_exactly_comes_before_an_ome_tiff(folder):
    (folder / "c.tif").touch()
    write_document(folder, name="c.geojson")
    files = AnnotationFiles()
    assert names(files.of(folder / "c.tif")) == ["c.geojson"]
    assert files.of(folder / "c.ome.tif") == ()


def test_what_belongs_to_no_slide_is_a_stray(folder):
    (folder / "a_b.tif").touch()
    (folder / "A_B.tif").touch()
    for name in ("a_B.geojson", "TCGA-1.2_annotations.geojson", "other.geojson"):
        write_document(folder, name=name)
    write_document(folder / "annotations", name="other.json")
    (folder / "other.xml").write_text("<ASAP_Annotations/>")
    (folder / "other.json.gz").write_bytes(gzip.compress(b'{"type": "FeatureCollection"}'))
    (folder / "config.json").write_text('{"region_classes": {}, "checkpoint": 1}')
    (folder / "scan.xml").write_text("<scan><mpp>0.5</mpp></scan>")
    assert names(AnnotationFiles().strays([folder, folder])) == [
        "TCGA-1.2_annotations.geojson",
        "a_B.geojson",
        "other.geojson",
        "other.json.gz",
        "other.xml",
        "other.json",
    ]


def test_a_folder_that_cannot_be_listed_holds_nothing(tmp_path):
    assert find_annotations(tmp_path / "nowhere" / "a.tif") == ()
    assert AnnotationFiles().strays([tmp_path / "nowhere"]) == ()


@pytest.mark.parametrize(
    "content",
    ['{"feature_extractor": "uni"}', '{"features": ["a"]}', '{"coordinates": {"x": 0, "y": 0}}'],
)
def test_files_about_features_are_no_stray_annotations(folder, content):
    (folder / "metadata.json").write_text(content)
    assert AnnotationFiles().strays([folder]) == ()


@pytest.mark.parametrize("note", ["c.csv", "c.txt", "c.png"])
def test_notes_beside_a_slide_do_not_take_its_annotations(folder, note):
    (folder / note).touch()
    path = write_document(folder, name="c.geojson")
    assert find_annotations(folder / "c.ome.tif") == (path,)


def test_a_damaged_compressed_file_is_no_stray_annotation(folder):
    whole = gzip.compress(b'{"type": "FeatureCollection"}' * 99)
    (folder / "x.json.gz").write_bytes(whole[:20] + b"\xff" * 40)
    assert AnnotationFiles().strays([folder]) == ()
