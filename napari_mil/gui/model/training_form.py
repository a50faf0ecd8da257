"""The form of a training configuration: its rows, and how numbers are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from napari_mil.aggregators.cards import AGGREGATORS
from napari_mil.aggregators.mining.cards import KINDS, STRATEGIES
from napari_mil.errors import NapariMilError
from napari_mil.training.config import RECIPE_FIELDS, make_config
from napari_mil.training.recipes import Recipe, RecipeKind, recipe_of
from napari_mil.training.regions.classes import mapping_text

PLAIN = "plain"
DEFAULT_AGGREGATOR = "gated-abmil"


@dataclass(frozen=True)
class Rule:
    """What a number has to be."""

    words: str
    holds: Callable[[float], bool]
    whole: bool = False


COUNT = Rule("a whole number of at least 1", lambda number: number >= 1, whole=True)
ABOVE_0 = Rule("a number above 0", lambda number: number > 0)
AT_LEAST_0 = Rule("a number of at least 0", lambda number: number >= 0)
UP_TO_1 = Rule("a number from 0 to 1", lambda number: 0 <= number <= 1)
SHARE = Rule("a share of at least 0 and below 1", lambda number: 0 <= number < 1)


def read_number(text: str, rule: Rule) -> float | str | None:
    """Read a number with a point or a comma.

    Returns
    -------
    float, str or None
        What is no number stays as it is, so that it can be named; nothing stands for nothing.
    """
    written = text.strip()
    if not written:
        return None
    try:
        number = float(written.replace(",", "."))
    except ValueError:
        return written
    return int(number) if rule.whole and number == int(number) else number


def complain(label: str, value: Any, rule: Rule) -> str:
    """Say what is wrong with what `read_number` read, or nothing."""
    if value is None:
        return ""
    is_number = isinstance(value, (int, float)) and rule.holds(value)
    if is_number and (isinstance(value, int) or not rule.whole):
        return ""
    return f"{label} is {rule.words}, not {value!r}."


def number_text(value: Any) -> str:
    """Return a number as a person writes it."""
    if value is None:
        return ""
    return f"{value:g}" if isinstance(value, float) else str(value)


@dataclass(frozen=True)
class Entry:
    """One row below the fold."""

    label: str
    empty: str = ""
    """What decides where nothing is entered."""
    rule: Rule | None = None
    """Of a number that may be left open; rows without one are never empty."""
    default: Any = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Options of the widget."""


def _choices(*choices: tuple[str, Any]) -> Mapping[str, Any]:
    return {"widget_type": "ComboBox", "choices": list(choices)}


ENTRIES = {
    "tile_px": Entry("Tile, px", "by the encoder", COUNT),
    "mpp": Entry("Tile, µm/px", "by the encoder", ABOVE_0),
    "mask": Entry(
        "Tissue", default="auto", options=_choices(("detect", "auto"), ("whole slide", "none"))
    ),
    "class_balance": Entry(
        "Class balance",
        default="none",
        options=_choices(
            ("as they are", "none"), ("weigh the loss", "weights"), ("draw evenly", "sampling")
        ),
    ),
    "validation": Entry(
        "Validation share", default=0.2, options={"min": 0.0, "max": 0.5, "step": 0.05}
    ),
    "select": Entry(
        "Epoch kept by",
        default="auto",
        options=_choices(
            ("validation loss", "auto"), ("validation AUC", "auc"), ("none: the last", "last")
        ),
    ),
    "alternate_streams": Entry(
        "Streams learn",
        default=False,
        options=_choices(("both at once", False), ("in turns", True)),
    ),
    "instance_dropout": Entry(
        "Instance dropout", default=0.0, options={"min": 0.0, "max": 0.95, "step": 0.05}
    ),
    "recipe": Entry(
        "Recipe",
        default="default",
        options=_choices(("for few bags", "default"), ("as published", "published")),
    ),
    "weight_decay": Entry("Weight decay", "by the recipe", AT_LEAST_0),
    "bags_per_step": Entry("Bags per step", "by the recipe", COUNT),
    "patience": Entry("Patience, epochs", "by the recipe", COUNT),
    "high": Entry("Masked: highest", "as published", SHARE),
    "low": Entry("Masked: lowest", "as published", SHARE),
    "random": Entry("Masked: random", "as published", SHARE),
    "consistency": Entry("Consistency, α", "as published", AT_LEAST_0),
    "momentum": Entry("Teacher momentum", "as published", UP_TO_1),
    "seed": Entry("Seed", default=0, options={"min": 0, "max": 2**31 - 1}),
}
"""Rows below the fold, by the fields of the configuration."""
MINING = ("high", "low", "random", "consistency", "momentum")
"""Rows that are options of the mining strategy."""
STREAMS = "alternate_streams"
"""Row of the methods with two streams."""
BY_METHOD = ("weight_decay", "bags_per_step", "patience", *MINING)
"""Rows that another method brings along."""
TILING = ("tile_px", "mpp")
"""Rows that a classifier to start from has settled."""


