"""What a classifier bundle says about itself (no torch: the window lists bundles before torch is loaded)."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from napari_mil.errors import ClassifierError, UnknownNameError
from napari_mil.settings import Settings

SCHEMA = "napari-mil/classifier/1"
CARD_FILE, WEIGHTS_FILE, NOTES_FILE = "classifier.json", "weights.safetensors", "card.md"
RUN_FOLDER = "classifier"
"""What a training run calls the folder of its bundle."""
SHIPPED = Path(__file__).parent / "shipped"
LINKS = ("sigmoid", "softmax", "multi-label")
TILES, IMAGES, FEATURES = "tiles", "images", "features"
"""What the instances of a bag are: tiles of a slide, the images of a folder, or the rows of a feature file."""


@dataclass(frozen=True)
class ClassifierCard:
    """The contents of ``classifier.json``: everything about a classifier but its weights."""

    name: str
    title: str
    """One line: what it tells apart, in which tissue."""
    classes: tuple[str, ...]
    """In the order of the logits; one sigmoid unit has two names, the negative first."""
    link: str
    """``sigmoid`` (one unit), ``softmax`` or ``multi-label``."""
    encoder: Mapping[str, Any] | None
    """``name`` and ``fingerprint``; None for a classifier trained on bare features. A network that was trained together with the aggregator
    lies in the bundle; its ``maps`` says whether it gives feature maps."""
    in_dim: int
    """Length of a feature vector, or channels of a map."""
    tile_px: int | None
    """Side of a tile or image in pixels; None where images keep their size, and for bare features."""
    mpp: float | None
    """Micrometres per pixel of a tile; None where instances are no tiles."""
    mpp_assumed: bool
    """Whether the training images did not say their scale."""
    overlap: float
    aggregator: Mapping[str, Any]
    """``name`` and ``options``."""
    temperature: float
    """Logits are divided by it; 1 is not calibrated."""
    threshold: float
    """Probability of the second class (or of a label) from which it is predicted."""
    licence: str
    intended_use: str
    instances: str = TILES
    """``tiles``, ``images`` or ``features``."""
    training: Mapping[str, Any] = field(default_factory=dict)
    """Counts, versions and settings; no file names, no patients."""
    evaluation: Mapping[str, Any] = field(default_factory=dict)
    """Figures with intervals and the protocol they come from."""
    folder: Path | None = None
    """Where the bundle lies; not written."""

    @property
    def n_outputs(self) -> int:
        """Logits of the aggregator: one for a sigmoid, one per class otherwise."""
        return 1 if self.link == "sigmoid" else len(self.classes)

    @property
    def takes(self) -> str:
        """What it classifies, in a few words."""
        if self.instances == IMAGES:
            return "folders of images" + (f" ({self.tile_px} px)" if self.tile_px else "")
        if self.instances == FEATURES:
            return f"feature files, {self.in_dim} values an instance"
        return f"{self.tile_px} px at {self.mpp:g} µm/px{' (assumed)' if self.mpp_assumed else ''}"

    @property
    def multi_label(self) -> bool:
        """Whether classes are independent of each other."""
        return self.link == "multi-label"

    @property
    def shipped(self) -> bool:
        """Whether it came with the package, and not from the user."""
        return self.folder is not None and self.folder.parent == SHIPPED

    @property
    def calibrated(self) -> bool:
        """Whether a temperature was fitted."""
        return self.temperature != 1.0

    @property
    def notes(self) -> str:
        """The text of ``card.md``, for people."""
        path = self.folder / NOTES_FILE if self.folder else None
        return path.read_text(encoding="utf-8") if path and path.is_file() else self.title

    def as_dict(self) -> dict[str, Any]:
        """Return what ``classifier.json`` holds."""
        fields = {key: getattr(self, key) for key in self.__dataclass_fields__ if key != "folder"}
        return {"schema": SCHEMA, **fields, "classes": list(self.classes)}


def read_card(folder: Path) -> ClassifierCard:
    """Read ``classifier.json``; a classifier is called after its folder, so that copies have names of their own, or after the run it lies in.

    Raises
    ------
    ClassifierError
        If the folder is no bundle, or of a schema this version does not read.
    """
    path = folder / CARD_FILE
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ClassifierError(
            f"{folder.name} is not a classifier: it holds no {CARD_FILE}."
        ) from None
    except (OSError, ValueError) as error:
        raise ClassifierError(
            f"{CARD_FILE} of the classifier {folder.name} cannot be read ({error}); copy the bundle again."
        ) from error
    if not isinstance(entries, dict) or entries.pop("schema", None) != SCHEMA:
        raise ClassifierError(
            f"The classifier {folder.name} is not of the schema {SCHEMA}; it may need a newer napari-mil."
        )
    name = folder.parent.name if folder.name == RUN_FOLDER and folder.parent.name else folder.name
    unknown = sorted(set(entries) - set(ClassifierCard.__dataclass_fields__))
    try:
        card = TypeAdapter(ClassifierCard).validate_python(
            {**entries, "folder": folder, "name": name}
        )
    except ValidationError as error:
        wrong = ", ".join(sorted({str(part["loc"][0]) for part in error.errors() if part["loc"]}))
        raise ClassifierError(
            f"{CARD_FILE} of the classifier {folder.name} is incomplete or wrong in {wrong}; copy the bundle again."
        ) from None
    if unknown:
        raise ClassifierError(
            f"{CARD_FILE} of the classifier {folder.name} is wrong: it has unknown entries ({', '.join(unknown)}); copy the bundle again."
        )
    if card.instances == TILES and (not card.tile_px or not card.mpp or card.encoder is None):
        raise ClassifierError(
            f"{CARD_FILE} of the classifier {folder.name} says neither how its tiles are cut nor by what they are encoded; copy it again."
        )
    if (
        card.link not in LINKS
        or card.instances not in (TILES, IMAGES, FEATURES)
        or len(card.classes) < (1 if card.multi_label else 2)
        or not card.temperature > 0
    ):
        raise ClassifierError(
            f"{CARD_FILE} of the classifier {folder.name} contradicts itself in link, classes or temperature; copy the bundle again."
        )
    return card


def list_classifiers(settings: Settings | None = None) -> dict[str, ClassifierCard]:
    """Return the cards of all installed classifiers by name: shipped ones, then the user's own; a damaged one is left out."""
    own = (settings or Settings()).user_folder / "classifiers"
    cards: dict[str, ClassifierCard] = {}
    for root in (SHIPPED, own):
        for folder in sorted(root.iterdir()) if root.is_dir() else ():
            if (folder / CARD_FILE).is_file() and folder.name not in cards:
                try:
                    cards[folder.name] = read_card(folder)
                except ClassifierError:
                    continue
    return cards


