"""Cases of colorectal biopsies as bags of images (EBHI-Seg, Shi et al. 2023)."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_mil.bags import open_image_bag
from napari_mil.bags.images import ImageBag
from napari_mil.inference.card import IMAGES, ClassifierCard
from napari_mil.inference.facts import AggregatorRef, EncoderRef, TrainingFacts
from scripts.nested_cross_validation import Candidate
from scripts.shipped_classifiers import colour_statistics, shipped_encoder

IMAGE_PX = 224
"""Side of an image."""
MALIGNANT = ("adenocarcinoma", "high_grade_in")
LOW_GRADE = "low_grade_in"
BENIGN = ("normal", "polyp", "serrated_adenoma")
OTHER_BATCH = "GTXC"
"""Beginning of the cases of the second batch of cameras; the others are of the first, GT."""
MOST_DEMO_IMAGES = 6
"""Most images of the case that is held out for the demo."""
CREDIT = (
    "Data: EBHI-Seg, L. Shi, X. Li, W. Hu, H. Chen, J. Chen, Z. Fan, M. Gao, Y. Jing, G. Lu, "
    "D. Ma, Z. Ma, Q. Meng, D. Tang, H. Sun, M. Grzegorzek, S. Qi, Y. Teng, C. Li, "
    '"EBHI-Seg: A novel '
    "enteroscope biopsy histopathological hematoxylin and eosin image dataset for image "
    'segmentation tasks", Frontiers in Medicine 10 (2023), CC BY 4.0.'
)
LICENCE = (
    "weights: BSD-3-Clause, no research-only terms; "
    "data: EBHI-Seg, Shi et al. 2023, CC BY 4.0 (credit them)"
)


@dataclass(frozen=True)
class Row:
    """An image of the table."""

    file: str
    label: str
    case: str


@dataclass(frozen=True)
class Cases:
    """Cases with the features of their images."""

    names: list[str]
    labels: np.ndarray
    """Class index of each case, int (B,)."""
    bags: list[np.ndarray]
    """Features of each case's images, float32 (N, D)."""
    colours: list[np.ndarray]
    """Colour statistics of the same images."""
    fingerprints: list[str]
    """Identifiers of the cases' contents, as of a folder with these images."""
    images: Mapping[str, int]
    """Images of each annotated class."""

    @property
    def batches(self) -> np.ndarray:
        """Batch of each case, (B,) texts."""
        return np.array(["GTXC" if name.startswith(OTHER_BATCH) else "GT" for name in self.names])


def read_table(folder: Path) -> list[Row]:
    """Read the table of images; those that look like immunohistochemistry are left out."""
    with (folder / "labels.csv").open(newline="") as file:
        return [
            Row(row["file"], row["label"], row["case"])
            for row in csv.DictReader(file)
            if row["looks_ihc"] == "0"
        ]


def demo_case(rows: Sequence[Row]) -> str:
    """Choose the case that no classifier may see: it is the sample case.

    Of the cases with both carcinoma or high grade and benign images, and no low grade, so that
    attention on images can be judged: the one with the most images up to six, first in the table.
    """
    best = ""
    most = 0
    for case in dict.fromkeys(row.case for row in rows):
        labels = [row.label for row in rows if row.case == case]
        has_both = set(labels) & set(MALIGNANT) and set(labels) & set(BENIGN)
        if has_both and LOW_GRADE not in labels and most < len(labels) <= MOST_DEMO_IMAGES:
            best = case
            most = len(labels)
    return best


def read_cases(folder: Path, label_of: Callable[[set[str]], int], kinds: Sequence[str]) -> Cases:
    """Encode the images of some annotated classes, case by case.

    Parameters
    ----------
    folder
        Folder with labels.csv and a folder of images for each annotated class.
    label_of
        Class index of a case whose images are of some annotated classes.
    kinds
        Annotated classes whose images are used. The sample case is left out.
    """
    table = read_table(folder)
    held_out = demo_case(table)
    rows = [row for row in table if row.label in kinds and row.case != held_out]
    opened = {kind: open_image_bag(folder / kind) for kind in kinds}
    instances = {
        f"{kind}/{image.name}": image for kind, bag in opened.items() for image in bag.images
    }
    encoder = shipped_encoder()
    names = sorted({row.case for row in rows})
    labels = []
    bags = []
    colours = []
    fingerprints = []
    for name in names:
        of_case = sorted((row for row in rows if row.case == name), key=lambda row: row.file)
        images = tuple(instances[row.file] for row in of_case)
        bag = ImageBag(folder, images)
        pixels = np.stack([bag.read(i) for i in range(len(bag))])
        labels.append(label_of({row.label for row in of_case}))
        bags.append(encoder.encode(pixels))
        colours.append(colour_statistics(pixels))
        by_name = sorted(images, key=lambda image: image.name)
        fingerprints.append(replace(bag, images=tuple(by_name)).fingerprint)
    counts = {kind: sum(row.label == kind for row in rows) for kind in kinds}
    return Cases(names, np.array(labels), bags, colours, fingerprints, counts)


def card_of_cases(
    cases: Cases,
    final: Candidate,
    *,
    name: str,
    title: str,
    classes: tuple[str, ...],
    link: str,
    temperature: float,
    evaluation: dict[str, Any],
) -> ClassifierCard:
    """Return the card of a classifier trained on all cases but the sample case."""
    encoder = shipped_encoder()
    counts = np.bincount(cases.labels, minlength=len(classes)).tolist()
    return ClassifierCard(
        name=name,
        title=title,
        classes=classes,
        link=link,
        encoder=EncoderRef(encoder.name, encoder.fingerprint),
        in_dim=encoder.dim,
        tile_px=IMAGE_PX,
        mpp=None,
        mpp_assumed=False,
        overlap=0.0,
        aggregator=AggregatorRef(final.aggregator, final.options),
        temperature=temperature,
        threshold=0.5,
        licence=LICENCE,
        intended_use="Research and teaching only; not for diagnosis.",
        instances=IMAGES,
        training=TrainingFacts(
            bags=len(cases.names),
            bags_of_each_class=dict(zip(classes, counts, strict=True)),
            patients=len(cases.names),
            instances=sum(map(len, cases.bags)),
            bag_fingerprints=tuple(sorted(cases.fingerprints)),
            notes={
                "images": dict(cases.images),
                "epochs": final.settings.epochs,
                "learning rate": final.settings.learning_rate,
                "weight decay": final.settings.weight_decay,
                "seed": 0,
            },
        ),
        evaluation=evaluation,
    )
