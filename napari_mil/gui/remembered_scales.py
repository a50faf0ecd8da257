"""Scales that a person entered, remembered from one time to the next."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from pydantic import BaseModel, ValidationError

from napari_mil.errors import NapariMilError
from napari_mil.files import whole_or_nothing
from napari_mil.gui.model.scales import EnteredScale, ScaleScope
from napari_mil.settings import Settings
from napari_mil.slides import Slide
from napari_mil.slides.resolution import is_plausible
from napari_mil.slides.scanner import Scanner

FILE = "scales.json"


class _Stored(BaseModel):
    """Content of the file: no name and no place of a slide."""

    files: dict[str, float] = {}
    """Micrometres per pixel by fingerprint of a slide."""
    scanners: dict[str, float] = {}
    """Micrometres per pixel by scanner, objective and stated scale."""


class RememberedScales:
    """A small file in the user's folder; one that cannot be read holds nothing.

    Parameters
    ----------
    settings
        Knows the user's folder.
    """

    def __init__(self, settings: Settings) -> None:
        self._path = settings.user_folder / FILE

    def find(self, slide: Slide) -> EnteredScale | None:
        """Return what was entered for a slide, or else for its scanner.

        Raises
        ------
        UnreadableSlideError
            If the file of the slide is gone.
        """
        stored = self._load()
        if stored.files:
            mpp = stored.files.get(slide.fingerprint)
            if mpp is not None and is_plausible(mpp):
                return EnteredScale(mpp, ScaleScope.FILE)
        scanner = slide.scanner
        mpp = None if scanner is None else stored.scanners.get(_key(scanner))
        if mpp is not None and is_plausible(mpp):
            return EnteredScale(mpp, ScaleScope.SCANNER)
        return None

    def remember(self, slide: Slide, mpp: float, scope: ScaleScope) -> None:
        """Remember a scale; one for a scanner takes the place of one for the slide itself.

        Raises
        ------
        NapariMilError
            If it cannot be written.
        """
        stored = self._load()
        stored.files.pop(slide.fingerprint, None)
        if scope is ScaleScope.FILE:
            stored.files[slide.fingerprint] = mpp
        elif slide.scanner is not None:
            stored.scanners[_key(slide.scanner)] = mpp
        self._save(stored)

    def forget(self, slide: Slide) -> None:
        """Forget what was entered for a slide and for its scanner.

        Raises
        ------
        NapariMilError
            If it cannot be written.
        """
        stored = self._load()
        stored.files.pop(slide.fingerprint, None)
        if slide.scanner is not None:
            stored.scanners.pop(_key(slide.scanner), None)
        self._save(stored)

    def _load(self) -> _Stored:
        try:
            return _Stored.model_validate_json(self._path.read_bytes())
        except (OSError, ValidationError):
            return _Stored()

    def _save(self, stored: _Stored) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with whole_or_nothing(self._path) as part:
                Path(part).write_text(stored.model_dump_json(indent=1), "utf-8")
        except OSError as error:
            raise NapariMilError(
                f"The scale is used now and not remembered: {self._path} cannot be written "
                f"({error.strerror or error})."
            ) from error


def _key(scanner: Scanner) -> str:
    return json.dumps(asdict(scanner), sort_keys=True)
