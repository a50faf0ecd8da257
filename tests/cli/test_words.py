from napari_mil.cli.words import REMEDIES
from napari_mil.errors import MissingMppError, Remedy


def test_every_remedy_has_words_of_the_command():
    assert set(REMEDIES) == set(Remedy)


def test_options_are_named_by_the_command_and_not_by_the_core():
    error = MissingMppError("a.tiff says no scale", Remedy.GIVE_SCALE, Remedy.TAKE_LEVEL)
    assert "--" not in str(error)
    assert "--slide-mpp" in error.worded(REMEDIES)
    assert "--level" in error.worded(REMEDIES)
