"""Configuration of a pretraining.

One typed object that the window, the command line and ``pretraining.json`` share.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from napari_mil.encoders.adapted_cards import BASES
from napari_mil.encoders.cards import DEFAULT_ENCODER
from napari_mil.errors import OptionError
from napari_mil.training.config import Positive

MACHINE_FIELDS = {"sources", "threads", "device"}
"""Fields that say where a run computes and from which paths; left out of what travels."""


class PretrainingConfig(BaseModel):
    """How to adapt an encoder to slides."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    sources: tuple[str, ...] = Field(
        (), description="Slides and folders, so that a configuration is complete by itself."
    )
    encoder: str = Field(
        DEFAULT_ENCODER, description=f"Embedded encoder to start from: {', '.join(BASES)}."
    )
    tiles: int = Field(
        2000,
        ge=16,
        le=1_000_000,
        description="Tiles to learn from, drawn evenly from all slides; "
        "fewer where there are not as many.",
    )
    tile_px: Positive | None = Field(
        None,
        description="Side of a tile, px; by default the encoder's own, smaller where slides or "
        "images are.",
    )
    mpp: float | None = Field(
        None, gt=0, description="Scale of a tile, µm per px; by default the encoder's own."
    )
    level: int | None = Field(
        None, ge=0, description="Level whose pixels are taken, instead of a scale."
    )
    slide_mpp: float | None = Field(
        None, gt=0, description="µm per level-0 pixel of slides that do not say it."
    )
    mask: Literal["auto", "none"] = Field(
        "auto", description="Tiles on detected tissue, or of the whole slide."
    )
    held_out: float = Field(
        0.25,
        gt=0,
        le=0.5,
        description="Share of the slides that is not learned from, for the probe.",
    )
    epochs: Positive = Field(10, description="Passes over the tiles.")
    batch: int = Field(64, ge=4, le=4096, description="Tiles that are told apart at a time.")
    learning_rate: float = Field(
        1e-4,
        gt=0,
        description="Step of the optimiser at the start, small, since the network knows much; "
        "it falls to 0 as a cosine.",
    )
    weight_decay: float = Field(1e-4, ge=0, description="Pull of weights towards 0.")
    temperature: float = Field(
        0.5,
        gt=0,
        description="Temperature of the contrastive loss; a smaller one pushes apart what is "
        "alike, also neighbours of the same tissue.",
    )
    seed: int = Field(
        0, ge=0, lt=2**31, description="Random seed for tiles, views and the held-out slides."
    )
    device: str = Field("auto", description="auto, cpu or cuda.")
    threads: int | None = Field(
        None,
        ge=1,
        le=1024,
        description="Cores on the CPU; kept with the run, since sums depend on it in the last bit.",
    )

    @model_validator(mode="after")
    def _check(self) -> PretrainingConfig:
        if self.encoder not in BASES:
            raise ValueError(
                f"The encoder {self.encoder!r} cannot be adapted; choose {', '.join(BASES)}."
            )
        if self.level is not None and self.mpp is not None:
            raise ValueError(
                "Tiles have the scale of a level or one of their own: give level or mpp, not both."
            )
        smallest = BASES[self.encoder].smallest_tile
        if self.tile_px is not None and self.tile_px < smallest:
            raise ValueError(
                f"The encoder {self.encoder} takes tiles of at least {smallest} px, "
                f"not {self.tile_px}."
            )
        return self

    def as_json(self) -> str:
        """Return the text of a configuration file."""
        return json.dumps(self.model_dump(mode="json"), indent=2) + "\n"

    def settings(self) -> dict[str, Any]:
        """Return the fields that decide the result."""
        fields = self.model_dump(mode="json")
        return {name: value for name, value in fields.items() if name not in MACHINE_FIELDS}


def make_pretraining_config(**fields: Any) -> PretrainingConfig:
    """Make a configuration from its fields.

    Raises
    ------
    OptionError
        Naming the first field that is unknown or out of range.
    """
    try:
        return PretrainingConfig(**fields)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        reason = str(first["msg"]).removeprefix("Value error, ")
        raise OptionError(
            f"{name}: {reason}; it is {first['input']!r}." if name else reason
        ) from None


def read_pretraining_config(path: Path) -> PretrainingConfig:
    """Read a configuration from a JSON file.

    Raises
    ------
    OptionError
        If the file cannot be read, is no JSON, or a field is unknown or out of range.
    """
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise OptionError(
            f"{path.name} is no readable configuration ({error}); choose another folder."
        ) from error
    if not isinstance(fields, dict):
        raise OptionError(f"{path.name} is no configuration; choose another folder.")
    return make_pretraining_config(**fields)
