"""The form of a training: numbers as people write them, rows of the method."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_mil.aggregators.cards import AGGREGATORS
from napari_mil.aggregators.mining.cards import STRATEGIES
from napari_mil.gui.model.training_form import (
    ABOVE_0,
    AT_LEAST_0,
    COUNT,
    ENTRIES,
    MINING,
    PLAIN,
    SHARE,
    STREAMS,
    UP_TO_1,
    Form,
    advanced_fields,
    complain,
    config_problem,
    form_of,
    number_text,
    numbers_problem,
    read_number,
    shown_rows,
)


@pytest.mark.parametrize(
    ("text", "number"),
    [("0.5", 0.5), ("0,5", 0.5), (" 1e-4 ", 1e-4), ("", None), ("  ", None), ("fast", "fast")],
)
def test_numbers_are_read_with_a_point_or_a_comma(text, number):
    assert read_number(text, ABOVE_0) == number


@given(st.floats(0, 1e6, allow_subnormal=False))
def test_a_number_is_written_so_that_it_is_read_again(number):
    assert read_number(number_text(number), AT_LEAST_0) == pytest.approx(number, rel=1e-5)


def test_a_whole_number_is_whole():
    assert type(read_number("3", COUNT)) is int
    assert complain("Patience", read_number("3.5", COUNT), COUNT) != ""


@pytest.mark.parametrize(
    ("rule", "good", "bad"),
    [
        (COUNT, "1", "0"),
        (ABOVE_0, "0.1", "0"),
        (AT_LEAST_0, "0", "-0.1"),
        (UP_TO_1, "1", "1.1"),
        (SHARE, "0", "1"),
        (ABOVE_0, "1", "many"),
    ],
)
def test_a_number_out_of_range_is_complained_about_in_a_sentence(rule, good, bad):
    assert complain("Row", read_number(good, rule), rule) == ""
    said = complain("Row", read_number(bad, rule), rule)
    assert said.startswith(f"Row is {rule.words}, not ")


def test_nothing_entered_is_nothing_wrong():
    assert complain("Row", None, COUNT) == ""


def test_the_first_wrong_number_is_named_with_its_row():
    form = Form().with_advanced("tile_px", "0").with_advanced("patience", "x")
    assert numbers_problem(form, {})[1] == "tile_px"
    assert numbers_problem(form, {"tile_px": "settled"})[1] == "patience"
    assert numbers_problem(Form(learning_rate="fast"), {}) == (
        "Learning rate is a number above 0, not 'fast'.",
        "",
    )


def test_a_default_that_comes_back_is_no_change():
    form = Form().with_advanced("validation", 0.3)
    assert form.advanced == {"validation": 0.3}
    assert form.with_advanced("validation", ENTRIES["validation"].default).advanced == {}


def test_another_method_lets_its_recipe_decide_again():
    form = Form().with_advanced("patience", "3").with_advanced("seed", 7)
    assert form.with_method(aggregator="dsmil").advanced == {"seed": 7}


def test_a_method_that_is_not_mined_drops_the_strategy():
    form = Form(aggregator="dsmil", strategy="ham")
    assert form.with_method(aggregator="hamil").strategy == PLAIN


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_only_shares_that_a_strategy_masks_have_rows(strategy):
    rows = shown_rows(Form(strategy=strategy))
    kinds = [name for name in ("high", "low", "random") if name in rows]
    assert set(kinds) == set(STRATEGIES[strategy].kinds)


@pytest.mark.parametrize("aggregator", AGGREGATORS)
def test_a_method_without_mining_has_none_of_its_rows(aggregator):
    rows = shown_rows(Form(aggregator=aggregator))
    assert not set(MINING) & set(rows)
    assert (STREAMS in rows) == AGGREGATORS[aggregator].two_streams


def test_options_of_mining_are_passed_on_as_such():
    form = Form(strategy="ham").with_advanced("high", "0,1").with_advanced("seed", 7)
    fields = advanced_fields(form, {})
    assert fields == {"seed": 7, "strategy_options": {"high": 0.1}}


def test_rows_that_the_method_does_not_have_are_not_passed_on():
    form = Form(advanced={"high": "0.1", "seed": 7})
    assert advanced_fields(form, {}) == {"seed": 7}


def test_a_configuration_that_cannot_be_says_why():
    assert config_problem({"aggregator": "gated-abmil"}) == ""
    assert config_problem({"aggregator": "unheard"})


def test_a_run_is_shown_by_what_differs_from_its_recipe():
    recipe = Form(aggregator="dsmil").recipe
    form = form_of(
        {
            "aggregator": "dsmil",
            "epochs": recipe.epochs,
            "learning_rate": 0.01,
            "seed": 7,
            "validation": 0.2,
        }
    )
    assert form == Form(aggregator="dsmil", learning_rate="0.01", advanced={"seed": 7})


def test_the_recipe_that_is_shown_goes_by_the_encoder_too():
    beside = Form(aggregator="instance-max", encoder="lenet5")
    assert beside.recipe.learning_rate < Form(aggregator="instance-max").recipe.learning_rate
    run = {"aggregator": "instance-max", "encoder": "lenet5"}
    assert form_of({**run, "learning_rate": beside.recipe.learning_rate}) == beside


def test_a_run_without_a_configuration_is_the_default_form():
    assert form_of({}) == Form()
