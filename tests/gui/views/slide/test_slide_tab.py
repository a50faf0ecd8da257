"""The Slide tab: facts, names, scale and tissue of what is shown."""

import pytest

from napari_mil.gui.model.snapshots.choices import Choice, Choices
from napari_mil.gui.model.snapshots.slide import SlideSnapshot
from napari_mil.gui.views.slide.slide_tab import SlideTab

SUBJECTS = Choices((Choice(1, "a.svs"), Choice(2, "b.svs")), 1)
SIGNALS = ("subject_chosen", "close_requested", "rendition_chosen", "tissue_requested")


@pytest.fixture
def tab(qtbot):
    made = SlideTab()
    qtbot.addWidget(made)
    made.show()
    made.told = []
    for name in (*SIGNALS, "open_requested", "folder_requested", "instance_chosen"):
        getattr(made, name).connect(lambda *args, name=name: made.told.append((name, *args)))
    return made


def of_slide(**fields):
    return SlideSnapshot(SUBJECTS, has_scale=True, **{"mpp": 0.5, **fields})


def facts_of(tab):
    form = tab._facts
    rows = range(form.rowCount())
    roles = (form.ItemRole.LabelRole, form.ItemRole.FieldRole)
    return [tuple(form.itemAt(k, role).widget().text() for role in roles) for k in rows]


def test_facts_are_seen_and_those_of_the_last_subject_are_gone(tab):
    tab.render(of_slide(facts=(("Name", "a.svs"), ("Size", "4000 × 3000 px"))))
    tab.render(of_slide(facts=(("Name", "b.svs"),)))
    assert facts_of(tab) == [("Name", "b.svs")]


def test_a_long_fact_is_elided_and_whole_in_its_tooltip(tab):
    name = "TCGA-" + "0123456789-" * 30 + ".svs"
    tab.resize(300, 600)
    tab.render(of_slide(facts=(("Name", name),)))
    form = tab._facts
    shown = form.itemAt(0, form.ItemRole.FieldRole).widget()
    assert shown.toolTip() == name
    assert shown.minimumSizeHint().width() < 300


def test_rendering_tells_nothing(tab):
    tab.render(of_slide(names=("0.png", "1.png"), facts=(("Name", "a.svs"),), remarks=("Odd.",)))
    tab.render(of_slide(mpp=0.25, names=("2.png",)))
    tab.render(SlideSnapshot(Choices()))
    assert tab.told == []


def test_buttons_tell_what_is_wanted(tab):
    tab.render(of_slide())
    tab.open_button.click()
    tab.folder_button.click()
    tab.close_button.click()
    tab.tissue_button.click()
    tab.subject_box.choose(2)
    assert tab.told == [
        ("open_requested",),
        ("folder_requested",),
        ("close_requested",),
        ("tissue_requested",),
        ("subject_chosen", 2),
    ]


def test_scale_and_tissue_are_of_slides_alone(tab):
    tab.render(of_slide(tissue="12% of the slide"))
    assert tab.scale.field.isVisible()
    assert tab.tissue_line.text() == "12% of the slide"
    tab.render(SlideSnapshot(SUBJECTS))
    assert not tab.scale.field.isVisible()
    assert not tab.tissue_button.isVisible()


def test_tissue_is_looked_for_once_at_a_time(tab):
    tab.render(of_slide(detects_tissue=True, tissue="12% of the slide"))
    assert not tab.tissue_button.isEnabled()
    assert tab.tissue_line.text() == "Looking for tissue…"
    tab.render(of_slide())
    assert tab.tissue_button.isEnabled()
    assert not tab.tissue_line.isVisible()


def test_names_of_images_are_listed_and_told_by_their_number(tab):
    tab.render(SlideSnapshot(SUBJECTS, names=("0.png", "1.png", "2.png")))
    assert tab.names.isVisible()
    tab.names.setCurrentRow(2)
    assert tab.told == [("instance_chosen", 2)]
    tab.render(SlideSnapshot(SUBJECTS))
    assert tab.names.count() == 0
    assert not tab.names.isVisible()


def test_without_images_no_empty_list_is_seen(tab):
    tab.render(of_slide())
    assert not tab.names.isVisible()


def test_remarks_are_seen_while_there_are_any(tab):
    tab.render(of_slide(remarks=("Odd.", "Odder.")))
    assert tab._remarks.text() == "Odd.\nOdder."
    assert tab._remarks.isVisible()
    tab.render(of_slide())
    assert not tab._remarks.isVisible()
