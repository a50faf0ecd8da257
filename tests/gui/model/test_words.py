"""Words of the window."""

import re

import pytest

from napari_mil.errors import Remedy
from napari_mil.gui.model.words import REMEDIES, count, time_left


def test_one_is_no_plural():
    assert (count(1, "tile"), count(0, "tile"), count(3, "tile")) == (
        "1 tile",
        "0 tiles",
        "3 tiles",
    )


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, ""),
        (0.4, ""),
        (42.2, " · 42 s left"),
        (89.0, " · 89 s left"),
        (90.0, " · 2 min left"),
        (3600.0, " · 60 min left"),
    ],
)
def test_time_is_told_in_seconds_and_then_in_minutes(seconds, words):
    assert time_left(seconds) == words


@pytest.mark.parametrize("remedy", Remedy)
def test_every_remedy_is_told_without_words_of_the_command_line(remedy):
    assert REMEDIES[remedy]
    assert not re.search(r"--\w|napari-mil", REMEDIES[remedy])
