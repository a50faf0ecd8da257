"""Methods without a runnable published code: cases computed from their formulas, under names of ours, which need a hint.

`hint["aggregator"]` is a name of the registry; the other entries are the hyperparameters that shapes do not tell.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from napari_mil.aggregators.aggregator import Aggregator
from napari_mil.aggregators.published.layout import Hint, Rules, State, fill
from napari_mil.aggregators.registry import create_aggregator

AS_IT_IS: Rules = [(r"", "")]
UNIT: Rules = [(r"(?=conv\d|bn\d)", "unit."), *AS_IT_IS]


def _mi_net(state: State, hint: Hint) -> tuple[int, int, dict[str, Any]]:
    head = state.get("score.weight", state.get("score1.weight"))
    assert head is not None
    pooling = {"ave": "mean"}.get(hint.get("pooling", "max"), hint.get("pooling", "max"))
    return (
        state["fc1.weight"].shape[1],
        len(head),
        {"dims": [len(state[f"fc{k}.weight"]) for k in (1, 2, 3)], "pooling": pooling},
    )


def _hamil(state: State, hint: Hint) -> tuple[int, int, dict[str, Any]]:
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
            **({"hidden": len(kernel)} if hint["layers"] > 1 else {}),
        }
    return in_dim, n_classes, options


def _ramil(state: State, hint: Hint) -> tuple[int, int, dict[str, Any]]:
    in_dim, n_classes, options = _hamil(state, hint)
    return (
        in_dim,
        n_classes,
        {key: value for key, value in options.items() if key not in ("distance", "order")},
    )


def _dsmil(state: State, hint: Hint) -> tuple[int, int, dict[str, Any]]:
    n_classes, in_dim = state["W0.weight"].shape
    return in_dim, n_classes, {"lambda_": hint.get("lambda", 0.5)}


def _deepmiml(state: State, hint: Hint) -> tuple[int, int, dict[str, Any]]:
    total, in_dim = state["subconcept.weight"].shape
    return (
        in_dim,
        total // hint["sub_concepts"],
        {"sub_concepts": hint["sub_concepts"], "multi_label": total > hint["sub_concepts"]},
    )


def _gnn(state: State, hint: Hint) -> tuple[int, int, dict[str, Any]]:
    hidden, in_dim = state["gnn_embd.lin_rel.weight"].shape
    return (
        in_dim,
        len(state["lin2.weight"]),
        {
            "hidden": hidden,
            "clusters": len(state["mlp.weight"]),
            "threshold": hint.get("edge_threshold"),
        },
    )


def _linear(state: State, hint: Hint) -> tuple[int, int, dict[str, Any]]:
    n_classes, in_dim = state["classifier.weight"].shape
    return in_dim, n_classes, {}


READERS: dict[str, Callable[[State, Hint], tuple[int, int, dict[str, Any]]]] = {
    **dict.fromkeys(("mi-net-instance", "mi-net", "mi-net-ds", "mi-net-rc"), _mi_net),
    **dict.fromkeys(("hamil", "hamil-mean"), _hamil),
    "ramil": _ramil,
    "dsmil": _dsmil,
    "deepmiml": _deepmiml,
    "gnn-mil": _gnn,
    **dict.fromkeys(("nan", "mvcnn", "spoc"), _linear),
}


def build(state: State, hint: Hint) -> Aggregator:
    """Rebuild the aggregator that the hint names."""
    name = hint["aggregator"]
    named = {
        key if "." in key or key == "q0" else f"{key}.weight": tensor
        for key, tensor in state.items()
    }
    in_dim, n_classes, options = READERS[name](named, hint)
    return fill(
        create_aggregator(name, in_dim, n_classes, **options),
        named,
        UNIT if "hamil" in name or name == "ramil" else AS_IT_IS,
    )
