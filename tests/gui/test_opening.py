"""From a path to what the session takes; no window."""

import shutil

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_mil.bags import Bag, tile_grid, write_bag
from napari_mil.events import CancellationToken
from napari_mil.gui.model.recognition import PathKind
from napari_mil.gui.model.subjects import SubjectKind
from napari_mil.gui.opening import (
    OpenedAnnotations,
    OpenedClassifier,
    OpenedSubject,
    OpenedTraining,
    Opener,
    Refused,
)
from napari_mil.gui.samples import BAG, sample_path
from napari_mil.settings import Settings


@pytest.fixture
def open_path():
    """Return a function that opens one path; slides are closed at the end."""
    everything = []

    def at(path, **options):
        opened = Opener(Settings(), **options).open(path, CancellationToken())
        everything.extend(opened)
        return opened

    yield at
    for opened in everything:
        if isinstance(opened, OpenedSubject) and opened.slide is not None:
            opened.slide.close()


def test_a_slide_is_a_subject_whose_coarsest_level_is_read(open_path, slide_path):
    (opened,) = open_path(slide_path)
    assert opened.kind is SubjectKind.SLIDE
    assert opened.name == "CMU-1-Small-Region"
    assert isinstance(opened.pixels.data[-1], np.ndarray)


@pytest.mark.parametrize("ending", [".png", ".jpg", ".bmp"])
def test_a_picture_is_a_slide_without_a_scale(open_path, tmp_path, ending):
    path = tmp_path / f"picture{ending}"
    Image.fromarray(np.full((300, 400, 3), 180, np.uint8)).save(path)
    (opened,) = open_path(path)
    assert opened.kind is SubjectKind.SLIDE
    assert opened.slide.dimensions == (400, 300)
    assert opened.slide.mpp is None


def test_a_folder_of_images_is_a_bag_with_the_names_of_its_images(open_path):
    (opened,) = open_path(sample_path(BAG))
    assert opened.kind is SubjectKind.IMAGES
    assert len(opened.images) == len(opened.layout) == 10
    assert opened.slide is None


def test_features_lie_on_the_slide_beside_them(open_path, slide, slide_path, tmp_path):
    shutil.copy(slide_path, tmp_path / slide_path.name)
    path = write_features(slide, tmp_path / "CMU-1-Small-Region.h5")
    (opened,) = open_path(path)
    assert opened.kind is SubjectKind.FEATURES
    assert opened.slide is not None
    assert opened.name == "CMU-1-Small-Region (features)"


def test_features_lie_on_the_slide_that_is_open(open_path, slide, tmp_path):
    path = write_features(slide, tmp_path / "CMU-1-Small-Region.h5")
    (opened,) = open_path(path, slides=[slide])
    assert opened.slide is not None
    assert opened.slide is not slide, "each is closed by itself"


def test_features_without_their_slide_are_arranged_by_their_coordinates(open_path, slide, tmp_path):
    path = write_features(slide, tmp_path / "elsewhere.h5")
    (opened,) = open_path(path)
    assert opened.slide is None
    assert opened.pixels.data.shape[:2] == opened.layout.shape


def test_features_without_coordinates_are_arranged_side_by_side(open_path, tmp_path):
    np.save(tmp_path / "bag.npy", np.ones((40, 8), np.float32))
    (opened,) = open_path(tmp_path / "bag.npy")
    assert opened.kind is SubjectKind.FEATURES
    assert (opened.layout.index >= 0).sum() == 40


def write_features(slide, path):
    grid = tile_grid(slide, 256, 0.5)
    features = np.ones((len(grid), 16), np.float32)
    write_bag(Bag(features, grid.coords, tile_size0=grid.tile_size0), path)
    return path


def test_a_classifier_becomes_a_choice(open_path, shipped):
    for path in (shipped, shipped / "classifier.json", shipped / "weights.safetensors"):
        (opened,) = open_path(path)
        assert isinstance(opened, OpenedClassifier)
        assert opened.card.name == "breast-malignancy"


@pytest.fixture
def shipped():
    from napari_mil.inference.library import list_classifiers

    return list_classifiers()["breast-malignancy"].folder


