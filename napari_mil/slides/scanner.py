"""The scanner that made a slide, as far as the file says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

IDENTITY = (
    ("aperio.ScanScope ID",),
    ("hamamatsu.Product", "hamamatsu.NDP.S/N"),
    ("leica.device-model", "leica.device-version"),
    ("philips.DICOM_MANUFACTURERS_MODEL_NAME", "philips.DICOM_DEVICE_SERIAL_NUMBER"),
    ("ventana.ScannerModel", "ventana.UnitNumber"),
    ("mirax.GENERAL.SCANNER_HARDWARE_VERSION", "mirax.GENERAL.SCANNER_HARDWARE_ID"),
    ("dicom.ManufacturerModelName", "dicom.DeviceSerialNumber"),
    ("tiff.Make", "tiff.Model"),
)
"""Entries of a file that together name a scanner, per vendor; the first that are there count."""
OBJECTIVE = "openslide.objective-power"
NO_NAMES = ("", "unknown", "n/a", "none")
"""What writers say where they know no name."""


@dataclass(frozen=True, slots=True)
class Scanner:
    """A scanner at one of its objectives, saying one scale.

    A scanner that is wrong at 40× may be right at 20×, so these are two.
    """

    name: str
    objective: str = ""
    stated_mpp: str = ""
    """Micrometres per pixel that its files state, in words; empty where they state none."""

    def __str__(self) -> str:
        objective = f" at {self.objective}×" if self.objective else ""
        return f"{self.name}{objective}"


def scanner_of(properties: Mapping[str, str], mpp_xy: tuple[float, float] | None) -> Scanner | None:
    """Return the scanner that a file names, or None.

    Parameters
    ----------
    properties
        Entries of the file, as OpenSlide names them.
    mpp_xy
        Micrometres per level-0 pixel along x and y as the file says, plausible or not.
    """
    stated = "" if mpp_xy is None else f"{mpp_xy[0]:.4g}"
    for keys in IDENTITY:
        values = [properties.get(key, "").strip() for key in keys]
        named = [value for value in values if value.lower() not in NO_NAMES]
        if named:
            return Scanner(" ".join(named), properties.get(OBJECTIVE, ""), stated)
    return None
