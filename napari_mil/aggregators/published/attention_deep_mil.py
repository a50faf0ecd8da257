"""Layouts of AttentionDeepMIL checkpoints (Ilse et al.) and related projects.

Kernel self-attention (Kernel_SA-AbMILP), and attention MIL on features as MHIM-MIL's baselines and
xMIL name it.

    feature_extractor_part1.{0,3}  feature_extractor_part2.0      LeNet-5 on images
    feature_extractor.{0,3}  fc.{0,3}                             the nucleus network on images
    feature.0 | linear_layers.0.0                                 projection of features
    self_att.{query,key,value}_conv  self_att.gamma[_att]         kernel self-attention
    attention.{0,2} | attention_{V,U}.0 attention_w | attention_{a,b}.0 attention_c
    classifier[.0]
"""

from __future__ import annotations

from torch import Tensor, nn

from napari_mil.aggregators.abmil import ABMIL, GatedABMIL
from napari_mil.aggregators.aggregator import Aggregator
from napari_mil.aggregators.end_to_end import EndToEnd
from napari_mil.aggregators.published.layout import Hint, Rules, State, fill
from napari_mil.aggregators.sa_abmil import SelfAttentionABMIL
from napari_mil.errors import CheckpointError
from napari_mil.networks import LeNet5, NucleusNet

project = "AttentionDeepMIL, Kernel_SA-AbMILP, xMIL"

V = r"attention(?:\.0|_V\.0|_a\.0)\."
U = r"attention_(?:U|b)\.0\."
W = r"attention(?:\.[23]|_w|_c)\."
CLASSIFIER = r"classifier(?:\.0)?\."
LENET: Rules = [
    (r"feature_extractor_part1\.", "convolutions."),
    (r"feature_extractor_part2\.0\.", "fc."),
]
NUCLEUS: Rules = [(r"feature_extractor\.", "convolutions."), (r"fc\.", "fc.")]
EXTRACTORS = ("feature_extractor", "fc.")


def recognises(state: State) -> bool:
    """Whether there are attention weights and a classifier at the top."""
    return any(
        name.startswith(("attention.0.", "attention_V.0.", "attention_a.0.")) for name in state
    ) and any(name.startswith("classifier.") for name in state)


def build(state: State, hint: Hint) -> Aggregator:
    """Rebuild ABMIL, plain, gated or after self-attention.

    It takes images where the checkpoint has a feature extractor.
    """
    extractor = {name: tensor for name, tensor in state.items() if name.startswith(EXTRACTORS)}
    rest = {name: tensor for name, tensor in state.items() if name not in extractor}
    if "self_att.query_conv.weight" in rest:
        aggregator = _build_self_attention(rest, hint)
    else:
        aggregator = _build_attention(rest, hint)
    if not extractor:
        return aggregator
    backbone, channels = _build_backbone(extractor)
    return EndToEnd(backbone, aggregator, channels).eval()


def _build_attention(state: State, hint: Hint) -> Aggregator:
    """Rebuild ABMIL on features, gated or not."""
    v = _find_weight(state, "attention.0", "attention_V.0", "attention_a.0")
    w = _find_weight(state, "attention.2", "attention.3", "attention_w", "attention_c")
    classifier = _find_weight(state, "classifier.0", "classifier")
    bias = any(
        name in state for name in ("attention.0.bias", "attention_V.0.bias", "attention_a.0.bias")
    )
    projection = state.get(
        "feature.0.weight" if "feature.0.weight" in state else "linear_layers.0.0.weight"
    )
    gated = any(name.startswith(("attention_U", "attention_b")) for name in state)
    aggregator = (GatedABMIL if gated else ABMIL)(
        v.shape[1] if projection is None else projection.shape[1],
        classifier.shape[0],
        hidden=None if projection is None else projection.shape[0],
        attention_dim=v.shape[0],
        heads=w.shape[0],
        # MHIM-MIL's attention without biases has ReLU where the paper has tanh; tensors cannot
        # tell.
        activation=hint.get("act", "tanh" if bias else "relu"),
        attention_bias=bias,
    )
    rules: Rules = [
        (r"(?:feature|linear_layers\.0)\.0\.", "projection.0."),
        (V, "attention.V."),
        (U, "attention.U."),
        (W, "attention.w."),
        (CLASSIFIER, "classifier."),
    ]
    return fill(aggregator, state, rules)


def _build_self_attention(state: State, hint: Hint) -> Aggregator:
    """Rebuild ABMIL after kernel self-attention."""
    if "kernel" not in hint:
        raise CheckpointError(
            "This is a checkpoint of Kernel_SA-AbMILP, whose tensors do not say which kernel it "
            "has; give hint={'kernel': ...} with dot, gaussian, inverse_quadratic, laplace or "
            "module."
        )
    flat = {
        name: tensor[..., 0] if name.endswith("_conv.weight") else tensor
        for name, tensor in state.items()
    }
    width = flat["self_att.value_conv.weight"].shape[0]
    query_dim = flat["self_att.query_conv.weight"].shape[0]
    aggregator = SelfAttentionABMIL(
        width,
        len(flat["classifier.0.weight"]),
        kernel=hint["kernel"],
        hidden=None,
        attention_dim=len(flat["attention.0.weight"]),
        heads=len(flat["attention.2.weight"]),
        query_dim=query_dim,
    )
    rules: Rules = [
        (r"self_att\.(query|key|value)_conv\.", r"self_attention.\1."),
        (r"self_att\.", "self_attention."),
        (V, "abmil.attention.V."),
        (W, "abmil.attention.w."),
        (CLASSIFIER, "abmil.classifier."),
    ]
    # Weights of a term for places on the slide, which is off.
    return fill(aggregator, flat, rules, ignored=(r"self_att\.gamma_in", r"self_att\.alfa"))


def _build_backbone(state: State) -> tuple[nn.Module, int]:
    """Rebuild the image network; return it and the channels of its images."""
    if "feature_extractor_part2.0.weight" in state:
        out_dim, flat = state["feature_extractor_part2.0.weight"].shape
        map_side = round((flat / 50) ** 0.5)
        return fill(LeNet5(out_dim, side=4 * map_side + 12), state, LENET), 1
    if "fc.3.weight" in state and state["feature_extractor.0.weight"].shape == (36, 3, 4, 4):
        map_side = round((state["fc.0.weight"].shape[1] / 48) ** 0.5)
        nucleus_net = NucleusNet(len(state["fc.3.weight"]), side=4 * map_side + 7)
        return fill(nucleus_net, state, NUCLEUS), 3
    raise CheckpointError(
        "The checkpoint has an image network that is neither the LeNet-5 "
        "nor the nucleus network of the papers."
    )


def _find_weight(state: State, *stems: str) -> Tensor:
    """Return the weight under the first of several names that there is."""
    for stem in stems:
        if f"{stem}.weight" in state:
            return state[f"{stem}.weight"]
    raise CheckpointError(f"The checkpoint lacks {stems[0]}.weight.")
