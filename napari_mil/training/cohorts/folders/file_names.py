"""Names of files and folders that are not in UTF-8, and cannot be written to any file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from napari_mil.errors import TrainingError
from napari_mil.findings import Finding, FindingKind


def is_utf8(path: Path) -> bool:
    """Say whether the characters of a path are known; others cannot be written to any file."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def printable(path: Path) -> str:
    """Return the name of a file or folder with a mark for each character that is not known."""
    return os.fsencode(path.name).decode(errors="replace")


def unknown_characters(paths: Sequence[Path]) -> Finding:
    """Say that bags have names that cannot be written to any file."""
    text = "Its name is not in UTF-8; rename it."
    if len(paths) > 1:
        text = f"{len(paths)} files, this one for one, have names not in UTF-8; rename them."
    first = paths[0].with_name(printable(paths[0]))
    return Finding(FindingKind.SKIPPED, first, text, len(paths))


def refuse_unknown_characters(folder: Path) -> None:
    """Refuse a folder whose name, or that of one above it, cannot be written to any file."""
    if not is_utf8(folder):
        shown = next(path for path in reversed((folder, *folder.parents)) if not is_utf8(path))
        raise TrainingError(
            f"The name of the folder {printable(shown)} is not in UTF-8; rename it."
        )
