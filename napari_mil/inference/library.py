"""Installed classifiers: shipped ones and the user's own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from napari_mil.errors import ClassifierError, UnknownNameError
from napari_mil.files import whole_folder_or_nothing
from napari_mil.inference.card import (
    CARD_FILE,
    SHIPPED,
    WEIGHTS_FILE,
    ClassifierCard,
    read_card,
)
from napari_mil.settings import Settings

FOLDER = "classifiers"
"""Folder of the user's own classifiers below `Settings.user_folder`."""


def list_classifiers(settings: Settings | None = None) -> dict[str, ClassifierCard]:
    """Return the cards of all installed classifiers by name.

    Shipped ones come first, then the user's own. A damaged bundle is left out.
    """
    own = (settings or Settings()).user_folder / FOLDER
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
    """Return the card of a classifier by name or folder.

    Parameters
    ----------
    name_or_path
        Name of an installed classifier, or folder of a bundle.
    settings
        Gives the folder of the user's own classifiers.

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
        is_folder = folder.is_dir()
    except OSError:
        # Such a path cannot exist on this system.
        is_folder = False
    if is_folder:
        return read_card(folder.resolve())
    raise UnknownNameError(
        f"There is no classifier named {str(name_or_path)!r}; "
        f"choose one of {', '.join(installed)}, or give the folder of a bundle."
    )


def install_bundle(folder: Path, settings: Settings) -> ClassifierCard:
    """Copy a bundle to the user's own classifiers.

    It is copied whole or not at all. The same weights take their earlier place; a name of a shipped
    classifier is not used.

    Returns
    -------
    ClassifierCard
        Card of the copy.

    Raises
    ------
    ClassifierError
        If it is no bundle.
    OSError
        If it cannot be copied.
    """
    home = settings.user_folder / FOLDER
    card = read_card(folder)
    if folder.parent == home:
        return card
    weights = (folder / WEIGHTS_FILE).read_bytes()
    target = next(place for place in _places(home, card.name) if _is_free(place, weights))
    with whole_folder_or_nothing(target) as part:
        shutil.copytree(folder, part, dirs_exist_ok=True)
    return read_card(target)


def _places(home: Path, name: str) -> Iterator[Path]:
    """Yield the folders that a classifier may have, best first."""
    for k in count(1):
        candidate = name if k == 1 else f"{name}-{k}"
        if not (SHIPPED / candidate).exists():
            yield home / candidate


def _is_free(place: Path, weights: bytes) -> bool:
    """Say whether a folder is missing or holds the same weights."""
    if not place.exists():
        return True
    file = place / WEIGHTS_FILE
    return file.is_file() and file.read_bytes() == weights
