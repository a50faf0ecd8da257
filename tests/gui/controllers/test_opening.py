"""One batch of paths after the other is opened, and what comes of it is shown."""

from pathlib import Path
from types import SimpleNamespace
from unittest.mock import MagicMock

import numpy as np
import pytest

from napari_mil.gui.controllers import opening as module
from napari_mil.gui.controllers.opening import OPEN_JOB, THUMBNAILS_JOB, OpeningController
from napari_mil.gui.model import actions
from napari_mil.gui.model.recognition import PathKind
from napari_mil.gui.model.session import Session
from napari_mil.gui.model.subjects import AnnotationLayer, SubjectKind
from napari_mil.gui.opening import (
    OpenedAnnotations,
    OpenedClassifier,
    OpenedSubject,
    OpenedTraining,
    OpenedWorklist,
    Refused,
)
from napari_mil.gui.views.notice_board import NoticeBoard
from napari_mil.settings import Settings
from tests.gui.model.builders import FakeSlide, card, pixels, slide_subject
from tests.gui.training import FakeJobs, emit


class FakeOpener:
    """Opens paths as a test says, by their names; all others are slides."""

    def __init__(self, said, asked, options):
        self._said = said
        self._asked = asked
        self.options = options

    def open(self, path, cancel):
        cancel.raise_if_cancelled()
        self._asked.append((path.name, self.options))
        said = self._said.get(path.name)
        if isinstance(said, Exception):
            raise said
        return [slide(path)] if said is None else said


def slide(path, **fields):
    kind = SubjectKind.SLIDE
    return OpenedSubject(path.stem, kind, path, pixels(), slide=FakeSlide(path), **fields)


@pytest.fixture
def room(monkeypatch):
    made = SimpleNamespace(
        session=Session(),
        view=MagicMock(spec=NoticeBoard),
        jobs=FakeJobs(),
        take_training=MagicMock(),
        take_worklist=MagicMock(),
        show_classify=MagicMock(),
        said={},
        asked=[],
    )
    monkeypatch.setattr(
        module, "Opener", lambda **options: FakeOpener(made.said, made.asked, options)
    )
    made.controller = OpeningController(
        made.session,
        made.view,
        made.jobs,
        Settings(),
        made.take_training,
        made.take_worklist,
        made.show_classify,
    )
    return made


def open_now(room, *names, mpp=None):
    room.controller.open([Path(name) for name in names], mpp)
    room.jobs.run()


def names(room):
    return [subject.name for subject in room.session.state.subjects]


def notices(room):
    return [notice.text for notice in room.session.state.notices]


def test_what_is_opened_is_shown_with_all_that_is_known_of_it(room):
    opened = slide(Path("a.svs"), remarks=("Odd.",))
    room.said["a.svs"] = [opened]
    open_now(room, "a.svs")
    subject = room.session.state.current_subject
    assert (subject.name, subject.path, subject.remarks) == ("a", Path("a.svs"), ("Odd.",))
    assert subject.slide is opened.slide
    assert subject.pixels is opened.pixels


def test_one_bad_path_leaves_the_others(room):
    room.said["b.svs"] = [Refused("b.svs is damaged.")]
    open_now(room, "a.svs", "b.svs", "c.svs")
    assert names(room) == ["a", "c"]
    assert notices(room) == ["b.svs is damaged."]
    assert room.session.state.opening == ()


def test_what_is_open_is_chosen_rather_than_opened_twice(room):
    open_now(room, "a.svs", "b.svs")
    open_now(room, "a.svs")
    assert names(room) == ["a", "b"]
    assert room.session.state.current_subject.name == "a"
    assert [name for name, _ in room.asked] == ["a.svs", "b.svs"]


def test_with_a_scale_what_is_open_is_opened_anew(room):
    open_now(room, "a.svs")
    open_now(room, "a.svs", mpp=0.25)
    assert [options["slide_mpp"] for _, options in room.asked] == [None, 0.25]


def test_every_path_is_said_until_it_is_opened(room):
    room.controller.open([Path("a.svs"), Path("b.svs")])
    assert room.session.state.opening == ("a.svs", "b.svs")
    room.jobs.current(OPEN_JOB).event_happened.emit(Path("a.svs"))
    assert room.session.state.opening == ("b.svs",)


def test_a_second_drop_waits_for_the_first(room):
    room.controller.open([Path("a.svs")])
    room.controller.open([Path("b.svs")])
    assert len(room.jobs.waiting) == 1
    assert room.session.state.opening == ("a.svs", "b.svs")
    room.jobs.run()
    assert names(room) == ["a", "b"]
    assert room.session.state.opening == ()


