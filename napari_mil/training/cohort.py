"""Annotated folders: what there is to train on, and what was left out and why (no torch).

root/<class>/<slide>                     a slide a bag
root/<class>/<folder>/*.png              a folder of images a bag
root/<class>/<bag>.h5|pt|safetensors     features that were extracted already
root/labels.csv                          slide,label[,patient][,split]; several labels of one bag separated by ";"
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from napari_mil.annotations import find_annotations
from napari_mil.annotations.reading import ENDINGS as ANNOTATION_ENDINGS
from napari_mil.annotations.reading import FOLDER as ANNOTATION_FOLDER
from napari_mil.bags.images import IMAGE_ENDINGS, image_files, open_image_bag
from napari_mil.bags.readers import FEATURE_ENDINGS, count_instances
from napari_mil.errors import NapariMilError, TrainingError
from napari_mil.slides import SLIDE_EXTENSIONS, open_slide
from napari_mil.slides.fingerprint import fingerprint_file

SLIDES, IMAGES, FEATURES = "slides", "image folders", "feature files"
"""Kinds of bags."""
TABLE = "labels.csv"
COLUMNS = {
    "slide": ("slide", "slide_id", "file", "filename", "bag", "image"),
    "label": ("label", "labels", "class"),
    "patient": ("patient", "patient_id", "case_id", "case"),
    "split": ("split",),
}
"""What the columns of a table may be called."""
SPLITS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}
SEPARATOR = ";"
NEGATIVE = re.compile(
    r"^(0|neg(ative)?|normal|benign|control|healthy|wild[ -]?type|wt|no[-_ ].*|non[-_ ].*|without[-_ ].*)$",
    re.IGNORECASE,
)
"""Names that by themselves say which of two classes is the negative one."""
BARCODE = re.compile(r"^TCGA-\w{2}-\w{4}(?=[-.]|$)")
"""A TCGA barcode; its first three parts are the patient."""
EITHER_WAY = (".tif", ".tiff", ".png", ".jpg", ".jpeg", ".bmp")
SEVERAL_DOTS = (".ome.tif", ".ome.tiff", ".tar.gz")


@dataclass(frozen=True)
class CohortBag:
    """One labelled bag."""

    path: Path
    label: str | tuple[str, ...]
    """Its class; the classes it has where bags have several, possibly none."""
    patient: str
    """What must not be split between training and test; the bag itself where nothing else is known."""
    n: int | None
    """Number of instances; None for slides, whose tiles depend on the configuration."""
    kind: str
    """``slides``, ``image folders`` or ``feature files``."""
    split: str | None = None
    """``train``, ``validation`` or ``test`` where the table says so."""
    annotations: tuple[Path, ...] = ()
    """Files of regions beside a slide."""
    mpp: float | None = None
    """Micrometres per level-0 pixel of a slide that says it."""
    content: str = ""
    """Id of the content: equal for copies."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Its classes, whether it has one or several."""
        return (self.label,) if isinstance(self.label, str) else self.label

    @property
    def regions(self) -> str:
        """Id of what its files of regions hold now; nothing without any."""
        content = hashlib.sha256()
        for path in self.annotations:
            with suppress(OSError):  # gone: that is another content too
                content.update(path.read_bytes())
        return content.hexdigest()[:32] if self.annotations else ""


