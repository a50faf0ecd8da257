"""Scans of annotated folders: bags, labels, patients, and what is left out.

root/<class>/<slide>                     a slide a bag
root/<class>/<patient>/<slide>           the same, with its patient; feature files too
root/<class>/<folder>/*.png              a folder of images a bag
root/<class>/<bag>.h5|pt|safetensors     features that were extracted already
root/labels.csv                          slide,label[,patient][,split]; several labels of one bag
                                         separated by ";"
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from napari_mil.annotations import AnnotationFiles
from napari_mil.annotations.finding import FOLDER as ANNOTATION_FOLDER
from napari_mil.bags.images import image_files, open_image_bag
from napari_mil.bags.readers import (
    fingerprint_features,
    is_features,
    shape_of_bag,
)
from napari_mil.errors import NapariMilError, TrainingError
from napari_mil.findings import Finding, FindingKind
from napari_mil.slides import open_slide
from napari_mil.slides.folders import is_slide_folder, one_of_each_series
from napari_mil.training.cohorts.cohort import FEATURES, IMAGES, SLIDES, TABLE, Cohort, CohortBag
from napari_mil.training.cohorts.folders.bag_files import BAG_ENDINGS
from napari_mil.training.cohorts.folders.companions import (
    is_companion,
    is_hidden,
    without_side_pictures,
)
from napari_mil.training.cohorts.folders.file_names import (
    is_utf8,
    printable,
    refuse_unknown_characters,
    unknown_characters,
)
from napari_mil.training.cohorts.folders.kinds import refuse_kinds_and_splits, says_patient
from napari_mil.training.cohorts.folders.patients import bags_in_folder, patient_folders_said
from napari_mil.training.cohorts.folders.stray_annotations import stray_annotations
from napari_mil.training.cohorts.labels import GuessReason, guess_of, ordered_classes
from napari_mil.training.cohorts.patients import barcode_of, own_name
from napari_mil.training.cohorts.tables.finding import spreadsheet_said, table_in
from napari_mil.training.cohorts.tables.listing import Entry, read_table, with_one_spelling
from napari_mil.training.layout import is_run


def scan_annotated_folder(
    root: str | os.PathLike[str], on_bag: Callable[[int, int], None] = lambda done, total: None
) -> Cohort:
    """Scan an annotated folder, or a table of labelled bags.

    The folder holds one folder per class, or ``labels.csv``. Slides are opened and feature files
    looked into, but neither is read whole. The patient comes from a table, a TCGA barcode, or a
    folder of one patient.

    Parameters
    ----------
    root
        The folder or the table.
    on_bag
        Called with (done, total) on the way.

    Returns
    -------
    Cohort
        Bags that can be used, and findings; `Cohort.check` says whether it can be trained on.

    Raises
    ------
    TrainingError
        If there is no such folder, or the table cannot be understood.
    """
    source = Path(os.path.abspath(Path(root).expanduser()))
    folder = source.parent if source.is_file() else source
    if not folder.is_dir() or not source.exists():
        raise TrainingError(f"{source} is no folder with annotated bags; check the path.")
    refuse_unknown_characters(source)
    skipped: list[Finding] = []
    warnings: list[Finding] = []
    try:
        table = source if source.is_file() else table_in(folder)
        if table is not None:
            entries = list(read_table(table, skipped, warnings))
        else:
            entries = list(_entries_of_folders(folder, skipped, warnings))
            refuse_kinds_and_splits(folder, _by_class(entries))
            entries = with_one_spelling(folder, entries, warnings)
            skipped += spreadsheet_said(folder, has_bags=bool(entries))
    except OSError as error:
        raise TrainingError(
            f"{source} cannot be read ({error.strerror or error}); check the path."
        ) from error
    multi_label = any(len(entry.labels) != 1 for entry in entries)
    bags: list[CohortBag] = []
    files = AnnotationFiles()
    for k, entry in enumerate(entries):
        on_bag(k, len(entries))
        try:
            bags.append(_inspect(entry, files, warnings, multi_label=multi_label))
        except (NapariMilError, OSError) as error:
            skipped.append(Finding(FindingKind.SKIPPED, entry.path, str(error)))
    on_bag(len(entries), len(entries))
    if any(bag.kind == SLIDES for bag in bags):
        skipped += stray_annotations(files, folder, (entry.path.parent for entry in entries))
    names = {label for bag in bags for label in bag.labels}
    classes = ordered_classes(names, multi_label=multi_label)
    guess = guess_of(classes, multi_label=multi_label)
    if guess is not None:
        warnings.append(_guess(source, classes[1], guess))
    warnings += _copies(bags)
    if not multi_label:
        warnings += _conflicts(bags)
    return Cohort(
        root=folder,
        classes=classes,
        bags=tuple(bags),
        skipped=tuple(skipped),
        warnings=tuple(warnings),
        multi_label=multi_label,
        source=source,
        in_class_folders=table is None,
    )


def _entries_of_folders(
    root: Path, skipped: list[Finding], warnings: list[Finding]
) -> Iterator[Entry]:
    """Yield the bags in the folders of the classes."""
    loose = []
    patients: list[Path] = []
    for folder in sorted(root.iterdir()):
        if is_hidden(folder) or folder.name.casefold() == ANNOTATION_FOLDER:
            continue
        if folder.is_dir() and is_run(folder):
            continue
        if folder.is_dir():
            refuse_unknown_characters(folder)
            yield from _entries_of_class(folder, skipped, warnings, patients)
        elif folder.suffix.lower() in BAG_ENDINGS:
            loose.append(folder)
    if loose:
        skipped.append(_loose(loose))
    warnings += patient_folders_said(root, patients)


def _entries_of_class(
    folder: Path, skipped: list[Finding], warnings: list[Finding], patients: list[Path]
) -> Iterator[Entry]:
    """Yield the bags of one class; folders that hold some go to `patients`."""
    has_bags = False
    labels = (folder.name,)
    within: dict[str, list[Path]] = {}
    paths = [path for path in sorted(folder.iterdir()) if not is_companion(path)]
    unknown = [path for path in paths if not is_utf8(path)]
    if unknown:
        skipped.append(unknown_characters(unknown))
    known = filter(is_utf8, paths)
    for path in without_side_pictures(folder, one_of_each_series(known), warnings):
        if path.is_file() and path.suffix.lower() not in BAG_ENDINGS and not is_features(path):
            text = "It is neither a slide, nor a picture, nor a feature file."
            skipped.append(Finding(FindingKind.SKIPPED, path, text))
            continue
        has_bags = True
        own = _bags_inside(path, skipped)
        if own is None:
            continue
        if own and says_patient(path):
            if any(barcode_of(bag) is None for bag in own):
                patients.append(path)
            yield from (_entry_of_patient(bag, labels, path.name) for bag in own)
            continue
        if path.is_dir() and not says_patient(path):
            within[path.name] = own
        yield from (Entry(bag, labels) for bag in own or [path])
    refuse_kinds_and_splits(folder, within)
    if not has_bags:
        text = "The folder of this class holds no bag."
        skipped.append(Finding(FindingKind.SKIPPED, folder, text))


def _bags_inside(path: Path, skipped: list[Finding]) -> list[Path] | None:
    """Return the bags in a folder, none in a file; None in a folder that cannot be read."""
    try:
        return bags_in_folder(path, skipped) if path.is_dir() else []
    except OSError as error:
        text = f"It cannot be read ({error.strerror or error})."
        skipped.append(Finding(FindingKind.SKIPPED, path, text))
        return None


def _entry_of_patient(bag: Path, labels: tuple[str, ...], patient: str) -> Entry:
    """Return a bag in the folder of a patient; a barcode knows better."""
    return Entry(bag, labels, patient if barcode_of(bag) is None else None)


def _by_class(entries: Sequence[Entry]) -> dict[str, list[Path]]:
    """Return the bags by the folder of their class."""
    bags: dict[str, list[Path]] = defaultdict(list)
    for entry in entries:
        bags[entry.labels[0]].append(entry.path)
    return bags


def _loose(files: Sequence[Path]) -> Finding:
    """Say that files lie where the folders of the classes should."""
    lie = "It lies" if len(files) == 1 else f"It and {len(files) - 1} other files lie"
    move = "move it" if len(files) == 1 else "move each"
    list_them = "list it" if len(files) == 1 else "list them"
    text = f"{lie} beside the folders of the classes; {move} into one, or {list_them} in a {TABLE}."
    return Finding(FindingKind.SKIPPED, files[0], text, len(files))


def _inspect(
    entry: Entry, files: AnnotationFiles, warnings: list[Finding], *, multi_label: bool
) -> CohortBag:
    """Open a bag far enough to know that it can be used; findings go to `warnings`."""
    path = entry.path
    patient = entry.patient or barcode_of(path)
    bag = CohortBag(
        path=path,
        label=entry.labels if multi_label else entry.labels[0],
        patient=patient or own_name(path),
        n=None,
        kind=SLIDES,
        split=entry.split,
        patient_known=patient is not None,
    )
    if is_features(path):
        n, *features = shape_of_bag(path)
        content = fingerprint_features(path)
        return bag.with_content(FEATURES, n, content, features=tuple(features))
    if path.is_dir() and not is_slide_folder(path):
        if not image_files(path):
            raise TrainingError("It is a folder without images, slides or feature files.")
        images = open_image_bag(path)
        unknown = [file for file in images.files if not is_utf8(file)]
        if unknown:
            # Answers name each image, and could not be written.
            raise TrainingError(
                f"The name of its image {printable(unknown[0])} is not in UTF-8; rename it."
            )
        warnings += images.findings
        return bag.with_content(IMAGES, len(images), images.fingerprint)
    with open_slide(path) as slide:
        return bag.with_content(
            SLIDES,
            None,
            slide.fingerprint,
            mpp=slide.mpp,
            annotations=files.of(path),
        )


def _guess(source: Path, positive: str, reason: GuessReason) -> Finding:
    """Say that the positive class was guessed."""
    text = (
        f"{positive} is taken for the positive class, {reason}; "
        "choose the positive class if it is the other one."
    )
    return Finding(FindingKind.GUESSED, source, text)


def _copies(bags: Sequence[CohortBag]) -> list[Finding]:
    """Name bags with the same content as another one."""
    by_content: dict[str, list[CohortBag]] = defaultdict(list)
    for bag in bags:
        by_content[bag.content].append(bag)
    return [_copy(copies[0], copy) for copies in by_content.values() for copy in copies[1:]]


def _copy(first: CohortBag, copy: CohortBag) -> Finding:
    contradiction = ""
    if first.labels != copy.labels:
        contradiction = (
            f", and is labelled {_label_words(copy)}, the other {_label_words(first)}: "
            "one of them is wrong"
        )
    consequence = "both are used and stay in one fold"
    if first.split != copy.split:
        consequence = "they stand in several splits: figures will be too good"
    text = (
        f"It has the same content as {first.path.name} ({_label_words(first)})"
        f"{contradiction}; {consequence}."
    )
    return Finding(FindingKind.COPY, copy.path, text)


def _conflicts(bags: Sequence[CohortBag]) -> list[Finding]:
    """Name patients whose bags have several labels or stand in several splits.

    Each is one finding: a patient with bags of several classes is common where classes are many.
    """
    by_patient: dict[str, list[CohortBag]] = defaultdict(list)
    for bag in bags:
        by_patient[bag.patient].append(bag)
    several_labels = [own for own in by_patient.values() if len({bag.label for bag in own}) > 1]
    several_splits = [own for own in by_patient.values() if len({bag.split for bag in own}) > 1]
    conflicts = []
    if several_labels:
        labels = sorted({str(bag.label) for bag in several_labels[0]})
        text = (
            f"{_patients(several_labels)} bags labelled {' and '.join(labels)}; check the labels. "
            "All are used and stay in one fold."
        )
        conflicts.append(_conflict(several_labels, text))
    if several_splits:
        text = f"{_patients(several_splits)} bags in several splits; figures will be too good."
        conflicts.append(_conflict(several_splits, text))
    return conflicts


def _conflict(patients: Sequence[Sequence[CohortBag]], text: str) -> Finding:
    return Finding(FindingKind.PATIENT_CONFLICT, patients[0][0].path, text, len(patients))


def _patients(conflicts: Sequence[Sequence[CohortBag]]) -> str:
    """Return how many patients have a conflict, and the first of them."""
    first = conflicts[0][0].patient
    if len(conflicts) == 1:
        return f"Patient {first} has"
    return f"{len(conflicts)} patients (the first: {first}) have"


def _label_words(bag: CohortBag) -> str:
    return ", ".join(bag.labels) or "nothing"
