"""The same state gives the same drawings."""

import numpy as np

from napari_mil.gui.model.memo import Memo
from napari_mil.gui.model.placement import Placement


def counted():
    calls = []

    def double(*arguments, **options):
        calls.append((arguments, options))
        return [arguments, options]

    return double, calls


def test_the_same_arguments_give_the_same_object():
    double, calls = counted()
    memo = Memo()
    array = np.arange(3)
    assert memo(double, array, 2) is memo(double, array, 2)
    assert len(calls) == 1


def test_frozen_values_are_the_same_where_they_are_equal():
    double, _ = counted()
    memo = Memo()
    assert memo(double, Placement(0.5)) is memo(double, Placement(0.5))


def test_equal_arrays_that_are_not_the_same_object_are_drawn_again():
    double, calls = counted()
    memo = Memo()
    memo(double, np.arange(3))
    memo(double, np.arange(3))
    assert len(calls) == 2


def test_numbers_of_several_types_and_options_are_told_apart():
    double, calls = counted()
    memo = Memo()
    memo(double, 1)
    memo(double, True)
    memo(double, 1, cell=6)
    memo(double, 1, cell=1)
    assert len(calls) == 4


def test_only_the_newest_results_are_kept():
    double, calls = counted()
    memo = Memo(size=2)
    for number in (1, 2, 1, 3, 1, 2):
        memo(double, number)
    assert [arguments for arguments, _ in calls] == [(1,), (2,), (3,), (2,)]


def test_arguments_are_kept_so_that_no_other_object_takes_their_identity():
    memo = Memo()
    seen = {tuple(memo(np.array, [number])) for number in range(20)}
    assert len(seen) == 20
