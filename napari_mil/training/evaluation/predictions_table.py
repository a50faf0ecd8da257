"""Tables of predictions: ``predictions.csv`` and ``validation.csv`` of an evaluation or a score.

A row is the answer for one bag in one repeat. Columns: ``bag`` (path below the cohort's folder),
``patient``, ``class`` (the truth), ``repeat``, ``fold`` (from 0; empty where one classifier
answered), ``logit_…``, ``uncalibrated_…`` and ``probability_…`` of each class (before and after
temperature), ``temperature``, ``threshold``, ``validation_threshold``, ``unlike``, ``label`` (the
answer). Where bags have several classes, the first and the last are ``classes`` and ``labels``.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_mil.errors import OutputError
from napari_mil.training.evaluation.answers import (
    Answers,
    LabelledBag,
    Link,
    given_classes,
    per_class,
)

SEPARATOR = ";"
"""Character between several classes of one bag."""
LOGIT, UNCALIBRATED, PROBABILITY = "logit_", "uncalibrated_", "probability_"
"""Beginnings of the names of columns, before the name of a class."""


@dataclass(frozen=True)
class Row:
    """Answer for one bag in one repeat."""

    bag: LabelledBag
    repeat: int | None
    """Repeat, from 0; None where one classifier answered."""
    fold: int | None
    """Fold whose classifier answered, from 0; None where there are none."""
    logits: tuple[float, ...]
    """As the network gave them."""
    temperature: float
    threshold: float
    validation_threshold: float | None = None
    unlike: float | None = None


@dataclass(frozen=True)
class PredictionsTable:
    """Rows of answers with the classes and the link that they share."""

    classes: tuple[str, ...]
    link: Link
    rows: tuple[Row, ...]

    @classmethod
    def of(cls, answers: Answers) -> PredictionsTable:
        """Return the table of answers, one repeat after the other."""
        rows = [
            _row(answers, repeat, b)
            for repeat in range(answers.repeats)
            for b in range(len(answers.bags))
        ]
        return cls(answers.classes, answers.link, tuple(rows))

    def answers(self) -> Answers:
        """Return the answers of a table in which every bag is answered once a repeat.

        Groups are patients: a table does not say which bags are copies of each other.

        Raises
        ------
        ValueError
            If a bag is missing in a repeat or stands there twice, or its facts change.
        """
        bags = tuple(dict.fromkeys(row.bag for row in self.rows))
        place = {bag.path: b for b, bag in enumerate(bags)}
        repeats = sorted({row.repeat or 0 for row in self.rows})
        shape = (len(repeats), len(bags))
        order = sorted(self.rows, key=lambda row: (row.repeat or 0, place[row.bag.path]))
        expected = [(repeat, bag) for repeat in repeats for bag in bags]
        if len(place) < len(bags) or [(row.repeat or 0, row.bag) for row in order] != expected:
            raise ValueError(
                "a bag is missing in a repeat, stands in it twice or changes its class"
            )
        n_outputs = len(self.rows[0].logits) if self.rows else 0
        return Answers(
            classes=self.classes,
            link=self.link,
            bags=bags,
            groups=tuple(bag.patient for bag in bags),
            uncalibrated=np.array([row.logits for row in order]).reshape(*shape, n_outputs),
            temperature=np.array([row.temperature for row in order]).reshape(shape),
            threshold=np.array([row.threshold for row in order]).reshape(shape),
            validation_threshold=_known([row.validation_threshold for row in order], shape),
            fold_of=_folds([row.fold for row in order], shape),
            unlike=_known([row.unlike for row in order[: len(bags)]], (len(bags),)),
        )

    def text(self) -> str:
        """Return the content of the file."""
        file = io.StringIO()
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(self._header())
        if self.rows:
            logits = np.array([row.logits for row in self.rows])
            temperature = np.array([[row.temperature] for row in self.rows])
            before = per_class(logits, self.link)
            after = per_class(logits / temperature, self.link)
            threshold = np.array([row.threshold for row in self.rows])
            given = given_classes(after, threshold, self.link)
            for row, *values in zip(self.rows, before, after, given, strict=True):
                writer.writerow(self._cells(row, *values))
        return file.getvalue()

    @property
    def _is_multi_label(self) -> bool:
        return self.link is Link.MULTI_LABEL

    @property
    def _with_logits(self) -> tuple[str, ...]:
        """Classes that have a logit."""
        return self.classes[1:] if self.link is Link.SIGMOID else self.classes

    def _header(self) -> list[str]:
        return [
            "bag",
            "patient",
            "classes" if self._is_multi_label else "class",
            "repeat",
            "fold",
            *(LOGIT + name for name in self._with_logits),
            *(UNCALIBRATED + name for name in self.classes),
            *(PROBABILITY + name for name in self.classes),
            "temperature",
            "threshold",
            "validation_threshold",
            "unlike",
            "labels" if self._is_multi_label else "label",
        ]

    def _cells(
        self, row: Row, before: np.ndarray, after: np.ndarray, given: np.ndarray
    ) -> list[str]:
        labels = [name for name, is_given in zip(self.classes, given, strict=True) if is_given]
        return [
            row.bag.path,
            row.bag.patient,
            SEPARATOR.join(row.bag.labels),
            _cell(row.repeat),
            _cell(row.fold),
            *map(repr, row.logits),
            *map(repr, before.tolist()),
            *map(repr, after.tolist()),
            repr(row.temperature),
            repr(row.threshold),
            _cell(row.validation_threshold),
            _cell(row.unlike),
            SEPARATOR.join(labels),
        ]


def read_predictions(path: Path) -> PredictionsTable:
    """Read a table of predictions.

    Raises
    ------
    OutputError
        If it cannot be read, or is no such table.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            header = list(reader.fieldnames or ())
            classes = _names(header, PROBABILITY)
            logits = _names(header, LOGIT)
            several = "classes" in header
            if not classes or not logits:
                raise ValueError("it has no columns of logits and probabilities")
            rows = [_read_row(cells, logits, several=several) for cells in reader]
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise OutputError(
            f"{path.name} in {path.parent} cannot be read as predictions ({error}); "
            "evaluate again, or give another folder."
        ) from error
    link = Link.MULTI_LABEL
    if not several:
        link = Link.SIGMOID if len(logits) < len(classes) else Link.SOFTMAX
    return PredictionsTable(classes, link, tuple(rows))


