"""Cards of classifier bundles: all about a classifier but its weights.

No torch is used: the window lists bundles before torch is loaded.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from napari_mil.bags.grid import TileSpec
from napari_mil.errors import ClassifierError
from napari_mil.inference.facts import AggregatorRef, EncoderRef, TrainingFacts

SCHEMA = "napari-mil/classifier/1"
CARD_FILE, WEIGHTS_FILE, NOTES_FILE = "classifier.json", "weights.safetensors", "card.md"
RUN_FOLDER = "classifier"
"""Name of a bundle's folder within a training run."""
SHIPPED = Path(__file__).parent / "shipped"
LINKS = ("sigmoid", "softmax", "multi-label")
TILES, IMAGES, FEATURES = "tiles", "images", "features"
"""Kinds of instances: tiles of a slide, images of a folder, rows of a feature file."""
NOT_WRITTEN = ("folder", "checkpoint")
"""Fields of a card that depend on where it lies."""
FEW_PATIENTS = "few patients"
"""Entry of `ClassifierCard.evaluation`: what cannot be known about classes of few patients."""
INTERVAL_METHODS = "interval methods"
"""Entry of `ClassifierCard.evaluation`: sources of the intervals' methods, by name."""


@dataclass(frozen=True)
class ClassifierCard:
    """Contents of ``classifier.json``."""

    name: str
    title: str
    """One line for people: its classes and tissue."""
    classes: tuple[str, ...]
    """Names of the classes in the order of the logits.

    One sigmoid unit has two names, the negative first.
    """
    link: str
    """Link function: ``sigmoid`` (one unit), ``softmax`` or ``multi-label``."""
    encoder: EncoderRef | None
    """Encoder, or None for a classifier trained on bare features."""
    in_dim: int
    """Length of a feature vector, or channels of a map."""
    tile_px: int | None
    """Side of a tile or image in pixels, or None.

    None where images keep their size, and for bare features.
    """
    mpp: float | None
    """Micrometres per pixel of a tile, or None without tiles."""
    mpp_assumed: bool
    """Whether the training images did not say their scale."""
    overlap: float
    """Fraction of a tile's side that neighbours share."""
    aggregator: AggregatorRef
    temperature: float
    """Divisor of the logits; 1 is not calibrated."""
    threshold: float
    """Probability from which a class is predicted.

    Of two classes, it is that of the second; of labels, that of each.
    """
    licence: str
    intended_use: str
    instances: str = TILES
    """Kind of instances: ``tiles``, ``images`` or ``features``."""
    slide_mpp: float | None = None
    """Micrometres per level-0 pixel assumed for slides, or None.

    It is used for slides that say no scale, as in training.
    """
    is_fluorescence: bool = False
    """Whether it was trained on fluorescence slides; otherwise on brightfield."""
    training: TrainingFacts = field(default_factory=TrainingFacts)
    evaluation: Mapping[str, Any] = field(default_factory=dict)
    """Figures with intervals, and their protocol."""
    folder: Path | None = None
    """Folder of the bundle; not written."""
    checkpoint: Path | None = None
    """Checkpoint of another project behind it; not written."""

    @property
    def n_outputs(self) -> int:
        """Number of logits: one for a sigmoid, else one per class."""
        return 1 if self.link == "sigmoid" else len(self.classes)

    @property
    def takes(self) -> str:
        """Input that it classifies, in a few words."""
        if self.instances == IMAGES:
            size = f" ({self.tile_px} px)" if self.tile_px else ""
            return f"folders of images{size}"
        if self.instances == FEATURES:
            return f"feature files, {self.in_dim} values an instance"
        remark = " (assumed)" if self.mpp_assumed else ""
        return f"{self.tile_px} px at {self.mpp:g} µm/px{remark}"

    @property
    def multi_label(self) -> bool:
        """Whether classes are independent of each other."""
        return self.link == "multi-label"

    @property
    def shipped(self) -> bool:
        """Whether it came with the package."""
        return self.folder is not None and self.folder.parent == SHIPPED

    @property
    def calibrated(self) -> bool:
        """Whether a temperature was fitted."""
        return self.temperature != 1.0

    @property
    def notes(self) -> str:
        """Text of ``card.md``, for people."""
        path = self.folder / NOTES_FILE if self.folder else None
        return path.read_text(encoding="utf-8") if path and path.is_file() else self.title

    @property
    def tiling(self) -> TileSpec:
        """Tiles that its encoder takes.

        Raises
        ------
        ClassifierError
            If its instances are no tiles.
        """
        if self.instances != TILES or self.tile_px is None or self.mpp is None:
            raise ClassifierError(
                f"The classifier {self.name} takes {self.takes}, not slides; "
                "choose another classifier."
            )
        return TileSpec(self.tile_px, self.mpp, self.overlap)

    def as_dict(self) -> dict[str, Any]:
        """Return the content of ``classifier.json``."""
        fields = asdict(replace(self, folder=None, checkpoint=None))
        for name in NOT_WRITTEN:
            del fields[name]
        return {"schema": SCHEMA, **fields, "classes": list(self.classes)}


def read_card(folder: Path) -> ClassifierCard:
    """Read the ``classifier.json`` of a bundle.

    A classifier is named after its folder, so that copies have names of their own, or after the
    training run it lies in.

    Raises
    ------
    ClassifierError
        If the folder is no bundle, or of a schema this version does not read.
    """
    where = f"{CARD_FILE} of the classifier {folder.name}"
    try:
        entries = json.loads((folder / CARD_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ClassifierError(
            f"{folder.name} is not a classifier: it holds no {CARD_FILE}."
        ) from None
    except (OSError, ValueError) as error:
        raise ClassifierError(
            f"{where} cannot be read ({error}); copy the bundle again."
        ) from error
    if not isinstance(entries, dict) or entries.pop("schema", None) != SCHEMA:
        raise ClassifierError(
            f"The classifier {folder.name} is not of the schema {SCHEMA}; "
            "it may need a newer napari-mil."
        )
    known = set(ClassifierCard.__dataclass_fields__) - set(NOT_WRITTEN)
    if unknown := sorted(set(entries) - known):
        raise ClassifierError(
            f"{where} is wrong: it has unknown entries ({', '.join(unknown)}); "
            "copy the bundle again."
        )
    name = folder.parent.name if folder.name == RUN_FOLDER and folder.parent.name else folder.name
    try:
        card = TypeAdapter(ClassifierCard).validate_python(
            {**entries, "folder": folder, "name": name}
        )
    except ValidationError as error:
        wrong = ", ".join(sorted({str(part["loc"][0]) for part in error.errors() if part["loc"]}))
        raise ClassifierError(
            f"{where} is incomplete or wrong in {wrong}; copy the bundle again."
        ) from None
    _check(card, where)
    return card


def _check(card: ClassifierCard, where: str) -> None:
    if card.instances == TILES and (not card.tile_px or not card.mpp or card.encoder is None):
        raise ClassifierError(
            f"{where} says neither how its tiles are cut nor by what they are encoded; "
            "copy it again."
        )
    fewest_classes = 1 if card.multi_label else 2
    if (
        card.link not in LINKS
        or card.instances not in (TILES, IMAGES, FEATURES)
        or len(card.classes) < fewest_classes
        or not card.temperature > 0
    ):
        raise ClassifierError(
            f"{where} contradicts itself in link, classes or temperature; copy the bundle again."
        )
