"""Which column is coloured, and by which scale."""

import pytest

from napari_mil.exports.maps import ScaleMode
from napari_mil.gui.model.display import (
    Column,
    Display,
    Kind,
    Look,
    Role,
    can_be_mined,
    chosen_column,
    columns_of,
    default_column,
    scale_of,
)
from tests.gui.model import builders as build

KEYS = ["attention_1", "attention_2", "score_low", "score_high", "similarity", "unlike"]
COLUMNS = columns_of(KEYS, ("low", "middle", "high"))


def test_columns_are_named_by_kind_and_class_or_head():
    titles = [column.title for column in COLUMNS]
    assert titles == [
        "attention: 1",
        "attention: 2",
        "score: low",
        "score: high",
        "similarity",
        "unlike",
    ]


def test_of_two_classes_the_score_of_the_first_is_left_out():
    columns = columns_of(["score_normal", "score_tumour"], ("normal", "tumour"))
    assert [column.name for column in columns] == ["tumour"]


def test_columns_that_are_no_map_are_left_out():
    assert columns_of(["x", "masked_high"], ()) == []


def test_a_score_is_shown_first_and_attention_without_one():
    assert default_column(COLUMNS).key == "score_low"
    assert default_column(COLUMNS[:2]).key == "attention_1"
    assert default_column([]) is None


@pytest.mark.parametrize(
    ("kind", "name", "key"),
    [
        (None, "", "score_low"),
        (Kind.ATTENTION, "", "attention_1"),
        (Kind.ATTENTION, "2", "attention_2"),
        (Kind.SCORE, "unheard", "score_low"),
        (Kind.SIMILARITY, "", "similarity"),
    ],
)
def test_a_display_chooses_a_column_by_kind_and_name(kind, name, key):
    assert chosen_column(Display(kind=kind, name=name), COLUMNS).key == key


def test_an_answer_without_the_chosen_values_shows_what_it_has():
    columns = columns_of(["attention"], ())
    assert chosen_column(Display(kind=Kind.SCORE), columns).key == "attention"


@pytest.mark.parametrize("kind", [Kind.CLUSTERS, Kind.MASKS, Kind.CRITICAL, Kind.TRAINING])
def test_groups_and_marks_are_no_column(kind):
    assert chosen_column(Display(kind=kind), COLUMNS) is None


def test_scores_are_shown_as_they_are_and_everything_else_by_rank():
    assert scale_of(Display(), Kind.UNLIKE) is ScaleMode.RAW
    assert scale_of(Display(), Kind.SCORE) is ScaleMode.RAW
    assert scale_of(Display(), Kind.ATTENTION) is ScaleMode.RANK
    assert scale_of(Display(scale=ScaleMode.LOG), Kind.SCORE) is ScaleMode.LOG


def test_a_look_changes_only_what_it_says():
    display = Display().with_look(Role.OVERLAY, Look(opacity=0.4, colormap="magma"))
    display = display.with_look(Role.OVERLAY, Look(visible=False))
    assert display.look(Role.OVERLAY) == Look(False, 0.4, "magma")
    assert display.look(Role.GROUPS) == Look()


def test_a_classifier_that_is_not_mined_says_why():
    assert can_be_mined(build.card(), ["gated-abmil"]) == ""
    assert can_be_mined(build.card(aggregator="hamil"), ["dsmil", "transmil"]) == (
        "Masked mining is made for dsmil, transmil; this is hamil."
    )


def test_a_column_with_one_head_is_titled_by_its_kind():
    assert Column(Kind.ATTENTION, "", "attention").title == "attention"