def _row(answers: Answers, repeat: int, b: int) -> Row:
    folds = answers.fold_of
    threshold = answers.validation_threshold
    return Row(
        bag=answers.bags[b],
        repeat=None if folds is None else repeat,
        fold=None if folds is None else int(folds[repeat, b]),
        logits=tuple(answers.uncalibrated[repeat, b].tolist()),
        temperature=float(answers.temperature[repeat, b]),
        threshold=float(answers.threshold[repeat, b]),
        validation_threshold=None if threshold is None else float(threshold[repeat, b]),
        unlike=None if answers.unlike is None else _number(answers.unlike[b]),
    )


def _number(value: float) -> float | None:
    """Return a number, or None of a NaN."""
    return None if np.isnan(value) else float(value)


def _cell(value: float | None) -> str:
    return "" if value is None else repr(value)


def _names(header: Iterable[str], prefix: str) -> tuple[str, ...]:
    """Return the classes of the columns that begin with a prefix, in their order."""
    return tuple(name.removeprefix(prefix) for name in header if name.startswith(prefix))


def _read_row(cells: Mapping[str, str], logits: Iterable[str], *, several: bool) -> Row:
    text = cells["classes" if several else "class"]
    labels = tuple(filter(None, text.split(SEPARATOR))) if several else (text,)
    return Row(
        bag=LabelledBag(cells["bag"], cells["patient"], labels),
        repeat=_whole(cells["repeat"]),
        fold=_whole(cells["fold"]),
        logits=tuple(float(cells[LOGIT + name]) for name in logits),
        temperature=float(cells["temperature"]),
        threshold=float(cells["threshold"]),
        validation_threshold=_optional(cells["validation_threshold"]),
        unlike=_optional(cells["unlike"]),
    )


def _whole(cell: str) -> int | None:
    return int(cell) if cell else None


def _optional(cell: str) -> float | None:
    return float(cell) if cell else None


def _known(values: Sequence[float | None], shape: tuple[int, ...]) -> np.ndarray | None:
    """Return values in a shape, NaN where there is none; None without any."""
    if all(value is None for value in values):
        return None
    return np.array([np.nan if value is None else value for value in values]).reshape(shape)


def _folds(values: Sequence[int | None], shape: tuple[int, ...]) -> np.ndarray | None:
    """Return folds in a shape, or None without any.

    Raises
    ------
    ValueError
        If some have a fold and others none.
    """
    known = [value for value in values if value is not None]
    if not known:
        return None
    if len(known) < len(values):
        raise ValueError("some rows have a fold, others none")
    return np.array(known).reshape(shape)
