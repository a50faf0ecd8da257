"""Attention that has collapsed is found and said."""

import json

import numpy as np
import pytest
import torch

from napari_mil.events import Fallback
from napari_mil.training.collapse import CollapseKind, collapse_of, find_collapse
from napari_mil.training.run import train

EVEN = np.full((20, 1), 0.05)
ONE = np.eye(20)[:, :1]
LEARNT = np.r_[[0.5, 0.3], np.full(18, 0.2 / 18)][:, None]


@pytest.mark.parametrize(
    ("attentions", "kind"),
    [
        ([EVEN, EVEN], CollapseKind.EVEN),
        ([ONE, np.roll(ONE, 3)], CollapseKind.ONE_INSTANCE),
        ([EVEN, LEARNT], None),
        ([ONE, LEARNT], None),
        ([EVEN, ONE], None),
        ([np.hstack([EVEN, LEARNT])], None),
        ([], None),
    ],
)
def test_attention_that_is_the_same_everywhere_has_collapsed(attentions, kind):
    found = collapse_of(attentions)
    assert (found and found.kind) == kind


def flatten_queries(fitting):
    """What coupled decay did to DSMIL: queries of no length."""
    with torch.no_grad():
        fitting.network.Wq.weight.mul_(1e-30)


def test_queries_that_vanish_are_found(cohort, quick, fit):
    fitting = fit(cohort, quick(aggregator="dsmil"))
    assert find_collapse(fitting) is None
    flatten_queries(fitting)
    assert find_collapse(fitting).kind is CollapseKind.EVEN


def test_methods_without_attention_have_nothing_to_collapse(cohort, quick, fit):
    assert find_collapse(fit(cohort, quick(aggregator="instance-mean"))) is None


def test_the_run_and_the_card_say_it(cohort, quick, settings, tmp_path):
    said = []
    config = quick(aggregator="abmil", epochs=2, learning_rate=1e-12)
    train(
        cohort,
        config.changed(aggregator_options={"attention_dim": 1}),
        out=tmp_path / "run",
        on_event=said.append,
        settings=settings,
    )
    card = json.loads((tmp_path / "run" / "classifier" / "classifier.json").read_text())
    remarks = [event.message for event in said if isinstance(event, Fallback)]
    cautions = card["training"]["cautions"]
    assert any("collapsed" in remark for remark in remarks) == any(
        "collapsed" in caution for caution in cautions
    )
