import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from napari_mil.bags import TileSpec
from napari_mil.errors import Remedy
from napari_mil.events import CancellationToken, ignore
from napari_mil.inference.classifier import load_classifier
from napari_mil.inference.library import find_card
from napari_mil.inference.prediction import PREDICTION_FILE
from napari_mil.inference.results import ClassifyRequest
from napari_mil.worklist.items import WorkItem, read_worklist
from napari_mil.worklist.records import Record, TableRow, write_table
from napari_mil.worklist.running import classify_all
from napari_mil.worklist.states import Question, ResultState, look_at, look_at_all


def look(worklist, question, numbers=None):
    found = {}
    wanted = range(len(worklist.items)) if numbers is None else numbers
    look_at_all(worklist.items, wanted, question, found.__setitem__, CancellationToken())
    return found


def states(worklist, question):
    return [found.state for _, found in sorted(look(worklist, question).items())]


def run(worklist, question):
    numbers = range(len(worklist.items))
    classify_all(worklist.items, numbers, question, ignore, CancellationToken())


def test_what_is_on_disk_is_said_before_and_after_a_run(bag, ask):
    worklist = read_worklist(bag("a.npy").parent)
    assert states(worklist, ask()) == [ResultState.NOTHING]
    run(worklist, ask())
    (found,) = look(worklist, ask()).values()
    assert found.state is ResultState.DONE
    assert found.result.labels[0] in found.result.classes
    assert sum(found.result.probabilities) == pytest.approx(1)


def test_an_answer_of_another_classifier_is_stale_and_says_so(bag, ask):
    worklist = read_worklist(bag("a.npy").parent)
    run(worklist, ask("first"))
    (found,) = look(worklist, ask("second")).values()
    assert found.state is ResultState.STALE
    assert found.reasons == ("second is chosen now",)


def test_an_answer_of_a_classifier_that_was_replaced_is_stale(bag, ask):
    worklist = read_worklist(bag("a.npy").parent)
    run(worklist, ask())
    other = replace(ask(), classifier_fingerprint="0" * 32)
    assert look(worklist, other)[0].reasons == ("the classifier was replaced",)


def test_an_answer_about_another_content_is_stale_and_is_not_lost(bag, ask):
    path = bag("a.npy", seed=1)
    worklist = read_worklist(path.parent)
    run(worklist, ask())
    first = look(worklist, ask())[0].result
    bag("a.npy", seed=2)
    found = look(worklist, ask())[0]
    assert (found.state, found.reasons) == (ResultState.STALE, ("the content is another",))
    assert found.result == first
    run(worklist, ask())
    again = look(worklist, ask())[0]
    assert again.state is ResultState.DONE
    assert again.result.folder.name == "a-2"
    assert (first.folder / PREDICTION_FILE).is_file()


def test_twins_have_answers_of_their_own(bag, ask):
    bag("x/a.npy", seed=1)
    root = bag("y/a.npy", seed=2).parent.parent
    worklist = read_worklist(root)
    assert [item.name for item in worklist.items] == ["a", "a"]
    run(worklist, ask())
    found = look(worklist, ask())
    assert [found[k].result.folder.name for k in (0, 1)] == ["a", "a-2"]
    assert look(worklist, ask(), [1])[1].result.folder.name == "a-2", "looked at alone"


def test_the_answer_of_a_twin_is_not_the_stale_one_of_the_other(bag, ask):
    bag("x/a.npy", seed=1)
    worklist = read_worklist(bag("y/a.npy", seed=2).parent.parent)
    classify_all(worklist.items, [0], ask(), ignore, CancellationToken())
    assert states(worklist, ask()) == [ResultState.DONE, ResultState.NOTHING]


def test_a_prediction_that_was_cut_short_is_said_and_left_alone(bag, ask):
    worklist = read_worklist(bag("a.npy").parent)
    run(worklist, ask())
    file = look(worklist, ask())[0].result.folder / PREDICTION_FILE
    cut = file.read_bytes()[:100]
    file.write_bytes(cut)
    found = look(worklist, ask())[0]
    assert found.state is ResultState.FAILED
    assert "holds no complete prediction" in found.problem
    run(worklist, ask())
    assert look(worklist, ask())[0].state is ResultState.DONE
    assert file.read_bytes() == cut


def test_a_prediction_without_its_instances_is_not_whole(bag, ask):
    worklist = read_worklist(bag("a.npy").parent)
    run(worklist, ask())
    folder = look(worklist, ask())[0].result.folder
    (folder / "instances.csv").unlink()
    assert "instances.csv is missing" in look(worklist, ask())[0].problem


def test_a_foreign_folder_of_the_name_is_nothing_to_say(bag, ask, tmp_path):
    worklist = read_worklist(bag("a.npy").parent)
    (tmp_path / "bags-results" / "a").mkdir(parents=True)
    (tmp_path / "bags-results" / "a" / "notes.txt").touch()
    assert states(worklist, ask()) == [ResultState.NOTHING]