def test_cancelling_ends_everything_that_is_said_to_be_opened(room):
    room.controller.open([Path("a.svs"), Path("b.svs")])
    room.controller.open([Path("c.svs")])
    emit(room.view.cancel_requested)
    assert room.session.state.opening == ("a.svs", "b.svs"), "until the work has stopped"
    room.jobs.run()
    assert room.session.state.opening == ()
    assert names(room) == []
    open_now(room, "d.svs")
    assert names(room) == ["d"]


def test_with_nothing_to_cancel_nothing_happens(room):
    before = room.session.state
    emit(room.view.cancel_requested)
    assert room.session.state is before


def test_a_defect_in_one_batch_is_a_notice_and_the_next_one_opens(room):
    room.said["a.svs"] = RuntimeError("oh")
    room.controller.open([Path("a.svs")])
    room.controller.open([Path("b.svs")])
    room.jobs.run()
    assert notices(room) == ["This is a defect: oh"]
    assert names(room) == ["b"]
    assert room.session.state.opening == ()


def test_features_find_the_slides_that_are_open(room):
    open_now(room, "a.svs")
    open_now(room, "a.h5")
    options = room.asked[-1][1]
    assert [each.path for each in options["slides"]] == [Path("a.svs")]


def test_annotations_count_from_the_slide_that_is_shown_and_without_one_from_nowhere(room):
    open_now(room, "a.geojson")
    slide = FakeSlide(bounds=(300, 200, 4000, 3000))
    room.session.apply(actions.add_subject, slide_subject(slide=slide))
    open_now(room, "b.geojson")
    assert [options["origin"] for _, options in room.asked] == [None, (300.0, 200.0)]


def test_a_classifier_becomes_the_chosen_one_and_its_tab_is_shown(room):
    room.said["mine"] = [OpenedClassifier(card("mine"))]
    open_now(room, "mine")
    assert room.session.state.classifier == "mine"
    room.show_classify.assert_called_once_with()


def test_runs_and_annotated_folders_go_to_the_train_tab(room):
    room.said["run"] = [OpenedTraining(Path("run"), PathKind.RUN)]
    open_now(room, "run")
    room.take_training.assert_called_once_with(Path("run"), PathKind.RUN)


def test_results_and_lists_of_slides_go_to_the_worklist(room):
    room.said["results"] = [OpenedWorklist(Path("results"))]
    open_now(room, "results")
    room.take_worklist.assert_called_once_with(Path("results"))


def test_annotations_lie_over_the_slide_that_is_shown(room):
    layer = AnnotationLayer("regions.geojson", np.empty((0, 2, 2)), (), 0)
    room.said["regions.geojson"] = [OpenedAnnotations(layer, ("One region has no area.",))]
    room.session.apply(actions.add_subject, slide_subject())
    open_now(room, "regions.geojson")
    assert room.session.state.current_subject.annotations == (layer,)
    assert notices(room) == ["One region has no area."]


def test_a_fault_of_reading_later_is_a_notice(room):
    open_now(room, "a.svs")
    report = room.asked[-1][1]["report"]
    report("a.svs cannot be read any more.")
    room.jobs.run()
    assert notices(room) == ["a.svs cannot be read any more."]


def test_a_notice_is_closed_by_its_key(room):
    for text in ("one", "two"):
        room.session.apply(actions.add_notice, text)
    emit(room.view.close_requested, room.session.state.notices[0].key)
    assert notices(room) == ["two"]


class FakeMosaic:
    """An arrangement that knows whether its thumbnails were made."""

    def __init__(self):
        self.made = False
        self.finished = pixels()

    def make_thumbnails(self, cancel):
        cancel.raise_if_cancelled()
        self.made = True

    def pixels(self):
        return self.finished


def images(name, mosaic):
    kind = SubjectKind.IMAGES
    return OpenedSubject(name, kind, Path(name), pixels(), slide=FakeSlide(), mosaic=mosaic)


def test_thumbnails_that_are_missing_are_finished_one_bag_after_the_other(room):
    mosaics = {name: FakeMosaic() for name in ("first", "second")}
    for name, mosaic in mosaics.items():
        room.said[name] = [images(name, mosaic)]
    open_now(room, "first", "second")
    assert all(mosaic.made for mosaic in mosaics.values())
    shown = [subject.pixels for subject in room.session.state.subjects]
    assert shown == [mosaic.finished for mosaic in mosaics.values()]
    assert not room.jobs.is_running(THUMBNAILS_JOB)


def test_a_bag_that_was_closed_meanwhile_does_not_come_back(room):
    room.said["bag"] = [images("bag", FakeMosaic())]
    room.controller.open([Path("bag")])
    job = room.jobs.current(OPEN_JOB)
    job.run()
    room.jobs.waiting.remove(job)
    job.ended.emit()
    assert room.jobs.is_running(THUMBNAILS_JOB)
    room.session.apply(actions.close_subject, room.session.state.current)
    room.jobs.run()
    assert names(room) == []
