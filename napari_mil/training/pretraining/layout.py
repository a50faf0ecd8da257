"""Files in the folder of a pretraining, and its state; answered without torch."""

from __future__ import annotations

from pathlib import Path

from napari_mil.encoders.adapted_cards import CARD_FILE, RUN_FOLDER
from napari_mil.training.layout import CHECKPOINT

PRETRAINING = "pretraining.json"
"""Configuration of the run."""
SLIDES = "slides.json"
"""Contents that the run began with."""
TILES = "tiles.npy"
"""Pixels of the tiles that were drawn, there while the run is unfinished."""
DRAWN = "tiles.json"
"""Where these tiles come from; written once all of them are."""
ENCODER = RUN_FOLDER
"""Folder of the adapted encoder."""


def is_pretrained(folder: Path) -> bool:
    """Say whether a run has written its encoder."""
    return (folder / ENCODER / CARD_FILE).is_file()


def is_pretraining(folder: Path) -> bool:
    """Say whether a folder holds a pretraining that was begun and has not finished."""
    begun = (folder / CHECKPOINT).is_file() or (folder / DRAWN).is_file()
    return begun and (folder / PRETRAINING).is_file() and not is_pretrained(folder)
