"""Slides and folders of images to adapt an encoder to; labels are welcome, not needed.

<slide>                            a slide
<folder of slides>                 each of them
<folder of images>                 a bag of images
<folder of classes>, labels.csv    as for training; the labels serve the probe alone
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from napari_mil.bags.images import IMAGE_ENDINGS, image_files, open_image_bag
from napari_mil.bags.pictures import LARGEST_MP, image_size
from napari_mil.errors import NapariMilError, TrainingError, UnreadableSlideError
from napari_mil.findings import Finding, FindingKind
from napari_mil.slides import SLIDE_EXTENSIONS, open_slide
from napari_mil.slides.folders import is_slide_folder, one_of_each_series
from napari_mil.training.cohorts.cohort import FEATURES, IMAGES, SLIDES, Cohort, CohortBag
from napari_mil.training.cohorts.patients import barcode_of, own_name
from napari_mil.training.cohorts.scanning import scan_annotated_folder
from napari_mil.training.cohorts.tables.finding import table_in

NO_LABEL = ""
"""Label of a bag that has none."""
COPY = "It has the same content as another one and is used once."
TIFF_ENDINGS = (".tif", ".tiff")
"""Endings of slides and of pictures."""
MOST_LOOKED_AT = 20
"""Files that are asked for their size at most."""
NO_PIXELS = "It holds features; an encoder is adapted to pixels."


def find_sources(
    paths: Sequence[Path], on_bag: Callable[[int, int], None] = lambda done, total: None
) -> Cohort:
    """Find the slides and folders of images that some paths stand for.

    Parameters
    ----------
    paths
        Slides, folders of slides or of images, annotated folders and tables.
    on_bag
        Called with (done, total) paths on the way.

    Returns
    -------
    Cohort
        Bags with pixels, each content once; classes where all of them are labelled.

    Raises
    ------
    NapariMilError
        If a path does not exist, or holds nothing to learn from.
    """
    bags: list[CohortBag] = []
    skipped: list[Finding] = []
    warnings: list[Finding] = []
    for done, path in enumerate(paths):
        on_bag(done, len(paths))
        found = _cohort_at(path.expanduser().absolute())
        bags += found.bags
        skipped += found.skipped
        warnings += found.warnings
    on_bag(len(paths), len(paths))
    root = paths[0].expanduser().absolute()
    return with_pixels(Cohort(root, (), tuple(bags), tuple(skipped), tuple(warnings), source=root))


def with_pixels(cohort: Cohort) -> Cohort:
    """Return the part of a cohort that an encoder can be adapted to, each content once.

    Raises
    ------
    TrainingError
        If nothing is left.
    """
    kept: dict[str, CohortBag] = {}
    skipped = list(cohort.skipped)
    for bag in cohort.bags:
        if bag.kind == FEATURES:
            skipped.append(Finding(FindingKind.SKIPPED, bag.path, NO_PIXELS))
        elif bag.content in kept:
            skipped.append(Finding(FindingKind.COPY, bag.path, COPY))
        else:
            kept[bag.content] = bag
    if not kept:
        reason = f"; {skipped[0].path.name}: {skipped[0].text}" if skipped else "."
        raise TrainingError(
            f"{cohort.root.name} holds no slide and no image to adapt an encoder to{reason}"
        )
    labels = {bag.label for bag in kept.values() if isinstance(bag.label, str)}
    has_labels = len(labels) > 1 and NO_LABEL not in labels and not cohort.multi_label
    classes = tuple(sorted(labels)) if has_labels else ()
    return replace(cohort, classes=classes, bags=tuple(kept.values()), skipped=tuple(skipped))


def _cohort_at(path: Path) -> Cohort:
    """Return the bags of one path."""
    if not path.exists():
        raise UnreadableSlideError(f"{path} does not exist; check the path.")
    try:
        if path.is_file() and path.suffix.lower() in (".csv", ".tsv"):
            return scan_annotated_folder(path)
        if path.is_file() or is_slide_folder(path):
            return _cohort_of(path, [_slide(path)], [])
        return _cohort_in(path)
    except OSError as error:
        raise UnreadableSlideError(
            f"{path} cannot be read ({error.strerror or error}); check the path."
        ) from error


def _cohort_in(folder: Path) -> Cohort:
    """Return the bags in a folder: by its table, its slides, its images or its folders."""
    if table_in(folder) is not None:
        return scan_annotated_folder(folder)
    slides = list(_slides_in(folder))
    if slides:
        bags = []
        skipped = []
        for path in slides:
            try:
                bags.append(_slide(path))
            except NapariMilError as error:
                skipped.append(Finding(FindingKind.SKIPPED, path, str(error)))
        return _cohort_of(folder, bags, skipped)
    if image_files(folder):
        images = open_image_bag(folder)
        bag = _bag(folder, IMAGES).with_content(IMAGES, len(images), images.fingerprint)
        return _cohort_of(folder, [bag], [])
    return scan_annotated_folder(folder)


def _slides_in(folder: Path) -> Iterator[Path]:
    """Yield the slides in a folder.

    Endings that pictures have as well count where one of these files is too large for an image of a
    bag.
    """
    endings = set(SLIDE_EXTENSIONS) - set(IMAGE_ENDINGS)
    files = [path for path in sorted(folder.iterdir()) if not path.name.startswith(".")]
    shared = [path for path in files if path.suffix.lower() in TIFF_ENDINGS]
    if any(map(_is_large, shared[:MOST_LOOKED_AT])):
        endings |= set(TIFF_ENDINGS)
    for path in one_of_each_series(files):
        if path.suffix.lower() in endings and path.is_file():
            yield path


def _is_large(path: Path) -> bool:
    """Say whether a picture is too large to be one of a bag."""
    try:
        width, height = image_size(path)
    except NapariMilError:
        return False
    return width * height > LARGEST_MP * 1e6


def _slide(path: Path) -> CohortBag:
    with open_slide(path) as slide:
        return _bag(path, SLIDES).with_content(SLIDES, None, slide.fingerprint, mpp=slide.mpp)


def _bag(path: Path, kind: str) -> CohortBag:
    patient = barcode_of(path)
    return CohortBag(
        path, NO_LABEL, patient or own_name(path), None, kind, patient_known=patient is not None
    )


def _cohort_of(root: Path, bags: Sequence[CohortBag], skipped: Sequence[Finding]) -> Cohort:
    return Cohort(root, (), tuple(bags), tuple(skipped), source=root)
