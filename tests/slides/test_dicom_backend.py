import numpy as np
import pytest

from napari_mil.errors import UnreadableSlideError
from napari_mil.slides import open_slide
from napari_mil.slides.dicom_backend import DicomBackend
from napari_mil.slides.openslide_backend import OpenSlideBackend

YBR_FULL = "data/slides/dicom/CMU-1-Small-Region-YBR_FULL"
YBR_FULL_422 = "data/slides/dicom/CMU-1-Small-Region"


def test_a_series_that_openslide_refuses_is_read_from_its_folder_and_any_of_its_files(shared):
    fingerprints = set()
    for path in (shared / YBR_FULL, *(shared / YBR_FULL).glob("*.dcm")):
        with open_slide(path) as slide:
            assert isinstance(slide._backend, DicomBackend)
            assert slide.dimensions == (2220, 2967)
            assert slide.mpp == pytest.approx(0.499)
            assert slide.mpp_source == "dicom"
            assert set(slide.associated_images) == {"label", "macro"}
            assert slide.associated_images["macro"].shape[2] == 3
            fingerprints.add(slide.fingerprint)
    assert len(fingerprints) == 1


def test_both_readers_of_dicom_see_the_same_tissue(shared):
    with open_slide(shared / YBR_FULL) as one, open_slide(shared / YBR_FULL_422) as other:
        assert isinstance(other._backend, OpenSlideBackend)
        pixels = [slide.read_region((700, 900), 0, (600, 500)) for slide in (one, other)]
    # They were compressed apart from each other.
    assert np.abs(pixels[0].astype(int) - pixels[1]).mean() < 8
    assert np.corrcoef(pixels[0].ravel(), pixels[1].ravel())[0, 1] > 0.97


def test_a_folder_is_one_slide_named_after_it(shared):
    with open_slide(shared / "cases/24-dicom-folder/benign/slideA") as slide:
        assert slide.name == "slideA"
        assert slide.level_count == 2


def test_a_dicom_file_that_is_no_slide_is_refused_in_one_sentence(tmp_path):
    path = tmp_path / "scan.dcm"
    path.write_bytes(bytes(128) + b"DICM" + bytes(200))
    with pytest.raises(UnreadableSlideError, match=r"scan\.dcm is a DICOM file") as caught:
        open_slide(path)
    assert "\n" not in str(caught.value)


def test_damaged_tiles_are_white_and_noted(shared, tmp_path):
    for file in (shared / YBR_FULL).iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    largest = max(tmp_path.iterdir(), key=lambda file: file.stat().st_size)
    content = bytearray(largest.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 3000] = bytes(3000)
    largest.write_bytes(content)
    with open_slide(shared / YBR_FULL) as intact, open_slide(tmp_path) as slide:
        pixels = slide.read_region((0, 0), 0, slide.dimensions)
        expected = intact.read_region((0, 0), 0, slide.dimensions)
        assert 1 <= len(slide.damage) <= 4
        changed = np.argwhere((pixels != expected).any(-1))[:, ::-1]
        assert slide.damage.touches(0, changed[::97], (1, 1)).all()
