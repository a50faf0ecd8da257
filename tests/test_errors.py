import inspect

from napari_mil import errors
from napari_mil.errors import MissingMppError, NapariMilError, Remedy


def test_every_error_is_one_that_users_may_meet():
    classes = [
        member
        for _, member in inspect.getmembers(errors, inspect.isclass)
        if issubclass(member, Exception)
    ]
    assert len(classes) > 10
    assert all(issubclass(kind, NapariMilError) for kind in classes)


def test_the_message_is_neutral_until_remedies_are_worded():
    error = MissingMppError("a.tiff says no scale", Remedy.GIVE_SCALE, Remedy.TAKE_LEVEL)
    neutral = "a.tiff says no scale; give its µm per pixel, or take tiles of a level."
    assert str(error) == neutral
    assert error.worded({}) == neutral
    worded = error.worded({Remedy.GIVE_SCALE: "type it in"})
    assert worded == "a.tiff says no scale; type it in, or take tiles of a level."


def test_a_message_without_remedies_is_the_same_in_all_words():
    error = NapariMilError("One sentence.")
    assert error.worded({Remedy.GIVE_SCALE: "type it in"}) == "One sentence."
