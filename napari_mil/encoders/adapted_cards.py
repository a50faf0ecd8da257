"""Encoders that a user adapted to slides of their own: files and cards, without torch.

<folder>/encoder.json           what it is, what it was adapted to, and whether that helped
<folder>/weights.safetensors    weights of the network
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import platformdirs
from pydantic import TypeAdapter, ValidationError

from napari_mil.encoders.cards import EFFICIENTNET_LITE0, EncoderCard
from napari_mil.errors import CheckpointError
from napari_mil.settings import APPLICATION

SCHEMA = "napari-mil/encoder/1"
CARD_FILE, WEIGHTS_FILE = "encoder.json", "weights.safetensors"
RUN_FOLDER = "encoder"
"""Name of an encoder's folder within the folder of the run that made it."""
IMPLEMENTATION = "napari_mil.encoders.adapted:AdaptedEncoder"
BASES: dict[str, EncoderCard] = {EFFICIENTNET_LITE0.name: EFFICIENTNET_LITE0}
"""Embedded encoders that can be adapted, by name."""
LICENCE = "weights derived from Apache-2.0 ones; your slides decide"


@dataclass(frozen=True)
class ProbeFigure:
    """What one probe says of an adapted encoder, beside the one it began as."""

    measure: str
    """What was measured, in words."""
    before: float
    """Figure of the embedded encoder."""
    after: float
    """Figure of the adapted one."""
    gain: float
    """Mean paired difference, positive where adapting helped."""
    low: float
    """Lower end of its 95 % interval."""
    high: float
    """Upper end of its 95 % interval."""
    units: int
    """Units of the bootstrap."""
    unit: str
    """What a unit is, in the plural."""

    @property
    def verdict(self) -> str:
        """What the interval says: ``better``, ``worse`` or ``not shown to be better``."""
        if self.low > 0:
            return "better"
        return "worse" if self.high < 0 else "not shown to be better"

    def sentence(self, base: str, held_out: str) -> str:
        """Return what the probe says as one sentence.

        Parameters
        ----------
        base
            Name of the encoder that was adapted.
        held_out
            What the probe was made on, in words.
        """
        verdict = {
            "better": "adapting helped",
            "worse": f"adapting harmed: stay with {base}",
        }.get(self.verdict, f"adapting is not shown to help: {base} may do as well")
        return (
            f"On {held_out}, {self.measure}: {self.after:.3f} adapted, {self.before:.3f} before "
            f"({self.gain:+.3f}, 95 % interval {self.low:+.3f} to {self.high:+.3f}, "
            f"{self.units} {self.unit}); {verdict}."
        )


@dataclass(frozen=True)
class AdaptationFacts:
    """How an encoder was adapted: counts and settings, no name, path or patient."""

    method: str
    slides: int
    """Slides or folders of images that it learned from."""
    held_out: str
    """What the probes were made on, in words."""
    tiles: int
    """Tiles that it learned from."""
    epochs: int
    content: str
    """Fingerprint of the slides."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    torch: str = ""
    """Version of torch."""


@dataclass(frozen=True)
class AdaptedEncoderCard:
    """Contents of ``encoder.json``."""

    name: str
    base: str
    """Embedded encoder whose network it has."""
    fingerprint: str
    """Fingerprint of the encoder with its weights."""
    tile_px: int
    """Side in pixels of the tiles it was adapted to."""
    mpp: float
    """Micrometres per pixel of these tiles."""
    training: AdaptationFacts
    probes: tuple[ProbeFigure, ...] = ()
    """Figures on held-out slides, the deciding one first."""
    licence: str = LICENCE
    folder: Path | None = None
    """Where it lies; not written."""

    @property
    def card(self) -> EncoderCard:
        """Description for choosing it."""
        helped = self.probes[0].verdict if self.probes else "not probed"
        slides = "1 slide" if self.training.slides == 1 else f"{self.training.slides} slides"
        return replace(
            BASES[self.base],
            name=self.name,
            title=f"{BASES[self.base].title}, adapted to {slides}",
            tile_px=self.tile_px,
            mpp=self.mpp,
            source=f"{self.base} adapted to {slides}: {helped}",
            licence=self.licence,
            implementation=IMPLEMENTATION,
            folder=self.folder,
            base=self.base,
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the content of ``encoder.json``."""
        fields = asdict(replace(self, folder=None))
        del fields["folder"]
        return {"schema": SCHEMA, **fields}


def own_encoders_folder() -> Path:
    """Return the folder in which encoders and files of weights are found by name."""
    return platformdirs.user_data_path(APPLICATION) / "encoders"


def own_encoders() -> dict[str, AdaptedEncoderCard]:
    """Return the user's adapted encoders by name; damaged ones are left out.

    A folder of theirs holds an encoder, or is that of the run that made it.
    """
    root = own_encoders_folder()
    found = {}
    for place in sorted(root.iterdir()) if root.is_dir() else ():
        folder = adapted_encoder_at(place) if place.is_dir() else None
        if folder is not None:
            try:
                found[place.name] = read_adapted_card(folder)
            except CheckpointError:
                continue
    return found


def adapted_encoder_at(path: Path) -> Path | None:
    """Return the folder of the encoder at a path, or None.

    The path is the folder itself, its ``encoder.json``, or the folder of the run that made it.
    """
    try:
        for folder in (path, path / RUN_FOLDER, path.parent if path.name == CARD_FILE else path):
            if (folder / CARD_FILE).is_file():
                return folder.absolute()
    except OSError:
        # Such a path cannot exist on this system.
        return None
    return None


def read_adapted_card(folder: Path) -> AdaptedEncoderCard:
    """Read the ``encoder.json`` of a folder.

    An encoder is named after its folder, or after the run it lies in.

    Raises
    ------
    CheckpointError
        If the file is missing, damaged, or of a schema this version does not read.
    """
    where = f"{CARD_FILE} of the encoder {folder.name}"
    try:
        entries = json.loads((folder / CARD_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{where} cannot be read ({error}); copy it again.") from error
    if not isinstance(entries, dict) or entries.pop("schema", None) != SCHEMA:
        raise CheckpointError(
            f"The encoder {folder.name} is not of the schema {SCHEMA}; "
            "it may need a newer napari-mil."
        )
    name = folder.parent.name if folder.name == RUN_FOLDER and folder.parent.name else folder.name
    try:
        card = TypeAdapter(AdaptedEncoderCard).validate_python(
            {**entries, "folder": folder, "name": name}
        )
    except ValidationError as error:
        wrong = ", ".join(sorted({str(part["loc"][0]) for part in error.errors() if part["loc"]}))
        raise CheckpointError(
            f"{where} is incomplete or wrong in {wrong}; copy it again."
        ) from None
    if card.base not in BASES or card.tile_px < 1 or not card.mpp > 0:
        raise CheckpointError(f"{where} contradicts itself; copy it again.")
    return card
