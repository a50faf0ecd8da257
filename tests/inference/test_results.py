import numpy as np
import pytest

from napari_mil.bags import TileSpec
from napari_mil.errors import OutputError
from napari_mil.events import CancellationToken, ignore
from napari_mil.inference.prediction import PREDICTION_FILE, Prediction
from napari_mil.inference.results import ClassifyRequest, ResultStore, plan_target
from napari_mil.inference.targets import open_target


@pytest.fixture
def bag_path(tmp_path, features):
    return write_bag(tmp_path / "bags" / "case.npy", features)


def write_bag(path, features):
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, features)
    return path


def classify_into(store, path, classifier, **request):
    request = ClassifyRequest(device="cpu", **request)
    with open_target(path) as target:
        cancel = CancellationToken()
        plan = plan_target(target, classifier.card, request, cancel)
        return store.classify(target, plan, classifier, request, ignore, cancel)


def test_the_same_work_is_kept_and_other_work_replaces_it(make_classifier, bag_path, tmp_path):
    store = ResultStore(tmp_path / "out")
    first = classify_into(store, bag_path, make_classifier())
    again = classify_into(ResultStore(tmp_path / "out"), bag_path, make_classifier())
    assert [first.kept, again.kept] == [False, True]
    assert first.folder == again.folder == tmp_path / "out" / "case"
    other = make_classifier("abmil")
    replaced = classify_into(ResultStore(tmp_path / "out"), bag_path, other)
    assert not replaced.kept
    assert replaced.folder == first.folder
    assert Prediction.load(first.folder).classifier["fingerprint"] == other.fingerprint


def test_other_tiles_of_the_same_slide_replace_its_result(slide_path, classifier, tmp_path):
    store = ResultStore(tmp_path)
    first = classify_into(store, slide_path, classifier)
    assert classify_into(store, slide_path, classifier).kept
    coarse = classify_into(store, slide_path, classifier, tiles=TileSpec(128, 1.2))
    assert not coarse.kept
    assert coarse.folder == first.folder
    assert coarse.prediction.n_instances < first.prediction.n_instances


def test_another_bag_of_the_same_name_gets_the_next_folder(
    classifier, bag_path, features, tmp_path
):
    namesake = write_bag(tmp_path / "elsewhere" / "case.npy", features[:5])
    store = ResultStore(tmp_path / "out")
    assert classify_into(store, bag_path, classifier).folder.name == "case"
    assert classify_into(store, namesake, classifier).folder.name == "case-2"
    later = ResultStore(tmp_path / "out")
    assert classify_into(later, namesake, classifier).kept, "found again in its own folder"


def test_a_foreign_folder_is_left_alone_and_remains_of_a_killed_run_are_not(tmp_path):
    store = ResultStore(tmp_path)
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "notes.txt").touch()
    (tmp_path / "killed" / ".partial-x").mkdir(parents=True)
    assert store.place("foreign", "a" * 32) == (tmp_path / "foreign-2", None)
    assert store.place("killed", "b" * 32) == (tmp_path / "killed", None)


def test_an_anonymous_result_is_named_after_the_content(classifier, bag_path, tmp_path):
    outcome = classify_into(ResultStore(tmp_path / "out"), bag_path, classifier, anonymous=True)
    fingerprint = outcome.prediction.slide["fingerprint"]
    assert outcome.folder.name == f"bag-{fingerprint[:8]}"
    assert "case" not in (outcome.folder / PREDICTION_FILE).read_text()


def test_an_output_folder_is_checked_without_being_made(tmp_path):
    ResultStore(tmp_path / "new" / "out").prepare()
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="is no folder"):
        ResultStore(tmp_path / "file" / "out").prepare()
