"""Cohorts of labelled bags, with what was noticed while scanning them."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from napari_mil.bags.names import bag_name
from napari_mil.errors import TrainingError
from napari_mil.findings import Finding
from napari_mil.training.cohorts.spellings import (
    patient_findings,
    spellings_of,
    used_spellings,
)

SLIDES = "slides"
"""Kind of bags: slides, whose instances are tiles."""
IMAGES = "image folders"
"""Kind of bags: folders of images, whose instances are the images."""
FEATURES = "feature files"
"""Kind of bags: files of features that were extracted already."""
TABLE = "labels.csv"
"""Table that an annotated folder may hold."""


@dataclass(frozen=True)
class CohortBag:
    """One labelled bag."""

    path: Path
    label: str | tuple[str, ...]
    """Class; a tuple of classes, possibly empty, where bags have several."""
    patient: str
    """Patient whose bags stay together in a fold.

    Named after the bag where the patient is unknown.
    """
    n: int | None
    """Number of instances; None for slides.

    Their tiles depend on the configuration.
    """
    kind: str
    """``slides``, ``image folders`` or ``feature files``."""
    split: str | None = None
    """``train``, ``validation`` or ``test``, where the table says so."""
    annotations: tuple[Path, ...] = ()
    """Files of regions beside a slide."""
    regions_complete: bool = True
    """Whether all regions of the slide could be read and lie on it; see `survey_regions`."""
    mpp: float | None = None
    """Micrometres per level-0 pixel of a slide that says it."""
    content: str = ""
    """Identifier of the content, equal for copies."""
    patient_known: bool = True
    """Whether a table, a barcode, a folder or a pattern names the patient."""
    features: tuple[int, ...] = ()
    """Shape of an instance in a feature file."""

    @property
    def name(self) -> str:
        """Name of the bag, without a known ending."""
        return bag_name(self.path, is_folder=self.kind == IMAGES)

    @property
    def labels(self) -> tuple[str, ...]:
        """Classes of the bag as a tuple."""
        return (self.label,) if isinstance(self.label, str) else self.label

    def with_content(
        self,
        kind: str,
        n: int | None,
        content: str,
        *,
        mpp: float | None = None,
        features: tuple[int, ...] = (),
        annotations: tuple[Path, ...] = (),
    ) -> CohortBag:
        """Return the bag with facts about its content."""
        return replace(
            self,
            kind=kind,
            n=n,
            content=content,
            mpp=mpp,
            features=features,
            annotations=annotations,
        )

    @property
    def regions(self) -> str:
        """Identifier of the content of its annotation files; empty without any."""
        content = hashlib.sha256()
        for path in self.annotations:
            with suppress(OSError):  # gone: that is another content too
                content.update(path.read_bytes())
        return content.hexdigest()[:32] if self.annotations else ""


@dataclass(frozen=True)
class Cohort:
    """Labelled bags, and findings about them."""

    root: Path
    classes: tuple[str, ...]
    """Names of the classes.

    Of two, the negative one comes first where its name says so (normal, benign, control, …);
    otherwise they are sorted.
    """
    bags: tuple[CohortBag, ...]
    skipped: tuple[Finding, ...] = ()
    """Files and rows that are not used, with the reason."""
    warnings: tuple[Finding, ...] = ()
    """Findings about bags that are used."""
    multi_label: bool = False
    source: Path | None = None
    """Folder or table that was scanned."""
    in_class_folders: bool = False
    """Whether the labels are the names of folders."""

    def __len__(self) -> int:
        return len(self.bags)

    @property
    def fingerprint(self) -> str:
        """Identifier of contents, labels and regions, whatever their order.

        32 hexadecimal digits that reveal no name.
        """
        facts = sorted((bag.content, bag.labels, bag.regions) for bag in self.bags)
        return hashlib.sha256(repr((self.classes, facts)).encode()).hexdigest()[:32]

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of the bags."""
        return tuple(dict.fromkeys(bag.kind for bag in self.bags))

    @property
    def counts(self) -> dict[str, int]:
        """Number of bags of each class."""
        counts = Counter(label for bag in self.bags for label in bag.labels)
        return {name: counts[name] for name in self.classes}

    @property
    def without_scale(self) -> int:
        """Number of slides that do not say their scale."""
        return sum(bag.kind == SLIDES and bag.mpp is None for bag in self.bags)

    @property
    def n_patients(self) -> int:
        """Number of patients."""
        return len({bag.patient for bag in self.bags})

    @property
    def patients_known(self) -> bool:
        """Whether the patient of every bag is known."""
        return all(bag.patient_known for bag in self.bags)

    @property
    def unit(self) -> str:
        """What stays together in a fold, in words."""
        return self.unit_with(None)

    def unit_with(self, pattern: str | None) -> str:
        """Return `unit` as it is once patients are read from names; see `with_patients`."""
        n_unknown = sum(not bag.patient_known for bag in self.bags)
        if pattern is not None:
            n_unknown -= sum(patient is not None for patient in self._patients_by(pattern))
        if n_unknown == 0:
            return "patient"
        if n_unknown == len(self.bags):
            return "bag (patients unknown)"
        return f"patient (unknown for {n_unknown} of {len(self.bags)} bags)"

    @cached_property
    def targets(self) -> np.ndarray:
        """Targets of the bags.

        Class indices int64 (B,), or 0 and 1 float32 (B, C) where bags have several classes.
        """
        place = {name: k for k, name in enumerate(self.classes)}
        if not self.multi_label:
            return np.array([place[bag.labels[0]] for bag in self.bags], np.int64)
        several = np.zeros((len(self.bags), len(self.classes)), np.float32)
        for b, bag in enumerate(self.bags):
            several[b, [place[name] for name in bag.labels]] = 1
        return several

    @cached_property
    def groups(self) -> tuple[str, ...]:
        """Groups of the bags, which stay together in a fold.

        Groups are patients, and patients joined by copies of one bag.
        """
        parent: dict[str, str] = {}

        def root(name: str) -> str:
            while parent.setdefault(name, name) != name:
                name = parent[name]
            return name

        first: dict[str, str] = {}
        for bag in self.bags:
            if bag.content:
                first_patient = first.setdefault(bag.content, bag.patient)
                parent[root(bag.patient)] = root(first_patient)
        return tuple(root(bag.patient) for bag in self.bags)

    def only(self, numbers: Sequence[int]) -> Cohort:
        """Return the cohort of some of its bags."""
        return replace(self, bags=tuple(self.bags[k] for k in numbers))

    def with_patients(self, pattern: str | None) -> Cohort:
        """Return the cohort with patients read from names by a pattern.

        Parameters
        ----------
        pattern
            Regular expression; its match at the start of a name, or its only group, is the
            patient. None changes nothing. Patients that are known stay.
        """
        if pattern is None:
            return self
        bags = [
            bag if patient is None else replace(bag, patient=patient, patient_known=True)
            for bag, patient in zip(self.bags, self._patients_by(pattern), strict=True)
        ]
        spellings = spellings_of(bag.patient for bag in bags if bag.patient_known)
        used = used_spellings(spellings)
        return replace(
            self,
            bags=tuple(
                replace(bag, patient=used.get(bag.patient, bag.patient))
                if bag.patient_known
                else bag
                for bag in bags
            ),
            warnings=(*self.warnings, *patient_findings(self.source or self.root, spellings)),
        )

    def _patients_by(self, pattern: str) -> list[str | None]:
        """Read the unknown patients from the names of the bags; None where there is none."""
        compiled = re.compile(pattern)
        patients: list[str | None] = []
        for bag, name in zip(self.bags, self._names, strict=True):
            match = None if bag.patient_known else compiled.match(name)
            found = None if match is None else match[match.re.groups]
            patients.append(found or None)
        return patients

    @cached_property
    def _names(self) -> tuple[str, ...]:
        return tuple(bag.name for bag in self.bags)

    def with_positive(self, name: str) -> Cohort:
        """Return the cohort with another class as the positive one of two.

        Raises
        ------
        TrainingError
            If there is no such class, or there are not two.
        """
        if name not in self.classes or len(self.classes) != 2 or self.multi_label:
            raise TrainingError(
                f"The positive class {name!r} is not one of two classes; "
                f"there are {', '.join(self.classes)}."
            )
        return replace(self, classes=(*(other for other in self.classes if other != name), name))

    def check(self) -> None:
        """Refuse a cohort that cannot be trained on.

        Raises
        ------
        TrainingError
            If there are no bags, bags of several kinds, or fewer than two classes.
        """
        if not self.bags:
            raise TrainingError(
                f"{self.root.name} holds no bag that can be used{self._first_reason()}; "
                f"{self._advice()}."
            )
        if len(self.kinds) > 1:
            raise TrainingError(
                f"{self.root.name} mixes {self._kinds_words()}; train on one kind at a time, and "
                "move the others elsewhere."
            )
        present = [name for name, count in self.counts.items() if count]
        if len(present) < 2 and not (self.multi_label and present):
            raise TrainingError(
                f"{self.root.name} holds one class only ({present[0]}); "
                "training needs at least two."
            )

    def _advice(self) -> str:
        """Say what to do where there are no bags."""
        if self.in_class_folders:
            return f"make one folder per class, or a {TABLE}"
        source = self.source or self.root
        table = source.name if source.is_file() else TABLE
        return f"correct {table}" if self.skipped else f"list bags in {table}"

    def _kinds_words(self) -> str:
        """Return how many bags are of each kind, and one for each."""
        counts = Counter(bag.kind for bag in self.bags)
        words = []
        for kind, count in counts.most_common():
            first = next(bag.path for bag in self.bags if bag.kind == kind)
            words.append(f"{kind} ({count}, {first.parent.name}/{first.name} for one)")
        return " and ".join(words)

    def _first_reason(self) -> str:
        if not self.skipped:
            return ""
        first = self.skipped[0]
        more = f"; and {len(self.skipped) - 1} more" if len(self.skipped) > 1 else ""
        return f" ({first.path.name}: {first.text.rstrip('.')}{more})"