@dataclass(frozen=True)
class Cohort:
    """Labelled bags of one kind or of several, and what was found on the way."""

    root: Path
    classes: tuple[str, ...]
    """Of two, the negative first where its name says so (normal, benign, control, …); otherwise by name."""
    bags: tuple[CohortBag, ...]
    skipped: tuple[tuple[Path, str], ...] = ()
    """What was left out, with the reason."""
    warnings: tuple[tuple[Path, str], ...] = ()
    """What is used although it is odd."""
    multi_label: bool = False
    source: Path | None = None
    """What was looked at: the folder, or a table in it."""

    def __len__(self) -> int:
        return len(self.bags)

    @property
    def fingerprint(self) -> str:
        """Id of contents, labels and regions, whatever their order: 32 hexadecimal digits that name nobody."""
        facts = sorted((bag.content, bag.labels, bag.regions) for bag in self.bags)
        return hashlib.sha256(repr((self.classes, facts)).encode()).hexdigest()[:32]

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of bags that there are."""
        return tuple(dict.fromkeys(bag.kind for bag in self.bags))

    @property
    def counts(self) -> dict[str, int]:
        """Bags of each class."""
        found = Counter(label for bag in self.bags for label in bag.labels)
        return {name: found[name] for name in self.classes}

    @property
    def without_scale(self) -> int:
        """Slides that do not say how large their pixels are."""
        return sum(bag.kind == SLIDES and bag.mpp is None for bag in self.bags)

    @property
    def n_patients(self) -> int:
        """Different patients."""
        return len({bag.patient for bag in self.bags})

    @cached_property
    def targets(self) -> np.ndarray:
        """Class indices int64 (B,), or float32 (B, C) where bags have several classes."""
        place = {name: k for k, name in enumerate(self.classes)}
        if not self.multi_label:
            return np.array([place[bag.labels[0]] for bag in self.bags], np.int64)
        several = np.zeros((len(self.bags), len(self.classes)), np.float32)
        for b, bag in enumerate(self.bags):
            several[b, [place[name] for name in bag.labels]] = 1
        return several

    @cached_property
    def groups(self) -> tuple[str, ...]:
        """What stays together in a fold, for each bag: patients, and patients joined by copies of one bag."""
        parent: dict[str, str] = {}

        def root(name: str) -> str:
            while parent.setdefault(name, name) != name:
                name = parent[name]
            return name

        first: dict[str, str] = {}
        for bag in self.bags:
            if bag.content:
                known = first.setdefault(bag.content, bag.patient)
                parent[root(bag.patient)] = root(known)
        return tuple(root(bag.patient) for bag in self.bags)

    def only(self, kept: Sequence[int]) -> Cohort:
        """Return the cohort of some of its bags."""
        return replace(self, bags=tuple(self.bags[k] for k in kept))

    def with_positive(self, name: str) -> Cohort:
        """Return the cohort with another class as the positive one of two.

        Raises
        ------
        TrainingError
            If there is no such class, or there are not two.
        """
        if name not in self.classes or len(self.classes) != 2 or self.multi_label:
            raise TrainingError(
                f"The positive class {name!r} is not one of two classes; there are {', '.join(self.classes)}."
            )
        return replace(self, classes=(*(other for other in self.classes if other != name), name))

    def check(self) -> None:
        """Refuse a cohort that nothing can be learnt from.

        Raises
        ------
        TrainingError
            If there are no bags, bags of several kinds, or fewer than two classes.
        """
        if not self.bags:
            raise TrainingError(
                f"{self.root.name} holds no bag that can be used{self._first_reason()}; make one folder per class, or a {TABLE}."
            )
        if len(self.kinds) > 1:
            raise TrainingError(
                f"{self.root.name} mixes {' and '.join(self.kinds)}; train on one kind at a time."
            )
        present = [name for name, count in self.counts.items() if count]
        if len(present) < 2 and not (self.multi_label and present):
            raise TrainingError(
                f"{self.root.name} holds one class only ({present[0]}); training needs at least two."
            )

    def _first_reason(self) -> str:
        if not self.skipped:
            return ""
        path, reason = self.skipped[0]
        more = f" and {len(self.skipped) - 1} more" if len(self.skipped) > 1 else ""
        return f" ({path.name}: {reason.rstrip('.')}{more})"


@dataclass(frozen=True)
class _Entry:
    """A bag as a folder or a table lists it, before it is looked at."""

    path: Path
    labels: tuple[str, ...]
    patient: str | None = None
    split: str | None = None


def scan_annotated_folder(
    root: str | os.PathLike[str], on_bag: Callable[[int, int], None] = lambda done, total: None
) -> Cohort:
    """Look at a folder with one folder per class, at a folder with ``labels.csv``, or at such a table.

    Slides are opened and feature files looked into, but neither is read whole. TCGA barcodes give the patient where a table does not.

    Parameters
    ----------
    root
        The folder or the table.
    on_bag
        Told (done, total) on the way.

    Returns
    -------
    Cohort
        Whatever was found; `Cohort.check` says whether it can be trained on.

    Raises
    ------
    TrainingError
        If there is no such folder, or the table cannot be understood.
    """
    given = Path(root).expanduser().absolute()
    table = given if given.is_file() else given / TABLE
    folder = table.parent
    if not folder.is_dir() or not given.exists():
        raise TrainingError(f"{given} is no folder with annotated bags; check the path.")
    skipped: list[tuple[Path, str]] = []
    warnings: list[tuple[Path, str]] = []
    try:
        entries = list(
            _from_table(table, skipped, warnings)
            if table.is_file()
            else _from_folders(folder, skipped)
        )
    except OSError as error:
        raise TrainingError(
            f"{given} cannot be read ({error.strerror or error}); check the path."
        ) from error
    several = any(len(entry.labels) != 1 for entry in entries)
    bags: list[CohortBag] = []
    for k, entry in enumerate(entries):
        on_bag(k, len(entries))
        try:
            bags.append(_look_at(entry, several))
        except (NapariMilError, OSError) as error:
            skipped.append((entry.path, str(error)))
    on_bag(len(entries), len(entries))
    classes = _in_order({label for bag in bags for label in bag.labels}, several)
    warnings += _twins(bags)
    warnings += _conflicts(bags, several)
    return Cohort(folder, classes, tuple(bags), tuple(skipped), tuple(warnings), several, given)


def patient_of(path: Path) -> str:
    """Return the patient in a TCGA barcode; otherwise each bag has its own, named after its folder and itself."""
    barcode = BARCODE.match(path.name.upper())
    return barcode[0] if barcode else f"{path.parent.name}/{stem(path)}"


def stem(path: Path) -> str:
    """Return the name without its ending; names of slides hold dots, so only known endings are taken off."""
    name = path.name
    for ending in (*SEVERAL_DOTS, *SLIDE_EXTENSIONS, *FEATURE_ENDINGS, *EITHER_WAY):
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    return name


def _in_order(names: set[str], several: bool) -> tuple[str, ...]:
    ordered = sorted(names)
    if (
        len(ordered) == 2
        and not several
        and NEGATIVE.match(ordered[1])
        and not NEGATIVE.match(ordered[0])
    ):
        ordered.reverse()
    return tuple(ordered)


def _from_folders(root: Path, skipped: list[tuple[Path, str]]) -> Iterator[_Entry]:
    for folder in sorted(root.iterdir()):
        if folder.name.startswith(".") or folder.name == ANNOTATION_FOLDER:
            continue
        if not folder.is_dir():
            if folder.suffix.lower() in (*SLIDE_EXTENSIONS, *FEATURE_ENDINGS, *EITHER_WAY):
                skipped.append(
                    (
                        folder,
                        f"It lies beside the folders of the classes; move it into one, or list it in a {TABLE}.",
                    )
                )
            continue
        found = False
        for path in sorted(folder.iterdir()):
            if (
                path.name.startswith(".")
                or (path.is_dir() and path.name == ANNOTATION_FOLDER)
                or path.name.endswith(".part")
                or _is_companion(path)
            ):
                continue
            if path.is_file() and path.suffix.lower() not in (
                *SLIDE_EXTENSIONS,
                *FEATURE_ENDINGS,
                *IMAGE_ENDINGS,
            ):
                skipped.append((path, "It is neither a slide, nor a picture, nor a feature file."))
            else:
                found = True
                yield _Entry(path, (folder.name,))
        if not found:
            skipped.append((folder, "The folder of this class holds no bag."))


def _is_companion(path: Path) -> bool:
    """Say whether a file belongs to another one: annotations, or the folder that a MIRAX slide keeps beside it."""
    if path.is_dir():
        return path.with_suffix(".mrxs").is_file()
    return path.name.lower().endswith(ANNOTATION_ENDINGS) or path.suffix.lower() in (
        ".csv",
        ".md",
        ".txt",
    )


def _from_table(
    table: Path, skipped: list[tuple[Path, str]], warnings: list[tuple[Path, str]]
) -> Iterator[_Entry]:
    rows = _rows(table)
    listed: dict[Path, _Entry] = {}
    contradicted: set[Path] = set()
    stems = _files_by_stem(table.parent)
    for row in rows:
        if not row["slide"]:
            skipped.append(
                (
                    table,
                    f"A row without a slide: {', '.join(filter(None, row.values())) or 'empty'}.",
                )
            )
            continue
        path = _resolve(table.parent, row["slide"], stems)
        if isinstance(path, str):
            skipped.append((table.parent / row["slide"], path))
            continue
        labels = tuple(
            dict.fromkeys(part.strip() for part in row["label"].split(SEPARATOR) if part.strip())
        )
        split = row["split"].lower()
        if split and split not in SPLITS:
            skipped.append(
                (path, f"Its split is {row['split']!r}; train, validation and test are known.")
            )
            continue
        entry = _Entry(path, labels, row["patient"] or None, SPLITS.get(split))
        if path in listed and listed[path] != entry:
            contradicted.add(path)
        elif path in listed:
            warnings.append((path, "It is listed twice, with the same label; it counts once."))
        else:
            listed[path] = entry
    several = any(len(entry.labels) > 1 for entry in listed.values())
    for path, entry in listed.items():
        if path in contradicted:
            skipped.append(
                (
                    path,
                    "It is listed twice, with different labels, patients or splits; correct the table.",
                )
            )
        elif not entry.labels and not several:
            skipped.append((path, "It has no label."))
        else:
            yield entry
    unlisted = [path for paths in stems.values() for path in paths if path not in listed]
    if unlisted:
        warnings.append(
            (
                table,
                f"{len(unlisted)} files beside it are not listed, {unlisted[0].name} for one; they are not used.",
            )
        )


def _rows(table: Path) -> list[dict[str, str]]:
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            text = file.read()
        header = text.split("\n", 1)[0]
        between = next((mark for mark in "\t;" if mark in header and "," not in header), ",")
        reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=between)
        names = [name.strip().lower() for name in reader.fieldnames or () if name]
        if doubled := sorted(name for name, times in Counter(names).items() if times > 1):
            raise TrainingError(
                f"{table.name} has several columns named {doubled[0]!r}; leave one of them."
            )
        there = {name.strip().lower(): name for name in reader.fieldnames or () if name}
        chosen = {
            ours: next((there[name] for name in names if name in there), None)
            for ours, names in COLUMNS.items()
        }
        missing = [name for name in ("slide", "label") if chosen[name] is None]
        if missing:
            raise TrainingError(
                f"{table.name} has no column {' and '.join(map(repr, missing))}; its first line names the columns: slide,label[,patient][,split]."
            )
        return [
            {ours: (row.get(name) or "").strip() if name else "" for ours, name in chosen.items()}
            for row in reader
        ]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise TrainingError(
            f"{table.name} cannot be read as a table ({error}); save it as CSV in UTF-8."
        ) from error


def _files_by_stem(folder: Path) -> Mapping[str, list[Path]]:
    """Return bags beside the table by name without ending: tables often leave the ending out."""
    found: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(folder.iterdir()):
        if (
            path.suffix.lower() in (*SLIDE_EXTENSIONS, *FEATURE_ENDINGS, *EITHER_WAY)
            and path.is_file()
        ):
            found[stem(path)].append(path)
    return found


def _resolve(folder: Path, name: str, stems: Mapping[str, list[Path]]) -> Path | str:
    """Return the file a table means, or why there is none; a relative path stays below the table's folder."""
    path = folder / name
    if not Path(name).is_absolute() and not Path(os.path.normpath(path)).is_relative_to(folder):
        return f"It lies outside the folder of {TABLE}; give an absolute path, or move it."
    try:
        if path.exists():
            return path
    except OSError as error:
        return f"No file can have this name ({error.strerror or error})."
    candidates = stems.get(name, [])
    if len(candidates) == 1:
        return candidates[0]
    if candidates:
        return f"Several files have this name ({', '.join(candidate.name for candidate in candidates)}); add the ending."
    return "There is no such file."


