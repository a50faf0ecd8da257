"""Layout of TransMIL checkpoints (Shao et al.).

_fc1.0  cls_token  layer{1,2}.norm  layer{1,2}.attn.{to_qkv,to_out.0,res_conv}
pos_layer.proj{,1,2}  norm  _fc2
"""

from __future__ import annotations

from napari_mil.aggregators.aggregator import Aggregator
from napari_mil.aggregators.published.layout import Hint, Rules, State, fill
from napari_mil.aggregators.transmil import TransMIL

project = "TransMIL"

TOKENS: Rules = [(r"(?=cls_token|layer[12]\.|norm\.)", "")]


def recognises(state: State) -> bool:
    """Whether there are a class token and a first layer at the top."""
    return "cls_token" in state and "_fc1.0.weight" in state


def build(state: State, hint: Hint) -> Aggregator:
    """Rebuild TransMIL from the shapes of its tensors.

    Landmarks are half of the width unless the hint says otherwise.
    """
    hidden, in_dim = state["_fc1.0.weight"].shape
    heads, _, kernel, _ = state["layer1.attn.res_conv.weight"].shape
    aggregator = TransMIL(
        in_dim,
        len(state["_fc2.weight"]),
        hidden=hidden,
        heads=heads,
        landmarks=hint.get("num_landmarks"),
        pinv_iterations=hint.get("pinv_iterations", 6),
        kernel=kernel,
    )
    return fill(
        aggregator,
        state,
        [
            (r"_fc1\.", "projection."),
            (r"_fc2\.", "classifier."),
            (r"pos_layer\.", "pos_layer."),
            *TOKENS,
        ],
    )
