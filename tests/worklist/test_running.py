import os
import threading

import numpy as np
import pytest

from napari_mil.errors import CancelledError, OutputError
from napari_mil.events import Advanced, CancellationToken, Finished
from napari_mil.inference.prediction import Prediction
from napari_mil.worklist.items import read_worklist
from napari_mil.worklist.running import RowEnded, RowStarted, classify_all
from napari_mil.worklist.states import ResultState
from tests.cli.command import run as run_command


def classify(worklist, question, numbers=None, on_event=None, cancel=None):
    told = []
    wanted = range(len(worklist.items)) if numbers is None else numbers
    tell = on_event or told.append
    classify_all(worklist.items, wanted, question, tell, cancel or CancellationToken())
    return [event for event in told if isinstance(event, (RowStarted, RowEnded))]


def answers(out):
    return sorted(path.parent.name for path in out.glob("*/prediction.json"))


def test_rows_are_classified_in_order_and_each_is_told(bag, ask):
    bag("b.npy")
    worklist = read_worklist(bag("a.npy").parent)
    told = classify(worklist, ask(), [1, 0])
    assert [event.number for event in told] == [1, 1, 0, 0]
    assert all(
        event.found.state is ResultState.DONE for event in told if isinstance(event, RowEnded)
    )


def test_a_row_that_fails_says_why_and_the_others_go_on(bag, ask):
    bag("b.npy")
    path = bag("a.npy")
    np.save(path, np.zeros((3, 5), np.float32))
    worklist = read_worklist(path.parent)
    told = [event for event in classify(worklist, ask()) if isinstance(event, RowEnded)]
    assert [event.found.state for event in told] == [ResultState.FAILED, ResultState.DONE]
    assert "features of length 78" in told[0].found.problem
    assert answers(ask().out) == ["b"]


def test_a_stopped_run_leaves_what_is_done_and_goes_on_with_the_rest(bag, ask):
    for name in ("a.npy", "b.npy", "c.npy"):
        bag(name)
    worklist = read_worklist(bag("a.npy").parent)
    cancel = CancellationToken()

    def stop_after_first(event):
        if isinstance(event, RowEnded):
            cancel.cancel()

    with pytest.raises(CancelledError):
        classify(worklist, ask(), on_event=stop_after_first, cancel=cancel)
    assert answers(ask().out) == ["a"]
    first = (ask().out / "a" / "prediction.json").read_bytes()
    classify(worklist, ask())
    assert answers(ask().out) == ["a", "b", "c"]
    assert (ask().out / "a" / "prediction.json").read_bytes() == first, "kept, not made again"


def test_a_paused_run_waits_and_goes_on(bag, ask):
    bag("b.npy")
    worklist = read_worklist(bag("a.npy").parent)
    cancel = CancellationToken()
    ended = []
    paused = threading.Event()

    def tell(event):
        if isinstance(event, RowEnded):
            ended.append(event.number)
            cancel.pause()
            paused.set()

    thread = threading.Thread(
        target=lambda: classify(worklist, ask(), on_event=tell, cancel=cancel), daemon=True
    )
    thread.start()
    assert paused.wait(60)
    thread.join(0.3)
    assert thread.is_alive(), "it waits"
    assert ended == [0]
    cancel.resume()
    thread.join(60)
    assert ended == [0, 1]


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes anywhere")
def test_a_folder_that_cannot_be_written_is_said_before_anything_is_computed(bag, ask, tmp_path):
    worklist = read_worklist(bag("a.npy").parent)
    locked = tmp_path / "locked"
    locked.mkdir()
    locked.chmod(0o500)
    with pytest.raises(OutputError, match="choose another folder"):
        classify(worklist, ask(out=locked / "out"))


def test_results_in_the_place_of_a_file_are_refused(bag, ask, tmp_path):
    worklist = read_worklist(bag("a.npy").parent)
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="is no folder"):
        classify(worklist, ask(out=tmp_path / "file" / "out"))


def test_the_command_line_keeps_what_the_worklist_made_and_the_reverse(bag, ask, bundles):
    paths = [bag("x/a.npy", seed=1), bag("y/a.npy", seed=2)]
    worklist = read_worklist(paths[0].parent.parent)
    question = ask()
    classify(worklist, question, [0])
    by_worklist = (question.out / "a" / "prediction.json").read_bytes()
    card, _ = bundles["first"]
    command = ("classify", *paths, "--classifier", card.folder, "--out", question.out)
    done = run_command(*command, "--device", "cpu")
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert "kept, already made" in first
    assert "kept" not in second
    assert (question.out / "a" / "prediction.json").read_bytes() == by_worklist
    by_command = (question.out / "a-2" / "prediction.json").read_bytes()
    told = []
    classify_all(worklist.items, [0, 1], question, told.append, CancellationToken())
    ended = [event.found.result.folder.name for event in told if isinstance(event, RowEnded)]
    assert ended == ["a", "a-2"]
    assert not [event for event in told if isinstance(event, (Finished, Advanced))], "not computed"
    assert (question.out / "a-2" / "prediction.json").read_bytes() == by_command
    assert len(Prediction.load(question.out / "a-2").attention) == 6
