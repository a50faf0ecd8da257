"""Aggregators by name."""

import pytest

from napari_mil.aggregators import create_aggregator
from napari_mil.errors import OptionError, UnknownNameError


def test_an_unknown_aggregator_or_option_is_named():
    with pytest.raises(UnknownNameError, match=r"'abmill'.*abmil"):
        create_aggregator("abmill", 8, 2)
    with pytest.raises(OptionError, match="colour"):
        create_aggregator("abmil", 8, 2, colour="red")
    with pytest.raises(OptionError, match="kernel"):
        create_aggregator("sa-abmil", 8, 2, kernel="cubic")
