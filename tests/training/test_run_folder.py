import errno
import json
import os
import subprocess
import sys

import pytest
import torch
from filelock import FileLock

from napari_mil.errors import CancelledError, NapariMilError, OutputError, TrainingError
from napari_mil.training.cohorts.scanning import scan_annotated_folder
from napari_mil.training.config import make_config
from napari_mil.training.run import train
from napari_mil.training.run_folder import RunFolder
from tests.training.runs import cancelling, weights

HOLDER = """
import sys
from filelock import FileLock
lock = FileLock(sys.argv[1])
lock.acquire()
print("held", flush=True)
sys.stdin.read()
"""


def test_a_run_is_not_overwritten_and_not_continued_otherwise(
    cohort, feature_folder, quick, settings, tmp_path
):
    with pytest.raises(CancelledError):
        train(cohort, quick(), out=tmp_path / "run", settings=settings, **cancelling(1))
    checkpoint = (tmp_path / "run" / "checkpoint.pt").read_bytes()
    with pytest.raises(TrainingError, match=r"holds a run already.*resume"):
        train(cohort, quick(), out=tmp_path / "run", settings=settings)
    with pytest.raises(TrainingError, match="started with epochs 4, now 9"):
        train(cohort, quick(epochs=9), out=tmp_path / "run", resume=True, settings=settings)
    other = scan_annotated_folder(feature_folder(n=13, name="other"))
    with pytest.raises(TrainingError, match="bags changed since"):
        train(other, quick(), out=tmp_path / "run", resume=True, settings=settings)
    assert (tmp_path / "run" / "checkpoint.pt").read_bytes() == checkpoint


@pytest.mark.parametrize(
    "name", ["classifier/notes.txt", "config.json", "history.csv", "checkpoint.pt"]
)
def test_files_of_another_origin_are_not_written_over(cohort, quick, settings, tmp_path, name):
    foreign = tmp_path / "run" / name
    foreign.parent.mkdir(parents=True)
    foreign.write_text('{"mine": 1}')
    with pytest.raises(TrainingError, match=name.split("/")[0]):
        train(cohort, quick(), out=tmp_path / "run", settings=settings)
    assert foreign.read_text() == '{"mine": 1}'


def test_a_checkpoint_without_its_configuration_or_its_bags_is_not_gone_on_with(
    cohort, feature_folder, quick, settings, tmp_path
):
    run = tmp_path / "run"
    with pytest.raises(CancelledError):
        train(cohort, quick(), out=run, settings=settings, **cancelling(2))
    contents = {
        name: (run / name).read_bytes() for name in ("config.json", "cohort.json", "checkpoint.pt")
    }
    (run / "config.json").unlink()
    for resume in (False, True):
        with pytest.raises(
            TrainingError, match=r"checkpoint\.pt and history\.csv and cohort\.json, but no run"
        ):
            train(cohort, quick(learning_rate=0.5), out=run, settings=settings, resume=resume)
    (run / "config.json").write_bytes(contents["config.json"])
    (run / "cohort.json").unlink()
    with pytest.raises(TrainingError, match=r"cohort\.json of run cannot be read"):
        train(cohort, quick(), out=run, settings=settings, resume=True)
    (run / "cohort.json").write_bytes(contents["cohort.json"])
    state = torch.load(run / "checkpoint.pt", weights_only=False)
    torch.save({"fitting": {**state["fitting"], "network": {}}}, run / "checkpoint.pt")
    with pytest.raises(TrainingError, match="does not fit its configuration"):
        train(cohort, quick(), out=run, settings=settings, resume=True)


