import inspect

from napari_mil import errors


def test_every_error_is_one_that_users_may_meet():
    classes = [cls for _, cls in inspect.getmembers(errors, inspect.isclass)]
    assert len(classes) > 10
    assert all(issubclass(cls, errors.NapariMilError) for cls in classes)