@dataclass(frozen=True)
class Form:
    """What a person entered; what is empty is left to recipe, encoder and start."""

    aggregator: str = DEFAULT_AGGREGATOR
    strategy: str = PLAIN
    encoder: str = ""
    """Empty leaves it to the bags."""
    start_from: str = ""
    """Name or folder of a classifier; empty starts with fresh weights."""
    positive_class: str = ""
    epochs: int | None = None
    """None takes the recipe's."""
    learning_rate: str = ""
    """Empty takes the recipe's."""
    slide_mpp: str = ""
    region_classes: str = ""
    """Classes of names of regions, as ``Tumor=malignant``."""
    patient_pattern: str = ""
    folds: int = 0
    """Folds of the evaluation afterwards; 0 for none."""
    advanced: Mapping[str, Any] = field(default_factory=dict)
    """Rows below the fold that differ from their default, as they are written."""

    @property
    def recipe(self) -> Recipe:
        """Way to train the chosen method, by default or as published."""
        kind: RecipeKind = self.advanced.get("recipe", "default")
        return recipe_of(self.aggregator, self.strategy, kind, self.encoder)

    def with_method(self, **fields: Any) -> Form:
        """Return the form with another method, whose recipe decides again."""
        form = replace(self, **fields)
        if not AGGREGATORS[form.aggregator].can_be_mined:
            form = replace(form, strategy=PLAIN)
        rest = {name: value for name, value in form.advanced.items() if name not in BY_METHOD}
        return replace(form, advanced=rest)

    def with_advanced(self, name: str, value: Any) -> Form:
        """Return the form with another value in a row below the fold."""
        rest = {key: entry for key, entry in self.advanced.items() if key != name}
        if value != ENTRIES[name].default:
            rest[name] = value
        return replace(self, advanced=rest)


def shown_rows(form: Form) -> tuple[str, ...]:
    """Return the rows below the fold that the chosen method has."""
    kinds = STRATEGIES[form.strategy].kinds if form.strategy in STRATEGIES else ()
    hidden = {kind for kind in KINDS if kind not in kinds}
    if not kinds:
        hidden |= set(MINING)
    if not AGGREGATORS[form.aggregator].two_streams or kinds:
        hidden.add(STREAMS)
    return tuple(name for name in ENTRIES if name not in hidden)


def advanced_fields(form: Form, settled: Mapping[str, str]) -> dict[str, Any]:
    """Return what is filled in below the fold, as fields of a configuration.

    A number that is none stays its text.
    """
    fields: dict[str, Any] = {}
    options: dict[str, Any] = {}
    for name in shown_rows(form):
        if name in settled or name not in form.advanced:
            continue
        rule = ENTRIES[name].rule
        value = form.advanced[name]
        if rule is not None:
            value = read_number(str(value), rule)
        if value is None:
            continue
        (options if name in MINING else fields)[name] = value
    if options:
        fields["strategy_options"] = options
    return fields


def numbers_problem(form: Form, settled: Mapping[str, str]) -> tuple[str, str]:
    """Return (what is wrong with a number, row below the fold that it stands in), or nothing."""
    rate = read_number(form.learning_rate, ABOVE_0)
    scale = read_number(form.slide_mpp, ABOVE_0)
    for label, value in (("Learning rate", rate), ("Slides' µm/px", scale)):
        if complaint := complain(label, value, ABOVE_0):
            return complaint, ""
    fields = advanced_fields(form, settled)
    entered = fields | fields.get("strategy_options", {})
    for name, entry in ENTRIES.items():
        if entry.rule is not None and name in entered:
            complaint = complain(entry.label, entered[name], entry.rule)
            if complaint:
                return complaint, name
    return "", ""


def config_problem(fields: Mapping[str, Any]) -> str:
    """Return why no training configuration can be made of fields, or nothing."""
    try:
        make_config(**fields)
    except NapariMilError as error:
        return str(error)
    return ""


def form_of(config: Mapping[str, Any]) -> Form:
    """Return the form that shows a run's configuration: what differs from its recipe."""
    aggregator = config.get("aggregator") or DEFAULT_AGGREGATOR
    strategy = config.get("strategy") or PLAIN
    kind: RecipeKind = config.get("recipe") or "default"
    recipe = recipe_of(aggregator, strategy, kind, config.get("encoder"))

    def own(name: str) -> Any:
        value = config.get(name)
        return (
            None
            if name in RECIPE_FIELDS and hasattr(recipe, name) and getattr(recipe, name) == value
            else value
        )

    options = config.get("strategy_options") or {}
    advanced: dict[str, Any] = {}
    for name, entry in ENTRIES.items():
        value = options.get(name) if name in MINING else own(name)
        if value is None:
            continue
        written = number_text(value) if entry.rule is not None else value
        if written != entry.default:
            advanced[name] = written
    return Form(
        aggregator=aggregator,
        strategy=strategy,
        encoder=config.get("encoder") or "",
        start_from=config.get("start_from") or "",
        positive_class=config.get("positive_class") or "",
        epochs=own("epochs"),
        learning_rate=number_text(own("learning_rate")),
        slide_mpp=number_text(config.get("slide_mpp")),
        patient_pattern=config.get("patient_pattern") or "",
        region_classes=mapping_text(config.get("region_classes") or {}),
        advanced=advanced,
    )