def test_a_refused_run_leaves_nothing_behind(cohort, quick, settings, tmp_path):
    vast = {"aggregator_options": {"hidden": 10**11}}
    for fields in (
        {"device": "foo"},
        {"positive_class": "foo"},
        {"aggregator_options": {"foo": 1}},
        vast,
        {"encoder": "texture"},
    ):
        with pytest.raises(NapariMilError):
            train(cohort, quick(**fields), out=tmp_path / "run", settings=settings)
        assert not (tmp_path / "run").exists(), fields
    (tmp_path / "mine").mkdir()
    with pytest.raises(NapariMilError):
        train(cohort, quick(device="foo"), out=tmp_path / "mine", settings=settings)
    assert (tmp_path / "mine").is_dir(), "a folder that was there stays"


def test_what_a_killed_process_was_writing_is_cleared_away(cohort, quick, settings, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".checkpoint.pt.123.part").write_bytes(b"half")
    train(cohort, quick(epochs=1), out=tmp_path / "run", settings=settings)
    assert not list((tmp_path / "run").glob(".*.part"))


def test_memory_may_be_changed_on_the_way_and_threads_may_not(cohort, quick, settings, tmp_path):
    with pytest.raises(CancelledError):
        train(cohort, quick(), out=tmp_path / "run", settings=settings, **cancelling(1))
    with pytest.raises(TrainingError, match="threads 1, now 2"):
        train(cohort, quick(threads=2), out=tmp_path / "run", settings=settings, resume=True)
    train(cohort, quick(memory_gb=0.5), out=tmp_path / "run", settings=settings, resume=True)
    assert json.loads((tmp_path / "run" / "config.json").read_text())["memory_gb"] == 0.5


def test_a_second_run_in_the_same_folder_is_held_off(cohort, quick, settings, tmp_path):
    (tmp_path / "run").mkdir()
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / "run" / ".lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(TrainingError, match="Another run is at work"):
            train(cohort, quick(), out=tmp_path / "run", settings=settings)
        other.kill()
    train(
        cohort, quick(epochs=1), out=tmp_path / "run", settings=settings
    )  # the lock died with its holder
    assert not FileLock(tmp_path / "run" / ".lock").is_locked


def test_a_full_disk_is_said_and_the_last_checkpoint_stays(
    cohort, quick, settings, tmp_path, monkeypatch
):
    train(cohort, quick(epochs=5), out=tmp_path / "whole", settings=settings)
    written = []
    fsync = os.fsync

    def full_after(descriptor):
        written.append(descriptor)
        if len(written) > 7:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", full_after)
    with pytest.raises(OutputError, match=r"No space left on device.*resume"):
        train(cohort, quick(epochs=5), out=tmp_path / "run", settings=settings)
    monkeypatch.undo()
    assert not [path for path in (tmp_path / "run").iterdir() if path.name.endswith(".part")]
    assert RunFolder(tmp_path / "run").load()["fitting"]["epoch"] >= 1
    train(cohort, quick(epochs=5), out=tmp_path / "run", resume=True, settings=settings)
    assert weights(tmp_path / "whole") == weights(tmp_path / "run")


def test_a_damaged_checkpoint_is_named(cohort, quick, settings, tmp_path):
    with pytest.raises(CancelledError):
        train(cohort, quick(), out=tmp_path / "run", settings=settings, **cancelling(1))
    (tmp_path / "run" / "checkpoint.pt").write_bytes(b"nothing")
    with pytest.raises(TrainingError, match="checkpoint of run cannot be read"):
        train(cohort, quick(), out=tmp_path / "run", resume=True, settings=settings)


def test_resume_keeps_every_setting_that_was_not_named(cohort, quick, settings, tmp_path):

    config = quick(aggregator="dsmil", aggregator_options={}, epochs=3)
    train(cohort, config, out=tmp_path / "whole", settings=settings)
    with pytest.raises(CancelledError):
        train(cohort, config, out=tmp_path / "cut", settings=settings, **cancelling(1))
    train(cohort, make_config(), out=tmp_path / "cut", resume=True, settings=settings)
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")
    assert train(
        cohort, make_config(), out=tmp_path / "cut", resume=True, settings=settings
    ).already_done
