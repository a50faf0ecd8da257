"""Layout of dsmil-wsi checkpoints (Li, Li & Eliceiri).

i_classifier.fc[.0]           instance classifier
b_classifier.q.{0,2} | q      query of two layers, or of one in older releases
b_classifier.v.1              information layer, where `passing_v` was on (always, without ReLU, in
                              the first release)
b_classifier.fcc              bag classifier
"""

from __future__ import annotations

from typing import Any

from napari_mil.aggregators.aggregator import Aggregator
from napari_mil.aggregators.dsmil import DSMILReleased
from napari_mil.aggregators.published.layout import Hint, Rules, State, fill
from napari_mil.errors import CheckpointError

project = "dsmil-wsi"

STREAMS: Rules = [
    (r"i_classifier(?:\.fc)?(?:\.0)?\.(?=weight|bias)", "instance_classifier."),
    (r"b_classifier\.q(?:\.0)?\.(?=weight|bias)", "q."),
    (r"b_classifier\.q\.2\.", "q2."),
    (r"b_classifier\.v\.1\.", "v.1."),
    (r"b_classifier\.fcc\.", "bag_classifier."),
]


def recognises(state: State) -> bool:
    """Whether there is a bag classifier at the top."""
    return "b_classifier.fcc.weight" in state


def build(state: State, hint: Hint) -> Aggregator:
    """Rebuild DSMIL from the shapes of its tensors.

    Several outputs are independent labels, as trained.
    """
    if any("feature_extractor" in name for name in state):
        raise CheckpointError(
            "This dsmil-wsi checkpoint holds the embedder's network too "
            "(i_classifier.feature_extractor), which is not opened here; "
            "save the aggregator without it."
        )
    classes, _, width = state["b_classifier.fcc.weight"].shape
    options = query_options(state)
    # The first release had a linear query and no ReLU behind its information; later releases have
    # the ReLU, which tensors cannot tell.
    options["v_relu"] = hint.get("v_relu", options["nonlinear_q"] or "passing_v" in hint)
    return fill(DSMILReleased(width, classes, multi_label=classes > 1, **options), state, STREAMS)


def query_options(state: State) -> dict[str, Any]:
    """Return the options of the query and information layers in the tensors."""
    nonlinear = "b_classifier.q.0.weight" in state
    query = state["b_classifier.q.0.weight" if nonlinear else "b_classifier.q.weight"]
    return {
        "query_dim": len(query),
        "nonlinear_q": nonlinear,
        "passing_v": "b_classifier.v.1.weight" in state,
    }
