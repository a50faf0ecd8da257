"""Layout of CLAM checkpoints (Lu et al.).

attention_net.0                          projection; attention_net.module.* where DataParallel was
                                         left in
attention_net.{2,3}.attention_{a,b}.0    gated attention, at 2 in releases without dropout
attention_net.{2,3}.attention_c
attention_net.{2,3}.module.{0,2|3}       plain attention, its second layer at 3 with dropout
classifiers | classifiers.{c}            one branch | one per class
instance_classifiers.{c}
"""

from __future__ import annotations

import torch

from napari_mil.aggregators.aggregator import Aggregator
from napari_mil.aggregators.clam import CLAMMultiBranch, CLAMSingleBranch
from napari_mil.aggregators.published.layout import Hint, Rules, State, fill

project = "CLAM"

RULES: Rules = [
    (r"attention_net\.0\.", "projection.0."),
    (r"attention_net\.[23]\.(?:attention_a|module)\.0\.", "attention.V."),
    (r"attention_net\.[23]\.attention_b\.0\.", "attention.U."),
    (r"attention_net\.[23]\.(?:attention_c|module\.[23])\.", "attention.w."),
    (r"classifiers\.", "classifier."),
    (r"instance_classifiers\.", "instance_classifiers."),
]


def recognises(state: State) -> bool:
    """Whether there is an attention network with classifiers."""
    return any(name.startswith("attention_net.") for name in state) and any(
        name.startswith("classifiers.") for name in state
    )


def build(state: State, hint: Hint) -> Aggregator:
    """Rebuild CLAM-SB or CLAM-MB of any size, gated or not."""
    if "attention_net.module.0.weight" in state:
        state = {
            name.replace("attention_net.module.", "attention_net.", 1): tensor
            for name, tensor in state.items()
        }
    branches = sorted(
        name for name in state if name.startswith("classifiers.") and name.count(".") == 2
    )
    if branches:
        heads = len(branches) // 2
        joined = {
            f"classifiers.{kind}": torch.cat(
                [state[f"classifiers.{c}.{kind}"] for c in range(heads)]
            )
            for kind in ("weight", "bias")
        }
        state = {
            **{name: tensor for name, tensor in state.items() if name not in branches},
            **joined,
        }
    gated = any(".attention_b." in name for name in state)
    attention = next(
        tensor
        for name, tensor in state.items()
        if name.endswith((".attention_a.0.weight", ".module.0.weight"))
    )
    hidden, in_dim = state["attention_net.0.weight"].shape
    aggregator = (CLAMMultiBranch if branches else CLAMSingleBranch)(
        in_dim,
        len(state["classifiers.weight"]),
        hidden=hidden,
        attention_dim=len(attention),
        gated=gated,
        k_sample=hint.get("k_sample", 8),
        subtyping=hint.get("subtyping", False),
    )
    return fill(aggregator, state, RULES, ignored=(r"instance_loss_fn\..*",))
