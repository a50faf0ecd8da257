"""Everything that a person can drop onto the window is known, or refused in a sentence."""

from pathlib import Path

import pytest

from napari_mil.errors import NapariMilError
from napari_mil.gui.model import recognition
from napari_mil.gui.model.recognition import PathKind, recognise
from napari_mil.inference.card import CARD_FILE, WEIGHTS_FILE
from napari_mil.inference.prediction import PREDICTION_FILE
from napari_mil.training.cohorts.cohort import TABLE
from napari_mil.training.layout import CONFIG, EVALUATION, PREDICTIONS, SCORE
from napari_mil.worklist.records import WORKLIST_FILE


def kinds(path):
    return [(found.kind, found.path) for found in recognise(path)]


def made(path, content=b""):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.svs", PathKind.SLIDE),
        ("photo.JPG", PathKind.SLIDE),
        ("a.h5", PathKind.FEATURES),
        ("a.pt", PathKind.FEATURES),
        ("model.ckpt", PathKind.CHECKPOINT),
        ("a.geojson", PathKind.ANNOTATIONS),
        ("a.xml", PathKind.ANNOTATIONS),
        ("labels.csv", PathKind.COHORT),
        ("LABELS.TSV", PathKind.COHORT),
    ],
)
def test_a_file_is_known_by_its_ending(tmp_path, name, kind):
    path = made(tmp_path / name)
    assert kinds(path) == [(kind, path)]


@pytest.mark.parametrize(
    ("name", "kind"), [(CARD_FILE, PathKind.CLASSIFIER), (CONFIG, PathKind.RUN)]
)
def test_a_folder_and_the_file_that_names_it_are_the_same(tmp_path, name, kind):
    path = made(tmp_path / "one" / name)
    assert kinds(path) == kinds(path.parent) == [(kind, path.parent)]


def test_weights_are_a_classifier_only_beside_their_card(tmp_path):
    weights = made(tmp_path / WEIGHTS_FILE)
    assert kinds(weights)[0][0] is PathKind.FEATURES
    made(tmp_path / CARD_FILE)
    assert kinds(weights) == [(PathKind.CLASSIFIER, tmp_path)]


def test_a_folder_of_images_is_a_bag(tmp_path):
    made(tmp_path / "a.png")
    assert kinds(tmp_path) == [(PathKind.IMAGES, tmp_path)]


def test_a_folder_of_slides_is_each_of_them(tmp_path):
    slides = [made(tmp_path / name) for name in ("a.svs", "b.svs")]
    made(tmp_path / ".hidden.svs")
    assert kinds(tmp_path) == [(PathKind.SLIDE, slide) for slide in slides]


def test_more_slides_than_can_be_opened_at_once_are_a_worklist(tmp_path, monkeypatch):
    monkeypatch.setattr(recognition, "MOST_OPENED", 1)
    for name in ("a.svs", "b.svs"):
        made(tmp_path / name)
    assert kinds(tmp_path) == [(PathKind.WORKLIST, tmp_path)]


def test_results_and_tables_of_slides_without_labels_are_a_worklist(tmp_path):
    answer = made(tmp_path / "results" / "a" / PREDICTION_FILE, b"{}")
    results = answer.parent.parent
    assert kinds(results) == kinds(answer.parent) == [(PathKind.WORKLIST, results)]
    table = made(tmp_path / "slides.csv", b"slide,site\na.svs,left\n")
    assert kinds(table) == [(PathKind.WORKLIST, table)]
    own = made(tmp_path / "empty" / WORKLIST_FILE)
    assert kinds(own) == [(PathKind.WORKLIST, own)]


@pytest.mark.parametrize("name", [EVALUATION, SCORE])
def test_figures_beside_the_answers_they_rest_on_are_known(tmp_path, name):
    (tmp_path / name).write_text("{}")
    (tmp_path / PREDICTIONS).write_text("bag\n")
    for path in (tmp_path, tmp_path / name):
        assert [each.kind for each in recognise(path)] == [PathKind.FIGURES]
    (tmp_path / CONFIG).write_text("{}")
    for path in (tmp_path, tmp_path / name):
        assert [each.kind for each in recognise(path)] == [PathKind.RUN]


def test_folders_of_classes_are_a_cohort(tmp_path):
    made(tmp_path / "normal" / "a.svs")
    made(tmp_path / "tumour" / "b.svs")
    assert kinds(tmp_path) == [(PathKind.COHORT, tmp_path)]


def test_a_folder_with_a_table_is_a_cohort_and_not_its_slides(tmp_path):
    made(tmp_path / TABLE)
    made(tmp_path / "a.svs")
    assert kinds(tmp_path) == [(PathKind.COHORT, tmp_path)]


def test_the_folder_beside_a_mirax_slide_is_that_slide(tmp_path):
    slide = made(tmp_path / "a.mrxs")
    made(tmp_path / "a" / "Slidedat.ini")
    assert kinds(tmp_path / "a") == [(PathKind.SLIDE, slide)]


@pytest.mark.parametrize("path", ["missing.svs", "empty"])
def test_what_cannot_be_opened_says_so_with_its_name(tmp_path, path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(NapariMilError, match=path) as refusal:
        recognise(tmp_path / path)
    assert str(refusal.value).endswith(".")


def test_a_path_that_is_too_long_is_refused_in_a_sentence():
    with pytest.raises(NapariMilError, match="cannot be read"):
        recognise(Path("/" + "a" * 5000))


def table_of_features(path):
    rows = ["x,y,feature_0,feature_1,feature_2"]
    rows += [f"{256 * k},0,{k / 7},{k / 5},{k / 3}" for k in range(6)]
    return made(path, "\n".join(rows).encode())


def test_a_table_with_a_row_for_each_tile_is_features_and_not_a_cohort(tmp_path):
    path = table_of_features(tmp_path / "tiles.csv")
    assert kinds(path) == [(PathKind.FEATURES, path)]
    labels = made(tmp_path / "labels.csv", b"slide,label\na,benign\nb,malignant\n")
    assert kinds(labels) == [(PathKind.COHORT, labels)]


def test_indices_beside_feature_files_are_not_opened_with_them(tmp_path):
    made(tmp_path / "a.pt")
    made(tmp_path / "a.index.npz")
    assert kinds(tmp_path) == [(PathKind.FEATURES, tmp_path / "a.pt")]
