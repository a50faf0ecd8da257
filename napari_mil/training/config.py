"""Configuration of a training run.

One typed object that the window, the command line and ``config.json`` share.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from napari_mil.aggregators.cards import AGGREGATORS, names_that_can_be_mined
from napari_mil.aggregators.mining.cards import STRATEGIES, check_shares
from napari_mil.encoders.cards import DEFAULT_ENCODER
from napari_mil.encoders.catalogue import find_encoder_card, list_encoders
from napari_mil.errors import CheckpointError, OptionError, UnknownNameError
from napari_mil.networks.cards import BACKBONES
from napari_mil.training.recipes import (
    Optimiser,
    Recipe,
    RecipeKind,
    Schedule,
    Strategy,
    has_maps_for,
    recipe_of,
)

MACHINE_FIELDS = {"cohort", "start_from", "threads", "memory_gb", "device"}
"""Fields that say where a run computes and from which path.

They do not change what is computed, so they are left out where runs are compared, and in bundles.
"""
MEMORY_FIELDS = {"backbone", "chunk"}
"""Fields that free memory decides where they are open.

The result is the same.
"""
FEWEST_TO_SELECT = 20
"""Training bags below which no epoch is chosen.

With fewer, validation bags choose nothing and the last epoch is taken (methods §13).
"""
SETTLED_BY_COHORT = {"in_dim", "n_classes", "multi_label", "spatial_dims"}
"""Options of an aggregator that follow from the cohort."""
BEFORE_RECIPES = {"recipe": "published", "teacher": "fresh", "threshold": "half"}
"""What runs of versions did that knew no other recipes than published ones."""
RECIPE_FIELDS = (
    "optimiser",
    "learning_rate",
    "weight_decay",
    "schedule",
    "epochs",
    "bags_per_step",
    "patience",
    "earliest_stop",
    "clip",
    "warm_up",
)
"""Fields that a recipe fills in where they are open."""
Positive = Annotated[int, Field(ge=1)]


class TrainingConfig(BaseModel):
    """How to train.

    What is None comes from the method's recipe (`recipes`) or from the cohort.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    cohort: str | None = Field(
        None,
        description="Folder with annotated bags, or its table, "
        "so that a configuration is complete by itself.",
    )
    aggregator: str = Field(
        "gated-abmil",
        description="One of `list aggregators`; attention MIL is the field's baseline.",
    )
    aggregator_options: dict[str, Any] = Field(
        {}, description="Options of the aggregator, as its class documents them."
    )
    strategy: Strategy = Field(
        "plain",
        description="Masked hard-instance mining around the aggregator: ham, l-ham, r-ham, lr-ham.",
    )
    strategy_options: dict[str, Any] = Field(
        {}, description="Options of the mining strategy; by default those published for its base."
    )
    recipe: RecipeKind = Field(
        "default",
        description="Where open fields come from: default, a way of training that learns on few "
        "bags, or published, the method's own.",
    )
    teacher: Literal["trained", "fresh"] = Field(
        "trained",
        description="Teacher that masked mining starts with: the trained aggregator, as published, "
        "in a stage before it, or a copy of the untrained student.",
    )
    teacher_epochs: Positive | None = Field(
        None,
        description="Epochs at most in which the aggregator is trained as a teacher; "
        "by default those of its recipe, and no more than epochs.",
    )
    encoder: str | None = Field(
        None,
        description="A frozen encoder, by name or the folder of an adapted one, or a network "
        "trained together with the aggregator (lenet5, nucleus-net, resnet18); "
        f"by default {DEFAULT_ENCODER}.",
    )
    backbone: Literal["auto", "joint", "chunks", "frozen"] = Field(
        "auto",
        description="How a trained network meets large bags: whole, in chunks computed twice, "
        "or not trained; by default what memory allows.",
    )
    chunk: Positive | None = Field(
        None,
        description="Images that pass a trained network at a time, where it is trained in chunks; "
        "by default what memory allows.",
    )
    start_from: str | None = Field(
        None,
        description="Classifier (name or folder) whose weights, encoder and tiling are the start; "
        "by default fresh weights.",
    )
    patient_pattern: str | None = Field(
        None,
        description="Regular expression on names of bags whose match, or only group, is the "
        "patient, where nothing else says it.",
    )
    positive_class: str | None = Field(
        None, description="Of two classes, the one that counts as positive."
    )
    region_classes: dict[str, str] = Field(
        {},
        description="Class by name of a region, where annotation files name theirs otherwise; "
        "an empty class leaves such regions out.",
    )

    tile_px: Positive | None = Field(
        None, description="Side of a tile, px; by default the encoder's own."
    )
    mpp: float | None = Field(
        None, gt=0, description="Scale of a tile, µm per px; by default the encoder's own."
    )
    overlap: float = Field(
        0.0, ge=0, lt=1, description="Share of a tile that its neighbour repeats."
    )
    slide_mpp: float | None = Field(
        None,
        gt=0,
        description="µm per level-0 pixel of slides that do not say it; "
        "assumed, and said so in the card.",
    )
    mask: Literal["auto", "none"] = Field(
        "auto", description="Tiles on detected tissue, or of the whole slide."
    )

    epochs: Positive | None = Field(None, description="Epochs at most.")
    learning_rate: float | None = Field(
        None, gt=0, description="Step of the optimiser at the start."
    )
    weight_decay: float | None = Field(None, ge=0, description="Pull of weights towards 0.")
    optimiser: Optimiser | None = Field(
        None, description="adam, adamw, radam, lookahead-radam or sgd."
    )
    schedule: Schedule | None = Field(
        None,
        description="Course of the learning rate: constant, cosine to 0, "
        "steps (at half of the epochs), inverse.",
    )
    bags_per_step: Positive | None = Field(
        None, description="Bags whose gradients are averaged before the optimiser steps."
    )
    clip: float | None = Field(None, gt=0, description="Largest norm of the gradient.")
    warm_up: int | None = Field(
        None,
        ge=0,
        description="First epochs in which every instance also learns the label of its bag, "
        "less and less, where a method scores instances.",
    )
    instance_dropout: float = Field(
        0.0, ge=0, lt=1, description="Share of instances left out of a bag at each visit."
    )
    class_balance: Literal["none", "weights", "sampling"] = Field(
        "none", description="Weigh the loss, or draw bags, so that classes count alike."
    )
    alternate_streams: bool = Field(
        False,
        description="DSMIL: one epoch the instance stream learns, the next one the bag stream, "
        "instead of both at once.",
    )
    instance_labels: bool = Field(
        True, description="Supervise the instance head by annotated regions, where there are both."
    )
    standardise: bool = Field(True, description="Centre and scale features by the training bags.")

    validation: float = Field(
        0.2,
        ge=0,
        le=0.5,
        description="Share of the training patients that choose the epoch, the temperature "
        "and the threshold.",
    )
    patience: Positive | None = Field(
        None, description="Epochs without improvement on validation bags before training stops."
    )
    earliest_stop: int | None = Field(
        None, ge=0, description="Epochs that are trained in any case."
    )
    select: Literal["auto", "loss", "auc", "last"] = Field(
        "auto",
        description="Epoch that is kept: of least validation loss, largest AUC, or the last; "
        f"auto is loss, with under {FEWEST_TO_SELECT} bags the last.",
    )
    threshold: Literal["auto", "half", "validation"] = Field(
        "auto",
        description="Probability from which the positive class is predicted: 0.5, "
        "or best on validation bags; auto is the latter, with few validation bags 0.5.",
    )

    seed: int = Field(
        0, ge=0, lt=2**31, description="Random seed for weights, shuffling and sampling."
    )
    device: str = Field("auto", description="auto, cpu or cuda.")
    precision: Literal["auto", "float32", "mixed"] = Field(
        "auto",
        description="mixed: bfloat16 where it is safe; auto: mixed on a GPU, float32 on the CPU.",
    )
    threads: int | None = Field(
        None,
        ge=1,
        le=1024,
        description="Cores on the CPU; kept with the run, since sums depend on it in the last bit.",
    )
    memory_gb: float | None = Field(
        None,
        gt=0,
        description="Memory in GB that features and activations may take; "
        "by default half of what is free.",
    )

    @model_validator(mode="after")
    def _check(self) -> TrainingConfig:
        _check_name("aggregator", self.aggregator, AGGREGATORS)
        if self.encoder is not None:
            _check_encoder(self.encoder)
        if settled := sorted(SETTLED_BY_COHORT & set(self.aggregator_options)):
            raise ValueError(
                f"{settled[0]} follows from the cohort; leave it out of the aggregator's options."
            )
        self._check_strategy()
        self._check_streams()
        self._check_patient_pattern()
        return self

    def _check_strategy(self) -> None:
        if not self.mines:
            return
        if not AGGREGATORS[self.aggregator].can_be_mined:
            raise ValueError(
                f"The strategy {self.strategy} needs a method with attention that it can mask "
                f"({', '.join(names_that_can_be_mined())}), not {self.aggregator}."
            )
        check_shares(self.strategy, self.strategy_options)

    def _check_streams(self) -> None:
        if not self.alternate_streams:
            return
        if not AGGREGATORS[self.aggregator].two_streams:
            names = " and ".join(name for name, card in AGGREGATORS.items() if card.two_streams)
            raise ValueError(f"Only {names} have two streams to alternate, not {self.aggregator}.")
        if self.mines:
            raise ValueError(
                "Streams are alternated without a mining strategy; choose one of the two."
            )

    def _check_patient_pattern(self) -> None:
        if self.patient_pattern is None:
            return
        try:
            groups = re.compile(self.patient_pattern).groups
        except re.error as error:
            raise ValueError(
                f"The pattern {self.patient_pattern!r} cannot be understood ({error})."
            ) from None
        if groups > 1:
            raise ValueError(
                f"The pattern {self.patient_pattern!r} has {groups} groups; "
                "one group marks the patient."
            )

    @property
    def mines(self) -> bool:
        """Whether instances are mined during training."""
        return self.strategy in STRATEGIES

    @property
    def trains_encoder(self) -> bool:
        """Whether the encoder is trained together with the aggregator."""
        return self.encoder in BACKBONES

    @property
    def has_teacher_stage(self) -> bool:
        """Whether the aggregator is trained as a teacher before it is mined."""
        return self.mines and self.teacher == "trained" and self.start_from is None

    @property
    def takes_maps(self) -> bool:
        """Whether the aggregator takes feature maps instead of vectors."""
        return has_maps_for(self.aggregator, self.encoder)

    def as_teacher(self) -> TrainingConfig:
        """Return the configuration of the stage that trains the aggregator as a teacher.

        The aggregator and its options are those of this one; the way of training is the recipe of
        the plain aggregator.
        """
        recipe = self.model_copy(update={"strategy": "plain"}).chosen_recipe
        epochs = self.teacher_epochs or min(recipe.epochs, self.epochs or recipe.epochs)
        fields = {name: getattr(recipe, name) for name in RECIPE_FIELDS}
        plain = {"strategy": "plain", "strategy_options": {}, "epochs": epochs}
        return self.model_copy(update={**fields, **plain})

    def with_recipe(self) -> TrainingConfig:
        """Return the configuration with open fields filled from the recipe.

        Options of the aggregator that the recipe settles are left to a classifier to start from.
        """
        recipe = self.chosen_recipe
        filled: dict[str, Any] = {
            name: getattr(recipe, name) for name in RECIPE_FIELDS if getattr(self, name) is None
        }
        if self.start_from is None:
            filled["aggregator_options"] = {**recipe.options, **self.aggregator_options}
        return self.model_copy(update=filled)

    @property
    def chosen_recipe(self) -> Recipe:
        """Way to train that fills open fields, with facts beyond the configuration's."""
        return recipe_of(self.aggregator, self.strategy, self.recipe, self.encoder)

    def changed(self, **fields: Any) -> TrainingConfig:
        """Return a checked copy with other values.

        Raises
        ------
        OptionError
            If a value is out of range.
        """
        return make_config(**{**self.model_dump(), **fields})

    def as_json(self) -> str:
        """Return the text of a configuration file."""
        return json.dumps(self.model_dump(), indent=2) + "\n"