@pytest.mark.parametrize(
    ("name", "width"),
    [
        ("clam_s_0_checkpoint.pt", 1024),
        ("dsmil_c16_aggregator.pth", 512),
        ("xmil_camelyon_attnmil_best_model.pt", None),
    ],
)
def test_a_published_checkpoint_becomes_a_choice_under_the_name_of_its_file(
    open_path, shared, name, width
):
    (opened,) = open_path(shared / "data/checkpoints" / name)
    assert isinstance(opened, OpenedClassifier)
    assert opened.card.name == name
    assert width is None or opened.card.in_dim == width


def test_annotations_belong_to_a_slide(open_path, tmp_path):
    path = tmp_path / "regions.geojson"
    path.write_text(
        '{"type": "Feature", "properties": {"classification": {"name": "tumour"}}, "geometry":'
        ' {"type": "Polygon", "coordinates": [[[10, 10], [90, 10], [90, 90], [10, 10]]]}}'
    )
    (refused,) = open_path(path)
    assert "open their slide first" in refused.text
    (opened,) = open_path(path, origin=(0.0, 0.0))
    assert isinstance(opened, OpenedAnnotations)
    assert opened.layer.name == "regions.geojson"


def test_runs_and_annotated_folders_belong_to_the_train_tab(open_path, tmp_path):
    (tmp_path / "cohort/benign").mkdir(parents=True)
    (tmp_path / "run").mkdir()
    (tmp_path / "run/config.json").write_text("{}")
    assert open_path(tmp_path / "cohort") == [OpenedTraining(tmp_path / "cohort", PathKind.COHORT)]
    assert open_path(tmp_path / "run") == [OpenedTraining(tmp_path / "run", PathKind.RUN)]


def test_a_folder_of_slides_is_each_of_them(open_path, slide_path, tmp_path):
    for name in ("a.svs", "b.svs"):
        shutil.copy(slide_path, tmp_path / name)
    assert [opened.name for opened in open_path(tmp_path)] == ["a", "b"]


@pytest.mark.parametrize(
    "kind", ["missing", "empty", "text", "folder", "truncated", "noise", "damaged picture"]
)
def test_what_cannot_be_opened_is_refused_in_one_sentence(open_path, spoil, tmp_path, kind):
    path = tmp_path / "scan_07.svs"
    spoil(kind, path)
    (refused,) = open_path(path)
    assert isinstance(refused, Refused)
    assert "scan_07" in refused.text
    assert "\n" not in refused.text


def test_one_bad_file_of_a_folder_leaves_the_others(open_path, slide_path, tmp_path):
    shutil.copy(slide_path, tmp_path / "a.svs")
    (tmp_path / "b.svs").write_text("this is not a slide")
    first, second = open_path(tmp_path)
    assert isinstance(first, OpenedSubject)
    assert isinstance(second, Refused)


def test_a_series_of_dicom_files_is_one_slide(open_path, shared):
    folders = sorted(path.parent for path in (shared / "data/slides").rglob("*.dcm"))
    if not folders:
        pytest.skip("no DICOM series is beside this checkout")
    (opened,) = open_path(folders[0])
    assert isinstance(opened, OpenedSubject)


def test_the_pages_of_a_folder_of_images_are_shown_and_said(open_path, tmp_path):
    pages = [Image.new("L", (40, 30), value) for value in (1, 2)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    (opened,) = open_path(tmp_path)
    assert len(opened.layout) == 2
    assert opened.images.names == ("a.tif [page 1]", "a.tif [page 2]")
    assert any(remark.startswith("a.tif: It has 2 pages") for remark in opened.remarks)


def test_a_slide_without_coarse_levels_is_averaged_beside_and_shown_then(bench, tmp_path):
    """Stripes: a sample of tiles shows them at random, the average is grey."""
    pixels = np.zeros((8000, 8000, 3), np.uint8)
    pixels[::2] = 200
    path = tmp_path / "stripes.tif"
    tifffile.imwrite(path, pixels, photometric="rgb", tile=(256, 256), compression="lzw")
    bench.open(path)
    bench.wait()
    slide = bench.state.current_subject.slide
    assert slide.lacks_overview
    assert slide.has_stored_overview
    layer = bench.layer("stripes")
    assert np.abs(np.asarray(layer.data[-1]).astype(int) - 100).max() <= 1
