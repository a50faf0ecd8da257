"""Pictures of instances are read once, in order, and the newest are kept."""

import numpy as np
import pytest

from napari_mil.errors import NapariMilError
from napari_mil.gui import instance_pictures as module
from napari_mil.gui.instance_pictures import Thumbnails
from tests.gui.model.builders import images_subject
from tests.gui.training import FakeJobs


class Room:
    def __init__(self, monkeypatch):
        self.jobs = FakeJobs()
        self.read = []
        self.shown = []
        self.reported = []
        self.fault = None
        monkeypatch.setattr(module, "instance_thumbnail", self.read_one)
        self.subject = images_subject(n=20)
        self.thumbnails = Thumbnails(
            self.jobs,
            "pictures",
            lambda instance, pixels: self.shown.append((instance, int(pixels[0, 0, 0]))),
            lambda text, details: self.reported.append(text),
        )

    def read_one(self, subject, layout, instance):
        if self.fault is not None:
            raise self.fault
        self.read.append(instance)
        return np.full((4, 4, 3), instance, np.uint8)

    def request(self, *instances):
        self.thumbnails.request(self.subject, self.subject.layout, instances)


@pytest.fixture
def room(monkeypatch):
    return Room(monkeypatch)


def test_what_was_read_before_is_shown_at_once_and_the_rest_is_read_in_order(room):
    room.request(5, 3)
    room.jobs.run()
    assert room.shown == [(5, 5), (3, 3)]
    room.request(3, 8, 1)
    assert room.shown[2:] == [(3, 3)]
    room.jobs.run()
    assert room.read == [5, 3, 8, 1]


def test_a_new_request_replaces_the_one_that_is_read(room):
    room.request(5)
    first = room.jobs.current("pictures")
    room.request(6)
    assert first.token.cancelled
    room.jobs.run()
    assert room.read == [6]


def test_the_newest_are_kept(room, monkeypatch):
    monkeypatch.setattr(module, "MOST_KEPT", 2)
    room.request(1, 2, 3)
    room.jobs.run()
    room.request(3, 1)
    room.jobs.run()
    assert room.read == [1, 2, 3, 1]


def test_a_fault_is_reported(room):
    room.fault = NapariMilError("The disk is gone.")
    room.request(1)
    room.jobs.run()
    assert room.reported == ["The disk is gone."]
