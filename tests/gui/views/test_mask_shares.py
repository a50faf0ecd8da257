"""Sliders of the shares that mining masks."""

import pytest

from napari_mil.gui.model.snapshots.inspect import ShareSnapshot
from napari_mil.gui.views.mask_shares import ShareSliders

SHARES = (ShareSnapshot("high", 0.01, "of the highest"), ShareSnapshot("random", 0.5, "at random"))


@pytest.fixture
def sliders(qtbot):
    made = ShareSliders()
    qtbot.addWidget(made)
    made.render(SHARES, published=True)
    made.show()
    return made


@pytest.fixture
def told(sliders):
    heard = []
    sliders.share_chosen.connect(lambda kind, share: heard.append((kind, share)))
    return heard


def test_the_kinds_of_the_strategy_have_sliders_at_their_shares(sliders):
    assert [kind for kind, slider in sliders.sliders.items() if slider.isVisible()] == [
        "high",
        "random",
    ]
    assert sliders.numbers["high"].text() == "1 %"
    assert sliders.sliders["random"].value() == sliders.sliders["random"].maximum() // 2 + 1
    assert not sliders.published_button.isVisible()


def test_a_share_is_told_once_after_the_slider_rests(sliders, told, qtbot):
    for value in (10, 20, 30):
        sliders.sliders["high"].setValue(value)
    assert told == []
    assert sliders.numbers["high"].text() == "15 %"
    qtbot.waitUntil(lambda: bool(told))
    assert told == [("high", 0.15)]


def test_two_sliders_are_both_told(sliders, told, qtbot):
    sliders.sliders["high"].setValue(4)
    sliders.sliders["random"].setValue(20)
    qtbot.waitUntil(lambda: len(told) == 2)
    assert told == [("high", 0.02), ("random", 0.1)]


def test_a_slider_that_is_moved_stays_where_it_is(sliders):
    sliders.sliders["high"].setValue(40)
    sliders.render(SHARES, published=False)
    assert sliders.sliders["high"].value() == 40
    assert sliders.published_button.isVisible()
