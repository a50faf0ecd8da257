"""What is exported of the shown answer, and where."""

from dataclasses import replace
from pathlib import Path

import pytest

from napari_mil.exports.cards import FORMATS
from napari_mil.exports.maps import ScaleMode
from napari_mil.gui.model import actions
from napari_mil.gui.model.display import Kind
from napari_mil.gui.model.exporting import (
    ExportForm,
    choose_format,
    choose_path,
    end_export,
    export_source,
    start_export,
    target_of,
)
from napari_mil.gui.model.shown_groups import shown_groups
from tests.gui.model import builders as build

FOLDER = Path("exports")


@pytest.fixture
def state():
    subject = build.slide_subject()
    return build.answered(build.state_of(subject), build.answer(subject, build.card()))


def test_without_an_answer_there_is_nothing_to_export():
    assert export_source(build.state_of(build.slide_subject())) is None


def test_the_shown_prediction_is_exported_with_its_slide(state):
    source = export_source(state)
    answer = state.shown_answer
    assert source.slide is state.current_subject.slide
    for name in ("coords", "attention", "instance_scores", "probabilities"):
        assert getattr(source.prediction, name) is getattr(answer.prediction, name)


def test_pictures_colour_what_the_canvas_colours(state):
    state = actions.choose_kind(state, Kind.ATTENTION)
    state = actions.choose_scale(state, ScaleMode.LOG)
    choices = export_source(state).choices
    assert (choices.column, choices.scale) == (state.column.key, ScaleMode.LOG)


def test_masks_that_were_asked_for_are_exported(state):
    masks = build.mined(len(state.shown_answer.layout))
    answer = state.shown_answer
    state = actions.add_masks(state, answer.subject, answer.classifier, state.display.mining, masks)
    assert export_source(state).prediction.masks is masks


def test_clusters_that_are_shown_are_exported_with_their_numbers(state):
    answer = state.shown_answer
    n = len(answer.layout)
    state = actions.choose_kind(state, Kind.CLUSTERS)
    assert export_source(state).grouping is None, "the tree is not there yet"
    state = actions.add_tree(state, answer.subject, answer.classifier, state.linkage, build.tree(n))
    state = actions.choose_clusters(state, n_clusters=3)
    source = export_source(state)
    assert source.grouping.title == "3 clusters (Ward)"
    groups, _ = shown_groups(state, state.shown_answer)
    for number, group in enumerate(groups, 1):
        assert (source.clusters[group.instances] == number).all()


def test_masks_that_are_shown_are_drawn_and_are_no_clusters(state):
    answer = state.shown_answer
    state = actions.choose_kind(state, Kind.MASKS)
    masks = build.mined(len(answer.layout))
    state = actions.add_masks(state, answer.subject, answer.classifier, state.display.mining, masks)
    source = export_source(state)
    assert source.grouping.title.startswith("masked by ")
    assert source.clusters is None


def test_critical_instances_that_are_shown_are_marked():
    subject = build.slide_subject()
    answer = build.answer(subject, build.card(), critical=True)
    state = build.answered(build.state_of(subject), answer)
    (group,) = export_source(actions.choose_kind(state, Kind.CRITICAL)).grouping.groups
    assert (group.name, group.instances.tolist()) == ("tumour", [0])


def test_a_file_is_called_after_the_slide_and_its_format(state):
    source = export_source(state)
    for card in FORMATS.values():
        path = target_of(ExportForm(card.name, FOLDER), source)
        assert path == FOLDER / f"{source.title}{card.suffixes[0]}"


def test_without_names_a_file_is_called_after_the_fingerprint(state):
    source = export_source(state)
    facts = {"name": "patient", "fingerprint": "a1b2c3d4e5", "dimensions": [1, 1]}
    source = replace(source, prediction=replace(source.prediction, slide=facts))
    assert target_of(ExportForm("csv", FOLDER), source).name == "patient.csv"
    bare = target_of(ExportForm("csv", FOLDER, anonymous=True), source)
    assert bare.name == "slide-a1b2c3d4.csv"


def test_another_format_changes_the_ending_of_a_name_that_was_given():
    form = choose_path(ExportForm("geojson", FOLDER), Path("/else/mine.geojson"))
    assert (form.folder, form.name) == (Path("/else"), "mine.geojson")
    form = choose_format(form, "csv")
    assert form.name == "mine.csv"
    assert choose_format(form, "ome-zarr").name == "mine.ome.zarr"


def test_a_name_without_the_ending_gets_it_in_the_folder_that_is_shown():
    form = choose_path(ExportForm("html", FOLDER), Path("v1.2"))
    assert (form.folder, form.name) == (FOLDER, "v1.2.html")


def test_a_home_folder_is_found():
    form = choose_path(ExportForm("html", FOLDER), Path("~/a.html"))
    assert form.folder == Path.home()


def test_the_end_of_an_export_is_that_of_its_own(state):
    state = start_export(state, "Writing…")
    first = state.export.number
    state = start_export(state, "Writing another…")
    assert end_export(state, first, "Written.").export.is_running
    done = end_export(state, state.export.number, "Written.").export
    assert (done.words, done.is_running, done.subject) == ("Written.", False, state.current)


def test_numbers_of_exports_are_those_of_nothing_else(state):
    numbered = start_export(state, "Writing…")
    assert numbered.export.number == state.next_key
    assert numbered.next_key == state.next_key + 1
