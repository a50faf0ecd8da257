"""Columns of labels that hold no classes."""

import pytest

from napari_mil.training.cohorts.tables.measurements import (
    NoClasses,
    look_like_a_measurement,
    why_no_classes,
)


@pytest.mark.parametrize(
    ("labels", "is_measurement"),
    [
        (["4.9", "4.1", "3.6", "2.6", "2.7"], True),
        ([str(k) for k in range(12)], True),
        (["0", "1"] * 50, False),
        (["1", "2", "3", "4", "5"] * 10, False),
        (["3", "3.5", "4", "4.5", "5"] * 10, True),
        (["a", "1.5", "2.5", "3.5", "4.5", "5.5"], False),
        (["0.5", "1.5"], False),
        (["0,5", "1,5", "2,5", "3,5", "4,5"] * 10, True),
        ([str(k) for k in range(40, 50)] * 2, True),
        ([str(k) for k in range(10)] * 5, False),
        (["45 y", "51 y", "62 y", "70 y", "33 y"], True),
        (["12%", "5 %", "34%", "22%", "71"], True),
        (["<1", "5", "34", ">100", "71"], True),
        (["0.12", "0.5", "3.4", "2.2"] * 3, True),
        ([str(k) for k in range(40, 48)] * 5, True),
        (["33", "41", "52", "60", "78", "85"] * 20, True),
        (["2019", "2020", "2021"] * 10, True),
        (["2019", "2020"] * 10, False),
        (["6", "7", "8", "9", "10"] * 10, False),
        ([str(k) for k in range(2, 11)] * 10, False),
        (["0", "1", "2", "3", "4", "5"] * 4, False),
        (["0", "1+", "2+", "3+"] * 3, False),
        (["1a", "1b", "2a", "2b", "3"] * 3, False),
        (["0", "0.5", "1"] * 5, False),
        (["3", "3.5", "4", "4.5"] * 5, False),
        (["8140", "8500", "8520", "8480", "8575"] * 10, False),
        (["101", "102", "103", "104", "105"] * 6, False),
        (["8480", "8500", "8503", "8510", "8520"] * 6, False),
        ([str(k) for k in range(7)] * 4, False),
        ([str(k) for k in range(8)], True),
        (["3+3", "3+4", "4+3", "4+4", "4+5"] * 3, False),
    ],
)
def test_numbers_of_a_scale_are_told_from_grades(labels, is_measurement):
    assert look_like_a_measurement(labels) is is_measurement


@pytest.mark.parametrize(
    ("labels", "why"),
    [
        (["2020-01-01", "2020-01-02"] * 5, NoClasses.DATES),
        (["1.2.2020", "13.2.2020", "1.12.19"] * 5, NoClasses.DATES),
        (["01/02/2020 10:00", "01/03/2020 11:30:00"] * 5, NoClasses.DATES),
        (["2020-01-01", "none yet"] * 5, None),
        ([f"id{k}" for k in range(10)], NoClasses.SINGLE_BAGS),
        ([f"class {k}" for k in range(9)], None),
        (["a", "b", "c"], None),
        (["a", "b", "c", "d", "e"] * 2, None),
        ([*"abcde"] + ["f"] * 20, None),
        ([], None),
    ],
)
def test_dates_and_names_of_single_bags_are_told_from_classes(labels, why):
    assert why_no_classes(labels) is why
