import threading

import pytest

from napari_mil.errors import NapariMilError
from napari_mil.events import Advanced, Fallback, Started
from napari_mil.gui import jobs
from napari_mil.gui.jobs import ABANDONED_AFTER_MS, JobRunner


@pytest.fixture
def runner(qapp):
    made = JobRunner()
    yield made
    made.close()


def heard(job):
    log = []
    job.event_happened.connect(lambda event: log.append(event))
    job.succeeded.connect(lambda result: log.append(("succeeded", result)))
    job.failed.connect(lambda sentence, details: log.append(("failed", sentence, bool(details))))
    job.cancelled.connect(lambda: log.append("cancelled"))
    job.ended.connect(lambda: log.append("ended"))
    return log


def test_work_runs_beside_the_event_loop_and_is_heard_in_it(runner, qtbot):
    threads = {}

    def work(on_event, cancel):
        threads["work"] = threading.get_ident()
        on_event(Started(3))
        return 42

    job = runner.start("kind", work)
    job.event_happened.connect(lambda _: threads.setdefault("window", threading.get_ident()))
    log = heard(job)
    qtbot.waitUntil(lambda: "ended" in log, timeout=60_000)
    assert log == [Started(3), ("succeeded", 42), "ended"]
    assert threads["window"] == threading.get_ident() != threads["work"]
    assert not runner.is_running("kind")


def test_a_flood_of_progress_reaches_the_window_as_a_trickle(runner, qtbot):
    def work(on_event, cancel):
        on_event(Fallback("kept"))
        for k in range(20_000):
            on_event(Advanced(k, 1.0, None))
        on_event(Fallback("kept too"))

    log = heard(runner.start("kind", work))
    qtbot.waitUntil(lambda: "ended" in log, timeout=60_000)
    progress = [event for event in log if isinstance(event, Advanced)]
    assert progress[-1].done == 19_999
    assert len(progress) < 200
    assert [event.message for event in log if isinstance(event, Fallback)] == ["kept", "kept too"]


def test_a_fault_of_the_input_is_one_sentence_and_a_defect_has_details(runner, qtbot):
    def refuse(on_event, cancel):
        raise NapariMilError("scan_07.svs has no resolution.")

    def break_down(on_event, cancel):
        return 1 / 0

    first = heard(runner.start("a", refuse))
    second = heard(runner.start("b", break_down))
    qtbot.waitUntil(lambda: "ended" in first and "ended" in second, timeout=60_000)
    assert first[0] == ("failed", "scan_07.svs has no resolution.", False)
    assert second[0] == (
        "failed",
        "This is a defect of napari-mil: ZeroDivisionError: division by zero",
        True,
    )


def wait_for_cancel(on_event, cancel):
    while True:
        cancel.raise_if_cancelled()


def test_a_new_job_of_a_kind_replaces_the_one_that_runs(runner, qtbot):
    first = heard(runner.start("kind", wait_for_cancel))
    qtbot.wait(50)
    second = heard(runner.start("kind", lambda on_event, cancel: "new"))
    qtbot.waitUntil(lambda: "ended" in first and "ended" in second, timeout=60_000)
    assert first == ["cancelled", "ended"]
    assert second[0] == ("succeeded", "new")


def test_closing_silences_what_still_runs(qapp, qtbot):
    runner = JobRunner()
    log = heard(runner.start("kind", wait_for_cancel))
    qtbot.wait(50)
    runner.close()
    qtbot.wait(100)
    assert log == []


def test_work_that_does_not_stop_is_left_to_itself_half_a_second_after_cancel(runner, qtbot):
    stop = threading.Event()
    log = heard(runner.start("kind", lambda on_event, cancel: stop.wait(60)))
    qtbot.wait(50)
    runner.cancel("kind")
    qtbot.waitUntil(lambda: "ended" in log, timeout=30_000)
    assert log == ["cancelled", "ended"]
    assert not runner.is_running("kind")
    stop.set()
    qtbot.wait(100)
    assert log == ["cancelled", "ended"], "what it comes to in the end is not heard"


def test_a_patient_job_is_waited_for_after_cancel(runner, qtbot):
    stop = threading.Event()
    log = heard(runner.start("kind", lambda on_event, cancel: stop.wait(60), patient=True))
    qtbot.wait(50)
    runner.cancel("kind")
    qtbot.wait(2 * ABANDONED_AFTER_MS)
    assert runner.is_running("kind")
    stop.set()
    qtbot.waitUntil(lambda: "ended" in log, timeout=30_000)
    assert log == [("succeeded", True), "ended"]


def test_a_fault_after_cancel_is_a_consequence_and_not_told(runner, qtbot):
    def fail_when_cancelled(on_event, cancel):
        while not cancel.cancelled:
            pass
        raise NapariMilError("scan_07.svs was closed.")

    log = heard(runner.start("kind", fail_when_cancelled))
    qtbot.wait(50)
    runner.cancel("kind")
    qtbot.waitUntil(lambda: "ended" in log, timeout=30_000)
    assert log == ["cancelled", "ended"]


def test_closing_does_not_wait_for_work_that_does_not_end(qapp, monkeypatch):
    monkeypatch.setattr(jobs, "CLOSING_WAIT_S", 0.1)
    runner = JobRunner()
    stop = threading.Event()
    job = runner.start("kind", lambda on_event, cancel: stop.wait(60))
    job.start()
    assert not runner.close()
    assert runner.left_behind
    stop.set()
    assert job.wait(30)


def test_closing_waits_for_work_that_was_left_to_itself(qapp, qtbot):
    runner = JobRunner()
    release = threading.Event()
    done = []

    def work(tell, cancel):
        release.wait(10)
        done.append(True)

    job = runner.start("slow", work)
    qtbot.wait(50)
    runner.cancel("slow")
    qtbot.waitUntil(lambda: not runner.busy, timeout=5000)
    assert not done, "it was left to itself"
    threading.Timer(0.2, release.set).start()
    assert runner.close()
    assert done
    assert not runner.left_behind
    assert job is not None
