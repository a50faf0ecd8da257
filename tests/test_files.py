"""A cache that is full loses what was not used for longest."""

import os
import time

from napari_mil.files import forget_unused, mark_used

DAY = 86_400


def test_what_was_not_used_for_longest_goes_first_and_what_is_in_use_stays(tmp_path):
    (tmp_path / "features").mkdir()
    for days in range(6):
        path = tmp_path / "features" / f"{days}.h5"
        path.write_bytes(bytes(1000))
        os.utime(path, (time.time() - days * DAY,) * 2)
    assert forget_unused(tmp_path, 6000, 2.5 * DAY) == 0, "it fits"
    mark_used(tmp_path / "features" / "5.h5")
    assert forget_unused(tmp_path, 4500, 2.5 * DAY) == 2
    assert sorted(path.stem for path in tmp_path.rglob("*.h5")) == ["0", "1", "2", "5"]
    assert forget_unused(tmp_path, 0, 2.5 * DAY) == 0, "used lately, whatever it takes"
    assert forget_unused(tmp_path / "missing", 0, 0) == 0
