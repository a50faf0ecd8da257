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
    made.changed.connect(made.told.append)
    made.render(ROWS)
    made.show()
    return made


def test_rendering_tells_nothing(card):
    card.render((row("DAPI", visible=False), ROWS[1]))
    assert card.told == []
    assert [box.isChecked() for box in card.boxes] == [False, True]


def test_a_slide_without_channels_shows_no_card(card):
    card.render(())
    assert not card.isVisible()


def test_a_channel_is_switched_off_alone(card):
    card.boxes[0].click()
    ((first, second),) = card.told
    assert (first.visible, second.visible) == (False, True)
    assert first.channel == ROWS[0].shown.channel


def test_a_channel_takes_another_colour(card):
    card.set_colour(1, (255, 0, 0))
    ((first, second),) = card.told
    assert second.channel.colour == (255, 0, 0)
    assert first.channel.colour == (0, 0, 255)


def test_a_range_is_told_once_the_slider_rests(card, qtbot):
    card.sliders[0].setValue((20.0, 100.0))
    card.sliders[0].setValue((20.0, 120.0))
    assert card.told == []
    qtbot.waitUntil(lambda: bool(card.told))
    ((first, _),) = card.told
    assert first.channel.range == pytest.approx((20.0, 120.0))


def test_a_range_never_closes(card, qtbot):
    card.sliders[0].setValue((50.0, 50.0))
    qtbot.waitUntil(lambda: bool(card.told))
    low, high = card.told[0][0].channel.range
    assert low < high


def test_another_slide_has_other_rows(card):
    card.render((row("Cy3"),))
    assert [box.text() for box in card.boxes] == ["Cy3"]
