import pytest

from napari_mil.bags import read_bag
from napari_mil.findings import FindingKind
from napari_mil.slides import open_slide


def test_coordinates_in_micrometres_need_the_slides_scale(shared):
    path = shared / "data/interop/stamp/toy16-49b04e14/SYN-01-A1-01.h5"
    alone = read_bag(path)
    assert alone.coords is None
    (finding,) = alone.warnings
    assert (finding.kind, finding.path) == (FindingKind.UNCERTAIN_PLACE, path)
    assert "scale is unknown" in finding.text
    with open_slide(shared / "data/interop/slides/SYN-01-A1-01.svs") as slide:
        placed = read_bag(path, slide)
    assert placed.coords[0].tolist() == [771, 0]
    assert placed.tile_size0 == pytest.approx(256.513, abs=1e-3)


def test_the_tile_size_of_clam_comes_from_its_patches(shared):
    assert read_bag(shared / "data/interop/clam/feats/h5_files/SYN-01-A1-01.h5").tile_size0 == 128