def find_card(name_or_path: str | Path, settings: Settings | None = None) -> ClassifierCard:
    """Return the card of an installed classifier by name, or of a bundle by its folder.

    Raises
    ------
    UnknownNameError
        If there is neither.
    ClassifierError
        If the folder is no bundle.
    """
    installed = list_classifiers(settings)
    if str(name_or_path) in installed:
        return installed[str(name_or_path)]
    folder = Path(name_or_path)
    try:
        found = folder.is_dir()
    except OSError:
        found = False  # no path this system could hold
    if found:
        return read_card(folder.resolve())
    raise UnknownNameError(
        f"There is no classifier named {str(name_or_path)!r}; choose one of {', '.join(installed)}, or give the folder of a bundle."
    )


def install(folder: Path, settings: Settings) -> str:
    """Copy a bundle to the user's own classifiers; return what it is called there. The same weights take their old place; nothing hides a shipped one.

    Raises
    ------
    ClassifierError
        If it is no bundle.
    OSError
        If it cannot be copied.
    """
    name, home = read_card(folder).name, settings.user_folder / "classifiers"
    ours = (folder / WEIGHTS_FILE).read_bytes()
    for k in count(1):
        called = name if k == 1 else f"{name}-{k}"
        target = home / called
        weights = target / WEIGHTS_FILE
        taken = target.exists() and not (weights.is_file() and weights.read_bytes() == ours)
        if taken or (SHIPPED / called).exists():
            continue
        part = home / f".partial-{called}"
        shutil.rmtree(part, ignore_errors=True)
        shutil.copytree(folder, part)
        shutil.rmtree(target, ignore_errors=True)
        part.replace(target)
        return called
    raise AssertionError("unreachable: there is always a next name")
