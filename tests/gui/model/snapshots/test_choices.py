"""Choices of a box."""

from napari_mil.gui.model.snapshots.choices import Choice, Choices


def test_choices_are_equal_where_their_words_are_so_that_a_box_is_not_filled_again():
    one = Choices((Choice(1, "a.svs"), Choice(2, "b.svs", "too wide")), 1)
    assert one == Choices((Choice(1, "a.svs"), Choice(2, "b.svs", "too wide")), 1)
    assert one != Choices((Choice(1, "a.svs"), Choice(2, "b.svs")), 1)


def test_an_empty_box_has_nothing_chosen():
    assert (Choices().entries, Choices().current, Choices().reason) == ((), None, "")