def _check_encoder(name: str) -> None:
    """Refuse what is no encoder: neither a name, nor the folder of an adapted one."""
    if name in BACKBONES:
        return
    try:
        find_encoder_card(name)
    except UnknownNameError:
        known = ", ".join((*list_encoders(), *BACKBONES))
        raise ValueError(
            f"There is no encoder named {name!r}; choose one of {known}, "
            "or give the folder of an adapted one."
        ) from None
    except CheckpointError as error:
        raise ValueError(str(error)) from None


def _check_name(role: str, name: str, known: Collection[str]) -> None:
    if name not in known:
        raise ValueError(f"There is no {role} named {name!r}; choose one of {', '.join(known)}.")


def make_config(**fields: Any) -> TrainingConfig:
    """Make a configuration from its fields.

    Raises
    ------
    OptionError
        Naming the first field that is unknown or out of range.
    """
    try:
        return TrainingConfig(**fields)
    except ValidationError as error:
        first = error.errors()[0]
        if first["type"] == "extra_forbidden":
            raise OptionError(_unknown_field(str(first["loc"][0]))) from None
        field = ".".join(str(part) for part in first["loc"])
        reason = str(first["msg"]).removeprefix("Value error, ")
        message = f"{field}: {reason}; it is {first['input']!r}." if field else reason
        raise OptionError(message) from None


def _unknown_field(name: str) -> str:
    """Say that there is no such field, and which one may be meant."""
    similar = get_close_matches(name, TrainingConfig.model_fields, n=1)
    if similar:
        return f"There is no field {name!r}; did you mean {similar[0]}?"
    return f"There is no field {name!r}; the fields are {', '.join(TrainingConfig.model_fields)}."


def read_config(path: str | os.PathLike[str]) -> TrainingConfig:
    """Read a configuration from a JSON file.

    Raises
    ------
    OptionError
        If the file cannot be read, is no JSON, or a field is unknown or out of range.
    """
    file = Path(path)
    try:
        fields = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise OptionError(
            f"{file.name} is no readable configuration ({error}); "
            "give the config.json of a run, or write one like it."
        ) from error
    if not isinstance(fields, dict):
        raise OptionError(
            f"{file.name} is no configuration; it holds one object with the fields of a run."
        )
    if "recipe" not in fields and all(fields.get(name) for name in ("optimiser", "epochs")):
        fields = {**BEFORE_RECIPES, **fields}
    return make_config(**fields)
