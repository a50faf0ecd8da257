"""The Inspect tab: what is coloured, and the selected instance."""

from dataclasses import replace

import numpy as np
import pytest
from qtpy.QtWidgets import QPushButton

from napari_mil.exports.glyphs import Glyph
from napari_mil.exports.maps import ScaleMode
from napari_mil.gui.model.answers import Linkage
from napari_mil.gui.model.display import Kind
from napari_mil.gui.model.snapshots.choices import Choice, Choices
from napari_mil.gui.model.snapshots.inspect import (
    NO_OTHERS,
    NOTHING_YET,
    InspectSnapshot,
    InstanceSnapshot,
)
from napari_mil.gui.views.inspect_tab import PICTURE_PX, InspectTab

SIGNALS = (
    "kind_chosen",
    "name_chosen",
    "scale_chosen",
    "opacity_chosen",
    "visibility_chosen",
    "clusters_chosen",
    "linkage_chosen",
    "strategy_chosen",
    "cancel_requested",
    "step_requested",
    "clear_requested",
)
KINDS = Choices(
    (Choice(Kind.SCORE, "score"), Choice(Kind.CLUSTERS, "clusters"), Choice(Kind.MASKS, "masked")),
    Kind.SCORE,
)
MAP = InspectSnapshot(
    subject="a.svs",
    facts="malignancy · 12 tiles",
    reason="",
    kinds=KINDS,
    names=Choices((Choice("low", "low"), Choice("high", "high")), "low"),
    scales=Choices((Choice(ScaleMode.RAW, "values"), Choice(ScaleMode.RANK, "ranks")), "raw"),
    opacity=0.5,
)
CLUSTERS = replace(
    MAP,
    kinds=replace(KINDS, current=Kind.CLUSTERS),
    names=Choices(),
    scales=Choices(),
    shows_clusters=True,
    n_clusters=3,
    most_clusters=12,
    linkages=Choices((Choice(Linkage.WARD, "Ward"), Choice(Linkage.SINGLE, "single")), "ward"),
    groups=(("1", Glyph("#4477AA"), 7), ("2", Glyph("#EE6677"), 5)),
)
MASKS = replace(
    MAP,
    shows_masks=True,
    strategies=Choices((Choice("mhim", "MHIM"), Choice("r-ham", "R-HAM")), "mhim"),
)


@pytest.fixture
def tab(qtbot):
    made = InspectTab()
    qtbot.addWidget(made)
    made.show()
    made.told = []
    for name in SIGNALS:
        getattr(made, name).connect(lambda *args, name=name: made.told.append((name, *args)))
    return made


def instance(pixels=None, title="Tile 7"):
    return InstanceSnapshot(title, (("score", "0.81, rank 1 of 12"), ("x, y", "10, 20")), pixels)


def test_with_nothing_to_look_into_it_says_what_to_do(tab):
    tab.render(InspectSnapshot())
    assert tab.facts.text() == NOTHING_YET
    assert not tab.kind_box.isVisible()
    assert not tab.instance.isVisible()


def test_rendering_tells_nothing(tab):
    for snapshot in (InspectSnapshot(), MAP, CLUSTERS, replace(MASKS, visible=False), MAP):
        tab.render(snapshot)
    assert tab.told == []


def test_only_rows_of_what_is_coloured_are_seen(tab):
    def seen():
        boxes = ("name_box", "scale_box", "cluster_box", "linkage_box", "strategy_box")
        return {name for name in boxes if getattr(tab, name).isVisible()}

    tab.render(MAP)
    assert seen() == {"name_box", "scale_box"}
    assert tab._form.labelForField(tab.scale_box).isVisible()
    tab.render(CLUSTERS)
    assert seen() == {"cluster_box", "linkage_box"}
    assert not tab._form.labelForField(tab.scale_box).isVisible()
    tab.render(replace(MASKS, names=Choices(), scales=Choices()))
    assert seen() == {"strategy_box"}


