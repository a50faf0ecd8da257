"""Layout of MHIM-MIL checkpoints, first version (Tang et al.).

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
STUDENT = "student/"
TEACHER = "teacher/"

ENDS: Rules = [(r"patch_to_emb\.", "projection."), (r"predictor\.", "classifier.")]
ATTENTION: Rules = [
    (r"attention\.attention(?:_a)?\.0\.", "attention.V."),
    (r"attention\.attention_b\.0\.", "attention.U."),
    (r"attention\.attention(?:_c|\.[23])\.", "attention.w."),
]


def recognises(state: State) -> bool:
    """Whether there is a projection, of a model alone or of a student."""
    return any(f"{prefix}patch_to_emb.0.weight" in state for prefix in ("", STUDENT))


def build(state: State, hint: Hint) -> Aggregator:
    """Rebuild the base model of the student, or a miner around it.

    A miner needs a teacher and a hint with the ratios that are masked.
    """
    if not any(name.startswith(STUDENT) for name in state):
        return _build_base(state, hint)
    student = _build_base(part_of(state, STUDENT), hint)
    ratios = {kind: hint.get(f"ratio_{kind}", 0.0) for kind in ("high", "low", "random")}
    if not any(ratios.values()):
        return student
    miner = Miner(student, MaskRatios(**ratios), tau=hint.get("tau_teacher", 0.1))
    miner.teacher.load_state_dict(_build_base(part_of(state, TEACHER), hint).state_dict())
    return miner.eval()


def _build_base(state: State, hint: Hint) -> Aggregator:
    """Rebuild one base model: TransMIL, DSMIL or ABMIL."""
    encoder = part_of(state, "online_encoder.")
    outside = {
        name: tensor for name, tensor in state.items() if not name.startswith("online_encoder.")
    }
    flat = {**outside, **encoder}
    if "cls_token" in encoder:
        return _build_transmil(flat)
    if "b_classifier.fcc.weight" in encoder:
        return _build_dsmil(flat, hint)
    return _build_abmil(flat, hint)


def _sizes(state: State) -> tuple[int, int, int]:
    """Return in_dim, number of classes and width after the projection."""
    hidden, in_dim = state["patch_to_emb.0.weight"].shape
    return in_dim, len(state["predictor.weight"]), hidden


def _build_transmil(state: State) -> Aggregator:
    """Rebuild TransMIL with padding inside PPEG."""
    in_dim, n_classes, hidden = _sizes(state)
    heads, _, kernel, _ = state["layer1.attn.res_conv.weight"].shape
    transmil = TransMIL(
        in_dim,
        n_classes,
        hidden=hidden,
        heads=heads,
        kernel=kernel,
        padding="inside",
        dropout=0.25,
    )
    return fill(transmil, state, [*ENDS, (r"pos_embedding\.", "pos_layer."), *TOKENS])


def _build_dsmil(state: State, hint: Hint) -> Aggregator:
    """Rebuild DSMIL; its predictor is unused."""
    in_dim, n_classes, hidden = _sizes(state)
    # Published inference averages the streams; a hint describes a case in which the bag stream
    # alone is the answer.
    dsmil = DSMILReleased(
        in_dim,
        n_classes,
        hidden=hidden,
        dropout=0.25,
        average_streams=not hint,
        **query_options(state),
    )
    return fill(dsmil, state, [ENDS[0], *STREAMS], ignored=(r"predictor\..*",))


def _build_abmil(state: State, hint: Hint) -> Aggregator:
    """Rebuild ABMIL, gated or not."""
    in_dim, n_classes, hidden = _sizes(state)
    gated = "attention.attention_b.0.weight" in state
    first_layer = f"attention.attention{'_a' if gated else ''}.0"
    activation: Literal["tanh", "relu"] = hint.get("attention_activation") or "relu"
    abmil = (GatedABMIL if gated else ABMIL)(
        in_dim,
        n_classes,
        hidden=hidden,
        attention_dim=len(state[f"{first_layer}.weight"]),
        activation=activation,
        attention_bias=f"{first_layer}.bias" in state,
        dropout=0.25,
    )
    return fill(abmil, state, [*ENDS, *ATTENTION])
