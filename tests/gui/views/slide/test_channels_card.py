"""The channels of a fluorescence slide: shown, coloured, stretched."""

import pytest

from napari_mil.gui.model.snapshots.slide import ChannelRow
from napari_mil.gui.views.slide.channels_card import ChannelsCard
from napari_mil.slides import Channel
from napari_mil.slides.rendition import ShownChannel


def row(name, *, visible=True, colour=(0, 0, 255), limits=(0.0, 255.0)):
    channel = Channel(name, colour, (10.0, 200.0), "uint8")
    return ChannelRow(ShownChannel(channel, visible), limits)


ROWS = (row("DAPI"), row("FITC", colour=(0, 255, 0)))


@pytest.fixture
def card(qtbot):
    made = ChannelsCard()
    qtbot.addWidget(made)
    made.told = []
    made.changed.connect(lambda key, channels: made.told.append((key, *channels)))
    made.render(1, ROWS)
    made.show()
    return made


def test_rendering_tells_nothing(card):
    card.render(1, (row("DAPI", visible=False), ROWS[1]))
    assert card.told == []
    assert [box.isChecked() for box in card.boxes] == [False, True]


def test_a_slide_without_channels_shows_no_card(card):
    card.render(1, ())
    assert not card.isVisible()


def test_a_channel_is_switched_off_alone(card):
    card.boxes[0].click()
    ((_, first, second),) = card.told
    assert (first.visible, second.visible) == (False, True)
    assert first.channel == ROWS[0].shown.channel


def test_a_channel_takes_another_colour(card):
    card.set_colour(1, (255, 0, 0))
    ((_, first, second),) = card.told
    assert second.channel.colour == (255, 0, 0)
    assert first.channel.colour == (0, 0, 255)


def test_a_range_is_told_once_the_slider_rests(card, qtbot):
    card.sliders[0].setValue((20.0, 100.0))
    card.sliders[0].setValue((20.0, 120.0))
    assert card.told == []
    qtbot.waitUntil(lambda: bool(card.told))
    ((_, first, _),) = card.told
    assert first.channel.range == pytest.approx((20.0, 120.0))


def test_a_range_never_closes(card, qtbot):
    card.sliders[0].setValue((50.0, 50.0))
    qtbot.waitUntil(lambda: bool(card.told))
    low, high = card.told[0][1].channel.range
    assert low < high


def test_another_slide_has_other_rows(card):
    card.render(2, (row("Cy3"),))
    assert [box.text() for box in card.boxes] == ["Cy3"]


def test_what_was_dragged_is_told_of_its_slide_when_another_is_shown(card, qtbot):
    card.sliders[0].setValue((20.0, 100.0))
    card.render(2, (row("Cy3"),))
    ((key, first, _),) = card.told
    assert key == 1
    assert first.channel.range == pytest.approx((20.0, 100.0))
    qtbot.wait(200)
    assert len(card.told) == 1
    assert [box.text() for box in card.boxes] == ["Cy3"]
