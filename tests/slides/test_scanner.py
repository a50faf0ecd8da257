"""The scanner that a file names."""

import pytest

from napari_mil.slides.scanner import Scanner, scanner_of

OBJECTIVE = {"openslide.objective-power": "20"}


def test_a_scanner_is_told_with_its_objective_and_stated_scale(slide):
    assert slide.scanner == Scanner("CPAPERIOCS", "20", "0.499")
    assert str(slide.scanner) == "CPAPERIOCS at 20×"


@pytest.mark.parametrize(
    ("entries", "name"),
    [
        ({"leica.device-model": "SCN400", "leica.device-version": "1.4"}, "SCN400 1.4"),
        ({"dicom.ManufacturerModelName": "GT450", "dicom.DeviceSerialNumber": "7"}, "GT450 7"),
        ({"tiff.Make": "Hamamatsu", "tiff.Model": "NanoZoomer"}, "Hamamatsu NanoZoomer"),
        ({"dicom.ManufacturerModelName": "GT450"}, "GT450"),
    ],
)
def test_vendors_name_their_scanners_in_their_own_entries(entries, name):
    assert scanner_of({**entries, **OBJECTIVE}, (0.5, 0.5)).name == name


@pytest.mark.parametrize(
    "entries", [{}, {"dicom.ManufacturerModelName": "Unknown"}, {"tiff.Make": "  "}]
)
def test_a_file_that_names_none_has_none(entries):
    assert scanner_of(entries, (0.5, 0.5)) is None


def test_a_scanner_without_a_stated_scale_is_another_than_one_with_it():
    named = {"aperio.ScanScope ID": "S1"}
    assert scanner_of(named, None) != scanner_of(named, (0.5, 0.5))
