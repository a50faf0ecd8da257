"""Masked hard-instance mining with a momentum teacher (MHIM-MIL, ICCV 2023).

The teacher hides easy instances, the student learns from the rest:

    teacher sees all N instances -> attention, bag embedding F_t        no gradient
    student sees what is not masked -> logits, bag embedding F_s
    L = L_cls + alpha L_con                                                   (eq. 10)
    L_con = -sum_d softmax(F_t / tau)_d log softmax(F_s)_d                    (eq. 9, as coded)
    teacher <- m teacher + (1 - m) student, after every step of the optimiser (eq. 11)

Eq. 9 prints log F_s, which need not be positive; eq. 8 lacks a minus sign; both as coded here. The
teacher runs in evaluation mode (the published code leaves its dropout on; `teacher_dropout`). The
share of high instances falls to 0 by a cosine, momentum may rise to 1. momentum=0 makes the teacher
the student of the step before, momentum=1 keeps it as it was initialised.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import asdict, replace
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional

from napari_mil.aggregators.abmil import ABMIL
from napari_mil.aggregators.aggregator import Aggregator
from napari_mil.aggregators.dsmil import DSMIL, DSMILReleased
from napari_mil.aggregators.end_to_end import EndToEnd
from napari_mil.aggregators.mining.cards import (
    KINDS,
    STRATEGIES,
    MaskRatios,
    check_shares,
    published_settings,
)
from napari_mil.aggregators.mining.masks import Fusion, mask_instances
from napari_mil.aggregators.mining.schedules import cosine
from napari_mil.aggregators.options import check_options
from napari_mil.aggregators.output import BagOutput, PackedOutput, link
from napari_mil.aggregators.transmil import TransMIL
from napari_mil.errors import CheckpointError, OptionError, UnknownNameError, short_cause

BASES = (ABMIL, DSMIL, DSMILReleased, TransMIL)
"""Aggregators that rank instances and can be mined."""
PROJECTIONS = ("projection.", "backbone.", "aggregator.projection.")
"""Beginnings of the names of weights that come before the aggregation."""


class Miner(Aggregator):
    """A student that learns from the instances its momentum teacher does not mask.

    In evaluation, a miner is its student.

    Parameters
    ----------
    base
        The student; the teacher starts as its copy.
    ratios
        How much of each kind is masked.
    consistency
        alpha, weight of L_con.
    tau
        Temperature of the teacher's embedding.
    momentum
        m at the start.
    momentum_rises
        Whether m rises to 1 by a cosine (see `advance`).
    high_decays
        Whether the share of high instances falls to 0 by a cosine.
    fusion
        How heads agree, see `mask_instances`.
    rank_by
        ``"attention"``, or ``"class"``: the class-aware score of the second version,
        max_c softmax_c(W_c a_n h_n); attention bases only.
    min_keep
        Instances the student sees at least.
    teacher_dropout
        Leave the teacher's dropout on, as the published code does.
    """

    works_on_maps = True

    def __init__(
        self,
        base: Aggregator,
        ratios: MaskRatios,
        *,
        consistency: float = 0.1,
        tau: float = 0.1,
        momentum: float = 0.9999,
        momentum_rises: bool = False,
        high_decays: bool = True,
        fusion: Fusion = "vote",
        rank_by: Literal["attention", "class"] = "attention",
        min_keep: int = 1,
        teacher_dropout: bool = False,
    ) -> None:
        super().__init__(
            base.in_dim,
            base.n_classes,
            multi_label=base.multi_label,
            spatial_dims=base.spatial_dims,
        )
        if rank_by == "class" and not (
            isinstance(base, ABMIL) and base.attention.w.out_features == 1
        ):
            raise ValueError("class-aware scores need an attention aggregator with one head")
        if not tau > 0 or not 0 <= momentum <= 1:
            raise ValueError(
                "the temperature is above 0 and the momentum in [0, 1], "
                f"not {tau:g} and {momentum:g}"
            )
        self.reads_16_bits = base.reads_16_bits
        self.student = base
        self.teacher = deepcopy(base).requires_grad_(False)
        self.ratios = ratios
        self.consistency = consistency
        self.tau = tau
        self.momentum = momentum
        self.momentum_rises = momentum_rises
        self.high_decays = high_decays
        self.fusion = fusion
        self.rank_by = rank_by
        self.min_keep = min_keep
        self.teacher_dropout = teacher_dropout
        self.step = 0
        self.steps = 1

    def train(self, mode: bool = True) -> Miner:
        """Set training mode; the teacher stays in evaluation unless its dropout is wanted."""
        super().train(mode)
        self.teacher.train(mode and self.teacher_dropout)
        return self

    def aggregate(
        self, bag: Tensor, target: Tensor | None, instance_target: Tensor | None
    ) -> BagOutput:
        """Answer for a checked bag, see `Aggregator.forward`.

        In training there are `masks` by kind, masked rows are 0 in `attention` and NaN in
        `instance_logits`, and `scores` are those that the teacher ranks by.
        """
        if not self.training:
            return self.student(bag, target, instance_target)
        scores, teacher = self.rank(bag)
        masks = self.masks_from_scores(scores)
        seen = torch.ones(len(bag), dtype=torch.bool, device=bag.device)
        if masks:
            seen = ~torch.stack(list(masks.values())).any(0)
        seen_target = None if instance_target is None else instance_target[seen]
        output: BagOutput = self.student(bag[seen], target, seen_target)
        losses = dict(output.losses)
        if target is not None:
            assert output.embedding is not None
            assert teacher.embedding is not None
            losses["consistency"] = self.consistency * consistency_loss(
                output.embedding, teacher.embedding, self.tau
            )
        return replace(
            output,
            attention=_scatter_rows(output.attention, seen, 0.0),
            instance_logits=_scatter_rows(output.instance_logits, seen, torch.nan),
            critical=None if output.critical is None else seen.nonzero()[:, 0][output.critical],
            scores=scores,
            masks=masks,
            losses=losses,
        )

    @torch.no_grad()
    def masks(self, bag: Tensor) -> dict[str, Tensor]:
        """Return the masks of the teacher for a bag: bool (N,) by kind."""
        scores, _ = self.rank(self.instances(bag))
        return self.masks_from_scores(scores)

    def masks_from_scores(self, scores: Tensor) -> dict[str, Tensor]:
        """Return the masks under scores (N, H): bool (N,) by kind.

        Every kind of the strategy has a mask, whether or not it still masks any instance.
        """
        masks = mask_instances(
            scores, self.current_ratios(), fusion=self.fusion, min_keep=self.min_keep
        )
        nothing = torch.zeros(len(scores), dtype=torch.bool, device=scores.device)
        return {
            kind: masks.get(kind, nothing)
            for kind in ("high", "low", "random")
            if getattr(self.ratios, kind)
        }

    @torch.no_grad()
    def rank(self, bag: Tensor) -> tuple[Tensor, BagOutput]:
        """Return the scores (N, H) that masks follow, and the teacher's output.

        Scores are attention; DSMIL's instance logits of the best class; TransMIL's read-out.
        """
        teacher: BagOutput = self.teacher(bag)
        if teacher.instance_logits is not None:
            return teacher.instance_logits.amax(1, keepdim=True), teacher
        if teacher.attention is None:
            assert teacher.scores is not None
            return teacher.scores, teacher
        if self.rank_by == "class":
            assert isinstance(self.teacher, ABMIL)
            h = self.teacher.projection(self.teacher.instances(bag))
            return class_aware_scores(
                h, teacher.attention, self.teacher.classifier.weight, self.multi_label
            ), teacher
        return teacher.attention, teacher

    def current_ratios(self) -> MaskRatios:
        """Return the ratios of this step."""
        if not self.high_decays:
            return self.ratios
        high = cosine(self.ratios.high, 0.0, self.step, self.steps)
        return replace(self.ratios, high=high)

    def current_momentum(self) -> float:
        """Return the momentum m of this step."""
        if not self.momentum_rises:
            return self.momentum
        return cosine(self.momentum, 1.0, self.step, self.steps)

    def advance(self, step: int, steps: int) -> None:
        """Set the next step of the optimiser, of how many.

        Steps are counted from 0.
        """
        self.step = step
        self.steps = steps

    @torch.no_grad()
    def update_teacher(self) -> None:
        """Update the teacher after a step of the optimiser (eq. 11).

        Running statistics are copied.
        """
        m = self.current_momentum()
        weights = zip(self.teacher.parameters(), self.student.parameters(), strict=True)
        for teacher_weight, student_weight in weights:
            teacher_weight.mul_(m).add_(student_weight, alpha=1 - m)
        for statistic, current in zip(self.teacher.buffers(), self.student.buffers(), strict=True):
            statistic.copy_(current)

    def forward_packed(self, features: Tensor, offsets: Tensor) -> PackedOutput:
        """Answer for many bags at once, see `Aggregator.forward_packed`.

        In evaluation, the student answers.
        """
        if self.training:
            return super().forward_packed(features, offsets)
        return self.student.forward_packed(features, offsets)

    def initialise(
        self,
        state: Mapping[str, Tensor],
        student: Literal["projection", "all", "nothing"] = "projection",
    ) -> None:
        """Start from a trained base model.

        Parameters
        ----------
        state
            Its state dict; the teacher takes all of it.
        student
            What the student takes: its projection, as published (with the backbone, where there is
            one), all or nothing.

        Raises
        ------
        CheckpointError
            If the weights do not fit the base.
        OptionError
            If the base has no projection.
        """
        student_weights = {
            key: state[key]
            for key in state
            if student == "all" or (student == "projection" and key.startswith(PROJECTIONS))
        }
        if student == "projection" and not student_weights:
            raise OptionError(
                "The student has no projection to start from; "
                "let it take all of the trained model, or nothing."
            )
        try:
            self.teacher.load_state_dict(dict(state))
            self.student.load_state_dict({**self.student.state_dict(), **student_weights})
        except RuntimeError as error:
            reason = short_cause(error)
            raise CheckpointError(
                f"The trained model does not fit the base of the miner ({reason})."
            ) from error

    def initialise_from(self, base: Aggregator) -> None:
        """Start from a trained base, as published.

        The teacher takes all of it, the student its projection, and where the base has none,
        nothing.
        """
        has_projection = any(name.startswith(PROJECTIONS) for name in base.state_dict())
        self.initialise(base.state_dict(), "projection" if has_projection else "nothing")


def create_miner(strategy: str, base: Aggregator, **options: Any) -> Miner:
    """Make a miner of a strategy around an aggregator.

    Parameters
    ----------
    strategy
        ``"ham"``, ``"l-ham"``, ``"r-ham"`` or ``"lr-ham"``.
    base
        An aggregator named abmil, gated-abmil, dsmil, dsmil-released or transmil, or a backbone
        with one of them.
    **options
        `high`, `low`, `random`, `drawn` as in `MaskRatios`, of the kinds that the strategy masks;
        the rest as in `Miner`. Options left out are as published for such a base.

    Returns
    -------
    Miner

    Raises
    ------
    UnknownNameError
        If there is no such strategy, or the aggregator has nothing to rank instances by.
    OptionError
        If an option is not one of the strategy's or out of range.
    """
    if strategy not in STRATEGIES:
        raise UnknownNameError(
            f"There is no mining strategy named {strategy!r}; "
            f"choose one of {', '.join(STRATEGIES)}."
        )
    core = base.aggregator if isinstance(base, EndToEnd) else base
    if not isinstance(core, BASES):
        raise UnknownNameError(
            "Mining needs abmil, gated-abmil, dsmil, dsmil-released or transmil as its base, "
            f"not {type(core).__name__}."
        )
    try:
        check_shares(strategy, options)
    except ValueError as error:
        raise OptionError(str(error)) from None
    published = asdict(published_settings(strategy, transmil=isinstance(core, TransMIL)))
    settings = {**published, **options}
    shares = {kind: settings[kind] for kind in STRATEGIES[strategy].kinds}
    shares["drawn"] = settings["drawn"]
    miner_options = {
        name: value for name, value in settings.items() if name not in (*KINDS, "drawn")
    }
    check_options(f"The strategy {strategy}", Miner, miner_options)
    try:
        return Miner(base, MaskRatios(**shares), **miner_options)
    except (TypeError, ValueError) as error:
        raise OptionError(
            f"The strategy {strategy} does not take these options ({error}); see its documentation."
        ) from error


def consistency_loss(student: Tensor, teacher: Tensor, tau: float) -> Tensor:
    """Return the consistency loss L_con (eq. 9): (D,) or (C, D) twice -> ().

    -sum_d softmax(F_t / tau)_d log softmax(F_s)_d, the mean over rows.
    """
    target = functional.softmax(teacher.detach() / tau, -1)
    return -(target * functional.log_softmax(student, -1)).sum(-1).mean()


def class_aware_scores(h: Tensor, attention: Tensor, weight: Tensor, multi_label: bool) -> Tensor:
    """Return class-aware scores: (N, M), (N, 1), (C, M) -> (N, 1).

    max_c softmax_c(W_c a_n h_n), second version of MHIM-MIL; a bias common to all classes would
    cancel.
    """
    return link(attention * (h @ weight.T), multi_label).amax(1, keepdim=True)


def _scatter_rows(rows: Tensor | None, seen: Tensor, filling: float) -> Tensor | None:
    """Put rows of seen instances back in their places among all."""
    if rows is None:
        return None
    whole = rows.new_full((len(seen), rows.shape[1]), filling)
    return whole.masked_scatter(seen[:, None].expand_as(whole), rows)