def _look_at(entry: _Entry, several: bool) -> CohortBag:
    """Open a bag far enough to know that it can be used."""
    path = entry.path
    annotations: tuple[Path, ...] = ()
    mpp = None
    if path.is_dir() and image_files(path):
        images = open_image_bag(path)
        n, kind, content = len(images), IMAGES, images.fingerprint
    elif path.is_dir():
        raise TrainingError("It is a folder without images.")
    elif path.suffix.lower() in FEATURE_ENDINGS:
        n, kind, content = count_instances(path), FEATURES, fingerprint_file(path)
    else:
        with open_slide(path) as slide:
            n, kind, content, mpp = None, SLIDES, slide.fingerprint, slide.mpp
        annotations = find_annotations(path)
    label: str | tuple[str, ...] = entry.labels if several else entry.labels[0]
    return CohortBag(
        path,
        label,
        entry.patient or patient_of(path),
        n,
        kind,
        entry.split,
        annotations,
        mpp,
        content,
    )


def _twins(bags: Sequence[CohortBag]) -> list[tuple[Path, str]]:
    by_content: dict[str, list[CohortBag]] = defaultdict(list)
    for bag in bags:
        by_content[bag.content].append(bag)
    found = []
    for twins in by_content.values():
        for twin in twins[1:]:
            other = twins[0]
            contradiction = (
                ""
                if other.labels == twin.labels
                else f", and is labelled {_said(twin)}, the other {_said(other)}: one of them is wrong"
            )
            where = (
                "both are used and stay in one fold"
                if other.split == twin.split
                else "they stand in several splits: figures will be too good"
            )
            found.append(
                (
                    twin.path,
                    f"It has the same content as {other.path.name} ({_said(other)}){contradiction}; {where}.",
                )
            )
    return found


def _conflicts(bags: Sequence[CohortBag], several: bool) -> list[tuple[Path, str]]:
    if several:
        return []
    by_patient: dict[str, list[CohortBag]] = defaultdict(list)
    for bag in bags:
        by_patient[bag.patient].append(bag)
    found = []
    for patient, theirs in by_patient.items():
        labels = sorted({str(bag.label) for bag in theirs})
        if len(labels) > 1:
            found.append(
                (
                    theirs[0].path,
                    f"Patient {patient} has bags labelled {' and '.join(labels)}; check the labels. All are used and stay in one fold.",
                )
            )
        splits = {bag.split for bag in theirs}
        if len(splits) > 1:
            found.append(
                (
                    theirs[0].path,
                    f"Patient {patient} stands in several splits; figures will be too good.",
                )
            )
    return found


def _said(bag: CohortBag) -> str:
    return ", ".join(bag.labels) or "nothing"
