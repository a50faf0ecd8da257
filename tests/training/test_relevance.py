import torch

from napari_mil.training.recipes import DEFAULTS
from napari_mil.training.relevance import relevance


def test_relevance_is_a_value_per_instance_between_0_and_1(cohort, quick, fit):
    for aggregator in DEFAULTS:
        fitting = fit(cohort, quick(aggregator=aggregator, aggregator_options={}))
        bag = fitting.bag(0)
        with torch.no_grad():
            values, what = relevance(fitting.network.eval()(bag))
        if len(values):
            assert values.shape == (len(bag),)
            assert values.min() >= 0
            assert values.max() <= 1
            assert what in ("score", "attention", "similarity")
        else:
            assert aggregator in (
                "embedding-max",
                "embedding-mean",
                "mi-net",
                "mi-net-ds",
                "mi-net-rc",
                "mvcnn",
                "spoc",
                "ramil",
                "gnn-mil",
                "deepmiml",
            ), aggregator
