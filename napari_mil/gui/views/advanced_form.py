"""The fields of a training configuration that lie below the fold, and how the window reads numbers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from magicgui.widgets import create_widget
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFormLayout, QWidget

from napari_mil.gui.glyphs import MASK_GLYPHS


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
    """Read a number with a point or a comma; what is none stays as it is, so that it can be named; nothing stands for nothing."""
    written = text.strip()
    try:
        number = float(written.replace(",", ".")) if written else None
    except ValueError:
        return written
    return int(number) if rule.whole and number is not None and number == int(number) else number


def complaint(label: str, value: Any, rule: Rule) -> str:
    """Say what is wrong with what `read_number` read, or nothing."""
    if value is None or (
        isinstance(value, (int, float))
        and rule.holds(value)
        and (not rule.whole or isinstance(value, int))
    ):
        return ""
    return f"{label} is {rule.words}, not {value!r}."


def number_text(value: Any) -> str:
    """Return a number as a person writes it."""
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


@dataclass(frozen=True)
class Entry:
    """One row of the form."""

    label: str
    empty: str = ""
    """Who decides where nothing is entered."""
    rule: Rule | None = None
    """Of a number that may be left open; rows without one are never empty."""
    default: Any = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Of the widget."""


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
"""Rows of the form, by the fields of the configuration."""
MINING = ("high", "low", "random", "consistency", "momentum")
"""Rows that are options of the mining strategy."""
STREAMS = "alternate_streams"
"""Row of the method with two streams."""
BY_METHOD = ("weight_decay", "bags_per_step", "patience", *MINING)
"""Rows that another method brings along."""
TILING = ("tile_px", "mpp")
"""Rows that a classifier to start from has settled."""


class AdvancedForm(QWidget):
    """Emits `changed`; what is empty or disabled is left to recipe, encoder and start."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._widgets = {name: _make_widget(name, entry) for name, entry in ENTRIES.items()}
        self._rows = QFormLayout(self)
        self._rows.setContentsMargins(0, 0, 0, 0)
        self._rows.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        for name, widget in self._widgets.items():
            self._rows.addRow(ENTRIES[name].label, widget.native)
            widget.changed.connect(lambda _: self.changed.emit())
        self._shown: set[str] = set(ENTRIES)
        self.set_method(kinds=(), two_streams=False)

    def __getitem__(self, name: str) -> Any:
        """Return the widget of a row."""
        return self._widgets[name]

    @property
    def fields(self) -> dict[str, Any]:
        """What is filled in, as fields of a `TrainingConfig`; a number that is none as its text."""
        values = {
            name: self._value(name)
            for name in ENTRIES
            if name in self._shown and self._widgets[name].enabled
        }
        given = {name: value for name, value in values.items() if value is not None}
        options = {name: given.pop(name) for name in MINING if name in given}
        return given | ({"strategy_options": options} if options else {})

    @property
    def problem(self) -> str:
        """What is wrong with a number, in one sentence, or nothing."""
        fields = self.fields
        given = fields | fields.get("strategy_options", {})
        said = (
            complaint(entry.label, given.get(name), entry.rule)
            for name, entry in ENTRIES.items()
            if entry.rule is not None
        )
        return next(filter(None, said), "")

    @property
    def n_changed(self) -> int:
        """How many rows differ from what they are by default."""
        return sum(
            self._widgets[name].value != ENTRIES[name].default
            for name in self._shown
            if self._widgets[name].enabled
        )

    def set_fields(self, fields: Mapping[str, Any]) -> None:
        """Show the configuration of a run."""
        given = {**fields, **(fields.get("strategy_options") or {})}
        for name, entry in ENTRIES.items():
            with suppress(
                ValueError
            ):  # a file may hold more than the form can show; it is the file that counts
                self._widgets[name].value = (
                    number_text(given.get(name))
                    if entry.rule is not None
                    else given.get(name, entry.default)
                )

    def forget_method(self) -> None:
        """Leave to the recipe what belongs to a method."""
        for name in BY_METHOD:
            self._widgets[name].value = ""

    def set_tiles(self, settled: str, tissue_settled: str) -> None:
        """Say why tiles, and where they lie, are settled; or let them be chosen."""
        for name, why in {**dict.fromkeys(TILING, settled), "mask": tissue_settled}.items():
            self._widgets[name].enabled = not why
            self._widgets[name].native.setToolTip(why)
        self.changed.emit()

    def set_method(self, *, kinds: Collection[str], two_streams: bool) -> None:
        """Show the rows of a method: of the kinds of instances that its mining strategy masks, and of its streams."""
        mined = {name for name in MINING if kinds and (name in kinds or name not in MASK_GLYPHS)}
        self._shown = (
            (set(ENTRIES) - {*MINING, STREAMS}) | mined | ({STREAMS} if two_streams else set())
        )
        for name in (*MINING, STREAMS):
            native = self._widgets[name].native
            for part in (native, self._rows.labelForField(native)):
                part.setVisible(name in self._shown)
        self.changed.emit()

    def _value(self, name: str) -> Any:
        rule, value = ENTRIES[name].rule, self._widgets[name].value
        return value if rule is None else read_number(value, rule)


def _make_widget(name: str, entry: Entry) -> Any:
    options = dict(entry.options)
    widget = create_widget(
        value=entry.default,
        annotation=type(entry.default),
        name=name,
        label=entry.label,
        widget_type=options.pop("widget_type", None),
        options=options,
    )
    native = widget.native
    if entry.empty:
        native.setPlaceholderText(entry.empty)
    if hasattr(native, "setMinimumContentsLength"):
        native.setSizeAdjustPolicy(native.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        native.setMinimumContentsLength(8)
    native.setAccessibleName(entry.label)
    return widget
