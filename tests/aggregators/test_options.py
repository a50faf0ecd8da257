"""Options of aggregators, checked against the signatures that declare them."""

import pytest

from napari_mil.aggregators import create_aggregator
from napari_mil.errors import OptionError


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("abmil", {"activation": "gelu"}),
        ("abmil", {"hidden": 0}),
        ("abmil", {"hidden": -1}),
        ("mi-net", {"pooling": "median"}),
        ("dtfd", {"groups": 0}),
        ("dtfd", {"mean_inference": 0}),
        ("transmil", {"hidden": 4}),
        ("transmil", {"padding": "foo"}),
        ("transmil", {"kernel": 32}),
        ("hamil", {"order": "foo"}),
        ("hamil", {"layers": 2, "hidden": 0}),
        ("ramil", {"order": "index"}),
        ("hamil-mean", {"layers": 2}),
        ("gnn-mil", {"clusters": 0}),
        ("deepmiml", {"sub_concepts": 0}),
        ("clam-sb", {"gated": "yes"}),
        ("abmil", {"multi_label": 1}),
        ("abmil", {"spatial_dims": 3}),
    ],
)
def test_options_that_make_no_sense_are_refused_by_name(name, options):
    with pytest.raises(OptionError, match="|".join([*options, "token", "convolution", "spatial"])):
        create_aggregator(name, 8, 2, **options)
