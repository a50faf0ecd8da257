"""Methods without runnable published code, rebuilt from their formulas.

Their cases are computed from the formulas of the papers, under names chosen here, and need a hint:
`hint["aggregator"]` is a name of the registry; the other entries are the hyperparameters that
shapes do not tell.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from napari_mil.aggregators.aggregator import Aggregator
from napari_mil.aggregators.published.layout import Hint, Rules, State, fill
from napari_mil.aggregators.registry import create_aggregator

UNCHANGED: Rules = [(r"", "")]
"""Rules that keep every name."""
UNIT: Rules = [(r"(?=conv\d|bn\d)", "unit."), *UNCHANGED]
"""Rules that put the layers of a merging unit under `unit`."""


def _read_mi_net(state: State, hint: Hint) -> tuple[int, int, dict[str, Any]]:
    """Read the sizes and options of multiple-instance networks."""
    head = state.get("score.weight", state.get("score1.weight"))
    assert head is not None
    published_pooling = hint.get("pooling", "max")
    pooling = "mean" if published_pooling == "ave" else published_pooling
    dims = [len(state[f"fc{k}.weight"]) for k in (1, 2, 3)]
    return state["fc1.weight"].shape[1], len(head), {"dims": dims, "pooling": pooling}


def _read_hamil(state: State, hint: Hint) -> tuple[int, int, dict[str, Any]]:
    """Read the sizes and options of HAMIL."""
    n_classes, in_dim = state["classifier.weight"].shape
    options: dict[str, Any] = {
        "distance": "mean" if hint.get("distance_features") == "gap" else "flatten",
        "order": "index",
    }
    if hint.get("unit", "conv") == "conv":
        kernel = state["conv1.weight"]
        options |= {
            "layers": hint["layers"],
            "kernel": kernel.shape[-1],
            "final_norm": f"bn{hint['layers']}.weight" in state,
            "spatial_dims": kernel.ndim - 2,
        }
        if hint["layers"] > 1:
            options["hidden"] = len(kernel)
    return in_dim, n_classes, options


def _read_ramil(state: State, hint: Hint) -> tuple[int, int, dict[str, Any]]:
    """Read the sizes and options of RAMIL."""
    in_dim, n_classes, options = _read_hamil(state, hint)
    options = {key: value for key, value in options.items() if key not in ("distance", "order")}
    return in_dim, n_classes, options


def _read_dsmil(state: State, hint: Hint) -> tuple[int, int, dict[str, Any]]:
    """Read the sizes and options of DSMIL as printed."""
    n_classes, in_dim = state["W0.weight"].shape
    return in_dim, n_classes, {"lambda_": hint.get("lambda", 0.5)}


def _read_deepmiml(state: State, hint: Hint) -> tuple[int, int, dict[str, Any]]:
    """Read the sizes and options of deep MIML."""
    total, in_dim = state["subconcept.weight"].shape
    sub_concepts = hint["sub_concepts"]
    options = {"sub_concepts": sub_concepts, "multi_label": total > sub_concepts}
    return in_dim, total // sub_concepts, options


def _read_gnn(state: State, hint: Hint) -> tuple[int, int, dict[str, Any]]:
    """Read the sizes and options of the graph network."""
    hidden, in_dim = state["gnn_embd.lin_rel.weight"].shape
    options = {
        "hidden": hidden,
        "clusters": len(state["mlp.weight"]),
        "threshold": hint.get("edge_threshold"),
    }
    return in_dim, len(state["lin2.weight"]), options


def _read_linear(state: State, hint: Hint) -> tuple[int, int, dict[str, Any]]:
    """Read the sizes and options of methods with one linear classifier."""
    n_classes, in_dim = state["classifier.weight"].shape
    return in_dim, n_classes, {}


READERS: dict[str, Callable[[State, Hint], tuple[int, int, dict[str, Any]]]] = {
    **dict.fromkeys(("mi-net-instance", "mi-net", "mi-net-ds", "mi-net-rc"), _read_mi_net),
    **dict.fromkeys(("hamil", "hamil-mean"), _read_hamil),
    "ramil": _read_ramil,
    "dsmil": _read_dsmil,
    "deepmiml": _read_deepmiml,
    "gnn-mil": _read_gnn,
    **dict.fromkeys(("nan", "mvcnn", "spoc"), _read_linear),
}
"""Readers of in_dim, n_classes and options by aggregator."""


def build(state: State, hint: Hint) -> Aggregator:
    """Rebuild the aggregator that the hint names."""
    name = hint["aggregator"]
    named = {
        key if "." in key or key == "q0" else f"{key}.weight": tensor
        for key, tensor in state.items()
    }
    in_dim, n_classes, options = READERS[name](named, hint)
    aggregator = create_aggregator(name, in_dim, n_classes, **options)
    rules = UNIT if "hamil" in name or name == "ramil" else UNCHANGED
    return fill(aggregator, named, rules)
