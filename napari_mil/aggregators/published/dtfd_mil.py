"""Layout of DTFD-MIL checkpoints (Zhang et al.): four state dicts in one file.

dim_reduction/fc1, resBlocks.{i}.block.{0,2}     projection
attention/attention_{V,U}.0, attention_weights   tier 1
classifier/fc
att_classifier/attention.*, classifier.fc        tier 2
"""

from __future__ import annotations

from napari_mil.aggregators.aggregator import Aggregator
from napari_mil.aggregators.dtfd import DTFD
from napari_mil.aggregators.published.layout import Hint, Rules, State, fill

project = "DTFD-MIL"
GROUPS = frozenset({"dim_reduction", "attention", "classifier", "att_classifier"})
"""Names of the four state dicts."""

ATTENTION = (
    (r"attention_V\.0\.", "V."),
    (r"attention_U\.0\.", "U."),
    (r"attention_weights\.", "w."),
)
RULES: Rules = [
    (r"dim_reduction/fc1\.", "projection.0."),
    *((rf"attention/{published}", rf"attention1.{name}") for published, name in ATTENTION),
    (r"classifier/fc\.", "classifier1."),
    *(
        (rf"att_classifier/attention\.{published}", rf"attention2.{name}")
        for published, name in ATTENTION
    ),
    (r"att_classifier/classifier\.fc\.", "classifier2."),
]


def recognises(state: State) -> bool:
    """Whether there are groups of the projection and of the second tier."""
    return "dim_reduction/fc1.weight" in state and "att_classifier/classifier.fc.weight" in state


def build(state: State, hint: Hint) -> Aggregator:
    """Rebuild DTFD from the shapes of its tensors.

    Pseudo-bags and distillation, which tensors cannot tell, are the published defaults unless the
    hint says otherwise. A hint describes pseudo-bags as consecutive pieces; without one, instances
    are dealt at random as published.
    """
    hidden, in_dim = state["dim_reduction/fc1.weight"].shape
    blocks = len(
        {name.split(".")[1] for name in state if name.startswith("dim_reduction/resBlocks.")}
    )
    groups = hint.get("num_groups", 4)
    aggregator = DTFD(
        in_dim,
        len(state["classifier/fc.weight"]),
        hidden=hidden,
        attention_dim=len(state["attention/attention_V.0.weight"]),
        groups=groups,
        distillation=hint.get("distill", "AFS").lower(),
        instances_per_group=hint.get(
            "instance_per_group", max(1, hint.get("total_instance", groups) // groups)
        ),
        residual_blocks=blocks,
        shuffle=hint.get("shuffle", not hint),
        mean_inference=hint.get("num_mean_inference", 1),
    )
    residual: Rules = [
        (rf"dim_reduction/resBlocks\.{k}\.", f"projection.{k + 2}.") for k in range(blocks)
    ]
    return fill(aggregator, state, [*residual, *RULES])
