"""Training in a child process."""

import os
import pickle
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import psutil
import pytest

from napari_mil.errors import CancelledError, TrainingError
from napari_mil.events import CancellationToken, EpochEnded, Started
from napari_mil.inference.card import read_card
from napari_mil.training.process import (
    ChildDefectError,
    PretrainingRequest,
    ScoreRequest,
    TrainingRequest,
    work_beside,
)


def request(cohort, out, settings, **fields):
    config = {
        "epochs": 3,
        "aggregator_options": {"hidden": 16},
        "device": "cpu",
        "threads": 1,
        **fields.pop("config", {}),
    }
    return TrainingRequest(cohort, config, out, settings=settings, **fields)


def children():
    return [
        child
        for child in psutil.Process().children(recursive=True)
        if "napari_mil.training.process" in " ".join(child.cmdline())
    ]


def test_its_events_and_its_result_arrive(cohort, settings, tmp_path):
    events = []
    result = work_beside(
        request(cohort, tmp_path / "run", settings), events.append, CancellationToken()
    )
    assert [event.what for event in events if isinstance(event, Started)] == ["bags", "epochs"]
    assert [event.epoch for event in events if isinstance(event, EpochEnded)] == [1, 2, 3]
    assert (result.classifier / "weights.safetensors").is_file()
    assert not children()


def test_a_fault_of_the_input_arrives_as_such(cohort, settings, tmp_path):
    with pytest.raises(TrainingError, match="one class only"):
        work_beside(
            request(cohort.only(range(3)), tmp_path / "run", settings),
            lambda event: None,
            CancellationToken(),
        )


def test_a_defect_arrives_with_its_traceback(cohort, settings, tmp_path):
    broken = TrainingRequest(None, {}, tmp_path / "run", settings=settings)
    with pytest.raises(ChildDefectError, match="Traceback"):
        work_beside(broken, lambda event: None, CancellationToken())


def test_cancelling_ends_it_and_keeps_the_checkpoint(cohort, settings, tmp_path):
    token = CancellationToken()

    def listen(event):
        if isinstance(event, EpochEnded):
            token.cancel()

    with pytest.raises(CancelledError):
        work_beside(
            request(cohort, tmp_path / "run", settings, config={"epochs": 5000}), listen, token
        )
    assert (tmp_path / "run" / "checkpoint.pt").is_file()
    assert not children()


def test_a_death_of_the_child_is_one_sentence(cohort, settings, tmp_path):
    def listen(event):
        if isinstance(event, EpochEnded):
            os.kill(children()[0].pid, signal.SIGKILL)

    with pytest.raises(TrainingError, match=r"ended unexpectedly.*epoch 1 is whole.*resume"):
        work_beside(
            request(cohort, tmp_path / "run", settings, config={"epochs": 5000}),
            listen,
            CancellationToken(),
        )


def test_pausing_stands_still_until_it_goes_on(cohort, settings, tmp_path):
    token, epochs = CancellationToken(), []

    def listen(event):
        if isinstance(event, EpochEnded):
            epochs.append(time.monotonic())
            if len(epochs) == 2:
                token.pause()
                threading.Timer(2.0, token.resume).start()

    work_beside(request(cohort, tmp_path / "run", settings, config={"epochs": 60}), listen, token)
    assert len(epochs) == 60
    assert np.diff(epochs).max() > 1.0


PARENT = """
import pickle, sys
from napari_mil.events import CancellationToken
from napari_mil.training.process import work_beside
request = pickle.load(open(sys.argv[1], "rb"))
work_beside(request, lambda event: print(type(event).__name__, flush=True), CancellationToken())
"""


def test_the_child_ends_with_its_parent_however_that_ended(cohort, settings, tmp_path):
    (tmp_path / "request").write_bytes(
        pickle.dumps(request(cohort, tmp_path / "run", settings, config={"epochs": 5000}))
    )
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path / "request")], stdout=subprocess.PIPE, text=True
    ) as parent:
        while "EpochEnded" not in parent.stdout.readline():
            pass
        (child,) = psutil.Process(parent.pid).children()
        parent.kill()
    _, alive = psutil.wait_procs([child], timeout=60)
    assert not alive
    assert (tmp_path / "run" / "checkpoint.pt").is_file()


def test_a_score_is_made_beside_with_its_page_of_figures(cohort, settings, tmp_path):
    trained = work_beside(
        request(cohort, tmp_path / "run", settings), lambda event: None, CancellationToken()
    )
    events = []
    card = read_card(trained.classifier)
    out = tmp_path / "score"
    wanted = ScoreRequest(cohort.root, card, out, device="cpu", settings=settings)
    scored = work_beside(wanted, events.append, CancellationToken())
    assert (scored.folder, scored.root, scored.n_failed) == (out, cohort.root, 0)
    assert [event.what for event in events if isinstance(event, Started)] == ["files", "bags"]
    assert {"score.json", "predictions.csv", "figures.svg"} <= {p.name for p in out.iterdir()}
    assert not children()


def test_an_encoder_is_adapted_beside_as_well(slide_cohort, settings, tmp_path):
    config = {
        "tiles": 24,
        "tile_px": 32,
        "mask": "none",
        "slide_mpp": 0.5,
        "epochs": 2,
        "batch": 8,
        "device": "cpu",
        "threads": 1,
    }
    asked = PretrainingRequest(slide_cohort, config, tmp_path / "run", settings=settings)
    events = []
    result = work_beside(asked, events.append, CancellationToken())
    assert [event.epoch for event in events if isinstance(event, EpochEnded)] == [1, 2]
    assert (result.encoder / "weights.safetensors").is_file()
    assert not children()