def test_choices_of_a_map_are_told(tab):
    tab.render(MAP)
    tab.kind_box.choose(Kind.CLUSTERS)
    tab.name_box.choose("high")
    tab.scale_box.choose(ScaleMode.RANK)
    tab.opacity_slider.setValue(25)
    tab.visible_box.click()
    assert tab.told == [
        ("kind_chosen", Kind.CLUSTERS),
        ("name_chosen", "high"),
        ("scale_chosen", ScaleMode.RANK),
        ("opacity_chosen", 0.25),
        ("visibility_chosen", False),
    ]


def test_choices_of_clusters_and_masks_are_told(tab):
    tab.render(CLUSTERS)
    assert (tab.cluster_box.value(), tab.cluster_box.maximum()) == (3, 12)
    tab.cluster_box.setValue(5)
    tab.linkage_box.choose(Linkage.SINGLE)
    tab.render(MASKS)
    tab.strategy_box.choose("r-ham")
    assert tab.told == [
        ("clusters_chosen", 5),
        ("linkage_chosen", Linkage.SINGLE),
        ("strategy_chosen", "r-ham"),
    ]


def test_what_cannot_be_asked_says_why(tab):
    from qtpy.QtCore import Qt

    alone = Choices((Choice(Kind.SCORE, "score"), Choice(Kind.CLUSTERS, "clusters", NO_OTHERS)))
    tab.render(replace(MAP, kinds=alone))
    assert not tab.kind_box.model().item(1).isEnabled()
    assert NO_OTHERS in tab.kind_box.itemData(1, Qt.ItemDataRole.ToolTipRole)


def test_opacity_and_eye_are_as_on_the_canvas(tab):
    tab.render(replace(MAP, opacity=0.3, visible=False))
    assert tab.opacity_slider.value() == 30
    assert tab.opacity_number.text() == "0.30"
    assert not tab.visible_box.isChecked()


def test_work_on_a_question_can_be_cancelled(tab):
    tab.render(replace(CLUSTERS, working="Growing the tree…", groups=()))
    assert tab.working.isVisible()
    tab.cancel_button.click()
    assert tab.told == [("cancel_requested",)]
    tab.render(CLUSTERS)
    assert not tab.cancel_button.isVisible()
    assert tab.legend.isVisible()


def test_the_selected_instance_is_seen_with_its_values(tab):
    tab.render(replace(MAP, instance=instance()))
    card = tab.instance
    assert card.isVisible()
    assert card.title.text() == "Tile 7"
    assert card.rows.text() == "score: 0.81, rank 1 of 12\nx, y: 10, 20"
    assert card.picture.text() == "…", "it is being read"
    tab.render(MAP)
    assert not card.isVisible()


@pytest.mark.parametrize("shape", [(32, 32), (900, 300), (PICTURE_PX, PICTURE_PX)])
def test_its_picture_keeps_proportions_and_colours(tab, shape):
    pixels = np.full((*shape, 3), (200, 30, 40), np.uint8)
    tab.render(replace(MAP, instance=instance(pixels)))
    pixmap = tab.instance.picture.pixmap()
    height, width = shape
    longest = max(shape)
    assert pixmap.height() == PICTURE_PX * height // longest
    assert abs(pixmap.width() - PICTURE_PX * width / longest) < 1
    colour = pixmap.toImage().pixelColor(5, 5)
    shown = (colour.red(), colour.green(), colour.blue())
    assert shown == pytest.approx((200, 30, 40), abs=8), "a screen of 16 bits rounds"


def test_the_picture_of_another_instance_goes_while_the_next_is_read(tab):
    pixels = np.zeros((8, 8, 3), np.uint8)
    tab.render(replace(MAP, instance=instance(pixels)))
    tab.render(replace(MAP, instance=instance(title="Tile 8")))
    assert tab.instance.picture.text() == "…"


def test_steps_and_clearing_are_told(tab):
    tab.render(replace(MAP, instance=instance()))
    for button in tab.instance.findChildren(QPushButton):
        button.click()
    assert tab.told == [("step_requested", -1), ("step_requested", 1), ("clear_requested",)]


def test_a_long_name_is_elided_and_whole_in_its_tooltip(tab):
    tab.resize(300, 600)
    name = "TCGA-" + "0123456789-" * 30 + ".svs"
    tab.render(replace(MAP, subject=name))
    assert tab.subject.toolTip() == name
    assert tab.subject.text() == name
    assert tab.subject.width() <= 300
