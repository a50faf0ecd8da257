"""The masked hard-instance miner: a momentum teacher hides what is easy, the student learns from the rest (MHIM-MIL, ICCV 2023).

    teacher sees all N instances -> attention, bag embedding F_t        no gradient
    student sees what is not masked -> logits, bag embedding F_s
    L = L_cls + alpha L_con                                                                        (eq. 10)
    L_con = -sum_d softmax(F_t / tau)_d log softmax(F_s)_d                                         (eq. 9, as coded)
    teacher <- m teacher + (1 - m) student, after every step of the optimiser                      (eq. 11)

Eq. 9 prints log F_s, which need not be positive; eq. 8 lacks a minus sign; both as coded here. The teacher runs in evaluation mode
(the published code leaves its dropout on; `teacher_dropout`). The share of high instances falls to 0 by a cosine, momentum may rise to 1.
momentum=0 makes the teacher the student of the step before, momentum=1 keeps it as it was initialised.
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
from napari_mil.errors import CheckpointError, OptionError, UnknownNameError

BASES = (ABMIL, DSMIL, DSMILReleased, TransMIL)


class Miner(Aggregator):
    """A student that is trained on what a momentum teacher leaves it; in evaluation, the student.

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
        ``"attention"``, or ``"class"``: the class-aware score of the second version, max_c softmax_c(W_c a_n h_n); attention bases only.
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
                f"the temperature is above 0 and the momentum in [0, 1], not {tau:g} and {momentum:g}"
            )
        self.reads_16_bits = base.reads_16_bits
        self.student, self.teacher = base, deepcopy(base).requires_grad_(False)
        self.ratios, self.consistency, self.tau = ratios, consistency, tau
        self.momentum, self.momentum_rises, self.high_decays = momentum, momentum_rises, high_decays
        self.fusion, self.rank_by, self.min_keep, self.teacher_dropout = (
            fusion,
            rank_by,
            min_keep,
            teacher_dropout,
        )
        self.step, self.steps = 0, 1

    def train(self, mode: bool = True) -> Miner:
        """Set training mode; the teacher stays in evaluation unless its dropout is wanted."""
        super().train(mode)
        self.teacher.train(mode and self.teacher_dropout)
        return self

    def aggregate(
        self, bag: Tensor, target: Tensor | None, instance_target: Tensor | None
    ) -> BagOutput:
        """In training: `masks` by kind, masked rows 0 in `attention` and NaN in `instance_logits`, `scores` are what the teacher ranks by."""
        if not self.training:
            return self.student(bag, target, instance_target)
        scores, teacher = self.rank(bag)
        masks = self.masks_of(scores)
        seen = (
            ~torch.stack(list(masks.values())).any(0)
            if masks
            else torch.ones(len(bag), dtype=torch.bool, device=bag.device)
        )
        output: BagOutput = self.student(
            bag[seen], target, None if instance_target is None else instance_target[seen]
        )
        losses = dict(output.losses)
        if target is not None:
            assert output.embedding is not None
            assert teacher.embedding is not None
            losses["consistency"] = self.consistency * consistency_loss(
                output.embedding, teacher.embedding, self.tau
            )
        return replace(
            output,
            attention=_spread(output.attention, seen, 0.0),
            instance_logits=_spread(output.instance_logits, seen, torch.nan),
            critical=None if output.critical is None else seen.nonzero()[:, 0][output.critical],
            scores=scores,
            masks=masks,
            losses=losses,
        )

    @torch.no_grad()
    def masks(self, bag: Tensor) -> dict[str, Tensor]:
        """Return what the teacher would mask of a bag: bool (N,) by kind."""
        return self.masks_of(self.rank(self.instances(bag))[0])

    def masks_of(self, scores: Tensor) -> dict[str, Tensor]:
        """Return the masks that scores (N, H) come to: bool (N,) for every kind of the strategy, whether or not it still masks any."""
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
        """Return (N, H) that masks go by, and the teacher's output: attention; DSMIL's instance logits of the best class; TransMIL's read-out."""
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
        return (
            replace(self.ratios, high=cosine(self.ratios.high, 0.0, self.step, self.steps))
            if self.high_decays
            else self.ratios
        )

    def current_momentum(self) -> float:
        """Return m of this step."""
        return (
            cosine(self.momentum, 1.0, self.step, self.steps)
            if self.momentum_rises
            else self.momentum
        )

    def advance(self, step: int, steps: int) -> None:
        """Say which step of the optimiser comes next, of how many (counted from 0)."""
        self.step, self.steps = step, steps

    @torch.no_grad()
    def update_teacher(self) -> None:
        """Eq. 11, after a step of the optimiser; running statistics are copied."""
        m = self.current_momentum()
        for ours, theirs in zip(self.teacher.parameters(), self.student.parameters(), strict=True):
            ours.mul_(m).add_(theirs, alpha=1 - m)
        for statistic, current in zip(self.teacher.buffers(), self.student.buffers(), strict=True):
            statistic.copy_(current)

    def forward_packed(self, features: Tensor, offsets: Tensor) -> PackedOutput:
        """See `Aggregator.forward_packed`; in evaluation, the student's."""
        return (
            super().forward_packed(features, offsets)
            if self.training
            else self.student.forward_packed(features, offsets)
        )

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
            What the student takes: its projection, as published (with the backbone, where there is one), all or nothing.

        Raises
        ------
        CheckpointError
            If the weights do not fit the base.
        OptionError
            If the base has no projection.
        """
        first = ("projection.", "backbone.", "aggregator.projection.")
        taken = {
            key: state[key]
            for key in state
            if student == "all" or (student == "projection" and key.startswith(first))
        }
        if student == "projection" and not taken:
            raise OptionError(
                "The student has no projection to start from; let it take all of the trained model, or nothing."
            )
        try:
            self.teacher.load_state_dict(dict(state))
            self.student.load_state_dict({**self.student.state_dict(), **taken})
        except RuntimeError as error:
            raise CheckpointError(
                f"The trained model does not fit the base of the miner ({' '.join(str(error).split())[:200]})."
            ) from error


def create_miner(strategy: str, base: Aggregator, **options: Any) -> Miner:
    """Put a mining strategy around an aggregator.

    Parameters
    ----------
    strategy
        ``"ham"``, ``"l-ham"``, ``"r-ham"`` or ``"lr-ham"``.
    base
        An aggregator of the kinds abmil, gated-abmil, dsmil, dsmil-released or transmil, or a backbone with one of them.
    **options
        `high`, `low`, `random`, `drawn` as `MaskRatios`, of the kinds that the strategy has; the rest as `Miner`. What is not given is as
        published for such a base.

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
            f"There is no mining strategy named {strategy!r}; choose one of {', '.join(STRATEGIES)}."
        )
    core = base.aggregator if isinstance(base, EndToEnd) else base
    if not isinstance(core, BASES):
        raise UnknownNameError(
            f"Mining needs abmil, gated-abmil, dsmil, dsmil-released or transmil as its base, not {type(core).__name__}."
        )
    kinds = STRATEGIES[strategy].kinds
    try:
        check_shares(strategy, options)
    except ValueError as error:
        raise OptionError(str(error)) from None
    published = asdict(published_settings(strategy, transmil=isinstance(core, TransMIL)))
    settings = {**published, **options}
    shares = {kind: settings[kind] for kind in kinds}
    rest = {name: value for name, value in settings.items() if name not in (*KINDS, "drawn")}
    check_options(f"The strategy {strategy}", Miner, rest)
    try:
        return Miner(base, MaskRatios(**shares, drawn=settings["drawn"]), **rest)
    except (TypeError, ValueError) as error:
        raise OptionError(
            f"The strategy {strategy} does not take these options ({error}); see its documentation."
        ) from error


def consistency_loss(student: Tensor, teacher: Tensor, tau: float) -> Tensor:
    """-sum_d softmax(F_t / tau)_d log softmax(F_s)_d (eq. 9), the mean over rows: (D,) or (C, D) twice -> ()."""
    return (
        -(functional.softmax(teacher.detach() / tau, -1) * functional.log_softmax(student, -1))
        .sum(-1)
        .mean()
    )


def class_aware_scores(h: Tensor, attention: Tensor, weight: Tensor, multi_label: bool) -> Tensor:
    """max_c softmax_c(W_c a_n h_n), second version of MHIM-MIL; a bias common to all classes would cancel: (N, M), (N, 1), (C, M) -> (N, 1)."""
    return link(attention * (h @ weight.T), multi_label).amax(1, keepdim=True)


def _spread(rows: Tensor | None, seen: Tensor, filling: float) -> Tensor | None:
    """Put rows back in their places among all instances."""
    if rows is None:
        return None
    whole = rows.new_full((len(seen), rows.shape[1]), filling)
    return whole.masked_scatter(seen[:, None].expand_as(whole), rows)
