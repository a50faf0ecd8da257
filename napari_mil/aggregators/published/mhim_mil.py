"""MHIM-MIL, first version (Tang et al.).

patch_to_emb.0                                            projection
online_encoder.attention.attention.{0,2}                  ABMIL: ReLU, no biases
online_encoder.attention.attention_{a,b}.0, attention_c   gated
online_encoder.{cls_token,layer{1,2},pos_embedding,norm}  TransMIL with padding inside PPEG
online_encoder.{i_classifier.0,b_classifier.*}            DSMIL; its predictor is unused
predictor
"""

from __future__ import annotations

from typing import Literal

from napari_mil.aggregators.abmil import ABMIL, GatedABMIL
from napari_mil.aggregators.aggregator import Aggregator
from napari_mil.aggregators.dsmil import DSMILReleased
from napari_mil.aggregators.mining import Miner
from napari_mil.aggregators.mining.cards import MaskRatios
from napari_mil.aggregators.published.dsmil_wsi import STREAMS, query_options
from napari_mil.aggregators.published.layout import Hint, Rules, State, fill, part_of
from napari_mil.aggregators.published.transmil import TOKENS
from napari_mil.aggregators.transmil import TransMIL

project = "MHIM-MIL"
STUDENT, TEACHER = "student/", "teacher/"

ENDS: Rules = [(r"patch_to_emb\.", "projection."), (r"predictor\.", "classifier.")]
ATTENTION: Rules = [
    (r"attention\.attention(?:_a)?\.0\.", "attention.V."),
    (r"attention\.attention_b\.0\.", "attention.U."),
    (r"attention\.attention(?:_c|\.[23])\.", "attention.w."),
]


def recognises(state: State) -> bool:
    """Its projection, of the model alone or of student and teacher."""
    return any(f"{prefix}patch_to_emb.0.weight" in state for prefix in ("", STUDENT))


def build(state: State, hint: Hint) -> Aggregator:
    """Rebuild the base model of the student; with a hint of ratios and a teacher, the miner around it."""
    if not any(name.startswith(STUDENT) for name in state):
        return _base(state, hint)
    student = _base(part_of(state, STUDENT), hint)
    ratios = {kind: hint.get(f"ratio_{kind}", 0.0) for kind in ("high", "low", "random")}
    if not any(ratios.values()):
        return student
    miner = Miner(student, MaskRatios(**ratios), tau=hint.get("tau_teacher", 0.1))
    miner.teacher.load_state_dict(_base(part_of(state, TEACHER), hint).state_dict())
    return miner.eval()


def _base(state: State, hint: Hint) -> Aggregator:
    encoder = part_of(state, "online_encoder.")
    hidden, in_dim = state["patch_to_emb.0.weight"].shape
    n_classes = len(state["predictor.weight"])
    flat = {
        **{
            name: tensor for name, tensor in state.items() if not name.startswith("online_encoder.")
        },
        **encoder,
    }
    if "cls_token" in encoder:
        heads, _, kernel, _ = encoder["layer1.attn.res_conv.weight"].shape
        transmil = TransMIL(
            in_dim,
            n_classes,
            hidden=hidden,
            heads=heads,
            kernel=kernel,
            padding="inside",
            dropout=0.25,
        )
        return fill(transmil, flat, [*ENDS, (r"pos_embedding\.", "pos_layer."), *TOKENS])
    if "b_classifier.fcc.weight" in encoder:
        # Published inference averages the streams; a hint describes a case in which the bag stream alone is the answer.
        dsmil = DSMILReleased(
            in_dim,
            n_classes,
            hidden=hidden,
            dropout=0.25,
            average_streams=not hint,
            **query_options(encoder),
        )
        return fill(dsmil, flat, [ENDS[0], *STREAMS], ignored=(r"predictor\..*",))
    gated = "attention.attention_b.0.weight" in encoder
    dim = len(encoder[f"attention.attention{'_a' if gated else ''}.0.weight"])
    bias = f"attention.attention{'_a' if gated else ''}.0.bias" in encoder
    activation: Literal["tanh", "relu"] = hint.get("attention_activation") or "relu"
    abmil = (GatedABMIL if gated else ABMIL)(
        in_dim,
        n_classes,
        hidden=hidden,
        attention_dim=dim,
        activation=activation,
        attention_bias=bias,
        dropout=0.25,
    )
    return fill(abmil, flat, [*ENDS, *ATTENTION])