def test_a_bag_that_vanished_fails_and_keeps_its_answer(bag, ask):
    path = bag("a.npy")
    worklist = read_worklist(path.parent)
    run(worklist, ask())
    path.unlink()
    found = look(worklist, ask())[0]
    assert found.state is ResultState.FAILED
    assert found.problem.endswith(".")
    assert "a.npy" in found.problem
    assert found.result is not None


def test_what_does_not_fit_the_classifier_fails_before_any_run(tmp_path):
    Image.fromarray(np.zeros((40, 40, 3), np.uint8)).save(tmp_path / "a.png")
    card = find_card("breast-malignancy")
    question = Question(tmp_path / "out", card, "0", ClassifyRequest(), {})
    found = look_at(WorkItem("case", tmp_path), question)
    assert found.state is ResultState.FAILED
    assert "not folders of images" in found.problem


def test_remedies_are_in_the_words_of_the_face(paint, noise, tmp_path):
    path = paint(noise, mpp=None).path
    card = replace(find_card("breast-malignancy"), slide_mpp=None)
    words = {Remedy.GIVE_SCALE: "say how large a pixel is"}
    question = Question(tmp_path / "out", card, "0", ClassifyRequest(), words)
    told = []
    classify_all([WorkItem("painted", path)], [0], question, told.append, CancellationToken())
    assert "say how large a pixel is" in told[-1].found.problem


def test_a_scale_that_was_entered_counts_and_another_makes_the_answer_stale(paint, noise, tmp_path):
    path = paint(noise, mpp=None).path
    classifier = load_classifier("breast-malignancy")
    request = ClassifyRequest(mask=None, device="cpu")
    question = Question(
        *(tmp_path / "out", classifier.card, classifier.fingerprint, request, {}),
        find_mpp=lambda slide: 0.5,
    )
    item = WorkItem("painted", path)
    classify_all([item], [0], question, ignore, CancellationToken())
    found = look_at(item, question)
    assert found.state is ResultState.DONE
    assert json.loads((found.result.folder / PREDICTION_FILE).read_text())["slide"]["mpp"] == 0.5
    other = replace(question, find_mpp=lambda slide: 0.4)
    assert look_at(item, other).reasons == ("the tiles are others",)


def test_results_without_their_slides_are_done_or_stale_by_the_classifier(bag, ask, tmp_path):
    worklist = read_worklist(bag("a.npy").parent)
    run(worklist, ask())
    shutil.rmtree(tmp_path / "bags")
    results = read_worklist(tmp_path / "bags-results")
    assert [(item.name, item.path) for item in results.items] == [("a", None)]
    assert states(results, ask()) == [ResultState.DONE]
    assert states(results, ask("second")) == [ResultState.STALE]


def test_results_of_twins_find_their_slides_by_content(bag, ask, tmp_path):
    paths = [bag("x/a.npy", seed=1), bag("y/a.npy", seed=2)]
    run(read_worklist(tmp_path / "bags"), ask())
    results = read_worklist(ask().out)
    assert [item.path for item in results.items] == paths
    assert states(results, ask()) == [ResultState.DONE, ResultState.DONE]


def test_a_row_that_was_noted_before_it_had_a_result_is_one_row(bag, ask, tmp_path):
    path = bag("a.npy")
    worklist = read_worklist(path.parent)
    write_table(worklist.out, [TableRow(Record("a", path, "look"), "to do")])
    run(worklist, ask())
    (tmp_path / "elsewhere").mkdir()
    moved = worklist.out.rename(tmp_path / "elsewhere" / "results")
    results = read_worklist(moved)
    assert [item.path for item in results.items] == [path]
    assert states(results, ask(out=moved)) == [ResultState.DONE]


def test_slides_and_their_results_in_one_folder_are_one_list(bag, ask, tmp_path):
    paths = [bag("a.npy"), bag("b.npy", seed=1)]
    root = tmp_path / "bags"
    worklist = read_worklist(root)
    question = ask(out=root)
    classify_all(worklist.items, [0], question, ignore, CancellationToken())
    both = read_worklist(root)
    assert [item.path for item in both.items] == paths
    assert states(both, question) == [ResultState.DONE, ResultState.NOTHING]


def test_other_tiles_or_another_tissue_make_the_answer_about_a_slide_stale(slide_path, tmp_path):
    classifier = load_classifier("breast-malignancy")
    card = classifier.card
    coarse = ClassifyRequest(TileSpec(128, 1.2), device="cpu")
    worklist = replace(read_worklist(slide_path.parent), items=(WorkItem("s", slide_path),))
    question = Question(tmp_path, card, classifier.fingerprint, coarse, {})
    run(worklist, question)
    assert look(worklist, question)[0].state is ResultState.DONE
    own = replace(question, request=ClassifyRequest(device="cpu"))
    assert look(worklist, own)[0].reasons == ("the tiles are others",)
    whole = replace(question, request=replace(coarse, mask=None))
    assert look(worklist, whole)[0].reasons == ("the tissue is another",)
    entries = json.loads((tmp_path / slide_path.stem / PREDICTION_FILE).read_text())
    assert entries["provenance"]["features"]
