import shutil

from napari_mil.slides import SLIDE_EXTENSIONS
from napari_mil.slides.folders import is_slide_folder, one_of_each_series, slides_below


def test_a_folder_of_one_series_or_of_a_zarr_is_a_slide(shared, tmp_path):
    slides = shared / "data/slides"
    assert is_slide_folder(slides / "dicom/CMU-1-Small-Region")
    assert is_slide_folder(slides / "omezarr/blobs_image_v04.ome.zarr")
    assert is_slide_folder(slides / "omezarr/blobs_image_v05.ome.zarr")
    assert not is_slide_folder(slides / "dicom")
    assert not is_slide_folder(slides / "svs")
    assert not is_slide_folder(tmp_path / "nothing")


def test_the_files_of_a_series_count_once(shared, tmp_path):
    for name in ("CMU-1-Small-Region", "CMU-1-Small-Region-YBR_FULL"):
        for file in (shared / "data/slides/dicom" / name).iterdir():
            shutil.copy(file, tmp_path)
    assert not is_slide_folder(tmp_path), "two slides lie in it"
    assert len(list(one_of_each_series(sorted(tmp_path.iterdir())))) == 2
    assert len(list(slides_below(tmp_path, SLIDE_EXTENSIONS))) == 2


def test_slides_are_found_once_in_subfolders(shared):
    found = list(slides_below(shared / "cases/24-dicom-folder", SLIDE_EXTENSIONS))
    assert [path.name for path in found] == ["slideA", "slideB"]


def test_links_that_lead_back_are_followed_once(slide_path, tmp_path):
    shutil.copy(slide_path, tmp_path / "a.svs")
    for name in ("one", "other"):
        (tmp_path / name).symlink_to(tmp_path)
    assert [path.name for path in slides_below(tmp_path, SLIDE_EXTENSIONS)] == ["a.svs"]


def test_dicom_files_named_by_their_bare_identifier_are_found(shared, tmp_path):
    for k, file in enumerate((shared / "data/slides/dicom/CMU-1-Small-Region").iterdir()):
        shutil.copy(file, tmp_path / f"1.2.826.0.{k}")
    assert is_slide_folder(tmp_path)
