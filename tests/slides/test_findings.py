import pytest

from napari_mil.slides.findings import percent


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (0.0, "0.0 %"),
        (0.00001, "less than 0.01 %"),
        (0.0004, "0.04 %"),
        (0.25, "25.0 %"),
        (0.9996, "99.96 %"),
        (0.99999, "more than 99.99 %"),
        (1.0, "100.0 %"),
    ],
)
def test_a_share_is_never_all_or_nothing_where_a_little_is_left(share, words):
    assert percent(share) == words
