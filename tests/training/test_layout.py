import json

import pytest

from napari_mil.errors import TrainingError
from napari_mil.inference.card import CARD_FILE
from napari_mil.training.cohorts.scanning import scan_annotated_folder
from napari_mil.training.layout import (
    ANSWERS,
    CHECKPOINT,
    CLASSIFIER,
    COHORT,
    CONFIG,
    FOLDS,
    HISTORY,
    SCORE,
    begun_with,
    is_finished,
    is_unfinished,
    kept_in,
    refuse_among_bags,
)
from tests.training.sample_cohorts import with_patients


def test_a_run_is_unfinished_between_its_first_checkpoint_and_its_classifier(tmp_path):
    assert not is_unfinished(tmp_path)
    (tmp_path / CHECKPOINT).touch()
    assert is_unfinished(tmp_path)
    assert not is_finished(tmp_path)
    (tmp_path / CLASSIFIER).mkdir()
    (tmp_path / CLASSIFIER / CARD_FILE).touch()
    assert is_finished(tmp_path)
    assert not is_unfinished(tmp_path)


def test_a_run_is_recognised_by_any_of_its_bags(cohort, feature_folder, tmp_path):
    content = cohort.bags[0].content
    (tmp_path / COHORT).write_text(json.dumps({"bags": [[content, ["benign"], False, ""]]}))
    other = scan_annotated_folder(feature_folder(name="other", seed=1))
    assert begun_with(tmp_path, cohort)
    assert not begun_with(tmp_path, other)


def test_a_run_whose_bags_cannot_be_read_is_left_to_resuming(cohort, tmp_path):
    assert begun_with(tmp_path, cohort)
    (tmp_path / COHORT).write_text("{")
    assert begun_with(tmp_path, cohort)


def test_what_an_interrupted_run_left_is_said_as_it_is(tmp_path):
    folder = tmp_path / "run"
    assert kept_in(folder) == "nothing of this run had been finished in run"
    folder.mkdir()
    (folder / CHECKPOINT).touch()
    (folder / HISTORY).write_text("epoch,loss\n1,0.5\n2,0.4\n")
    assert kept_in(folder) == "the checkpoint of epoch 2 is whole in run"
    (folder / FOLDS).mkdir()
    (folder / FOLDS / "repeat-0-fold-1.npz").touch()
    assert kept_in(folder) == (
        "the checkpoint of epoch 2 is whole and 1 finished fold is kept in run"
    )


def test_answers_of_a_score_that_was_stopped_are_counted(tmp_path):
    (tmp_path / ANSWERS).mkdir()
    for name in "ab":
        (tmp_path / ANSWERS / f"{name}.json").touch()
    assert kept_in(tmp_path) == f"2 answers are kept in {tmp_path.name}"


@pytest.mark.parametrize("place", [".", "benign", "benign/run", "malignant/a/b", "new/../benign"])
def test_a_run_among_the_bags_of_classes_is_refused(cohort, place):
    out = cohort.root / place
    with pytest.raises(TrainingError, match=r"lies among the bags of cohort; choose a folder"):
        refuse_among_bags(out, cohort)


@pytest.mark.parametrize("place", ["run", "../run", "benign2/run"])
def test_a_run_beside_the_folders_of_classes_is_not(cohort, place):
    refuse_among_bags(cohort.root / place, cohort)


def test_beside_a_table_only_its_own_folder_is_refused(feature_folder):
    cohort = with_patients(feature_folder(n=2), 2)
    refuse_among_bags(cohort.root / "benign" / "run", cohort)
    with pytest.raises(TrainingError, match="lies among the bags"):
        refuse_among_bags(cohort.root, cohort)


@pytest.mark.parametrize(
    "files", [(CONFIG, HISTORY), (CONFIG, CHECKPOINT), (CONFIG, COHORT), (SCORE,)]
)
def test_a_run_beside_the_folders_of_classes_is_no_class(feature_folder, files):
    root = feature_folder(n=2)
    (root / "run").mkdir()
    for name in files:
        (root / "run" / name).write_text("{}")
    found = scan_annotated_folder(root)
    assert found.classes == ("benign", "malignant")
    assert not found.skipped


def test_a_linked_folder_of_a_class_is_among_the_bags(feature_folder, tmp_path):
    root = feature_folder(n=2)
    elsewhere = tmp_path / "elsewhere"
    (root / "malignant").rename(elsewhere)
    (root / "malignant").symlink_to(elsewhere)
    cohort = scan_annotated_folder(root)
    with pytest.raises(TrainingError, match="among the bags"):
        refuse_among_bags(root / "malignant" / "run", cohort)
    refuse_among_bags(root / "run", cohort)
