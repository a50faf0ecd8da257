"""Tissue in every kind of picture: compared with a mask drawn by hand, and with itself changed."""

import tracemalloc

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import binary_dilation

from napari_mil.bags import TissueMethod, tissue_mask
from napari_mil.bags.segmentation import segment_tissue
from napari_mil.errors import CancelledError
from napari_mil.slides import open_slide
from tests.bags.tissue.drawn import drawn_masks, intersection_over_union
from tests.bags.tissue.pictures import (
    GLASS,
    INKS,
    MADE,
    bare_glass,
    compressed,
    dimmed,
    drawn_on,
    drawn_over,
    faded,
    greyed,
    noisy,
    read_picture,
    sample,
    small_fields,
)

NEAR_WHITE = 220
"""Smallest grey level of all colours of what may be glass in a field."""


@pytest.fixture(scope="module")
def drawn():
    """Return the mask of the sample slide drawn by hand."""
    (mask,) = [mask for mask in drawn_masks() if mask.picture == "sample"]
    return mask.fill(sample().shape)


@pytest.fixture(scope="module")
def found():
    """Return the tissue found on the sample slide."""
    return segment_tissue(sample()).tissue


@pytest.mark.parametrize("kind", MADE)
def test_tissue_of_every_kind_is_that_drawn_by_hand(kind, drawn):
    segmentation = segment_tissue(MADE[kind](sample()))
    assert intersection_over_union(segmentation.tissue, drawn) > 0.85
    expected = TissueMethod.FLUORESCENCE if kind == "fluorescence" else TissueMethod.GLASS
    assert segmentation.method is expected
    assert (segmentation.ink > 0) == ("ink" in kind)


@pytest.mark.parametrize(("ink", "grey"), [*((ink, False) for ink in INKS), ("black", True)])
def test_ink_on_glass_is_no_tissue_and_tissue_beside_it_stays(ink, grey, drawn):
    marked = drawn_on(sample(), ink)
    marks = np.abs(marked.astype(int) - sample()).max(2) > 40
    tissue = segment_tissue(greyed(marked) if grey else marked).tissue
    assert tissue[marks & ~binary_dilation(drawn, iterations=4)].mean() < 0.03
    assert tissue[drawn & ~binary_dilation(marks, iterations=8)].mean() > 0.94


@pytest.mark.parametrize("ink", ["blue", "green"])
def test_tissue_under_thin_ink_stays(ink, drawn):
    marked = drawn_over(sample(), ink)
    marks = np.abs(marked.astype(int) - sample()).max(2) > 20
    tissue = segment_tissue(marked).tissue
    assert tissue[marks & drawn].mean() > 0.95
    assert tissue[marks & ~binary_dilation(drawn, iterations=8)].mean() < 0.05


@pytest.mark.parametrize("name", [name for name, _picture in small_fields(sample())])
def test_small_fields_keep_their_tissue(name):
    picture = dict(small_fields(sample()))[name]
    segmentation = segment_tissue(picture)
    coloured = picture.min(2) < NEAR_WHITE
    if name.startswith("field of tissue"):
        assert segmentation.method is TissueMethod.WHOLE_FIELD
        assert segmentation.tissue.all()
    elif name.startswith("field with glass"):
        assert segmentation.tissue[coloured].mean() > 0.97
        assert segmentation.tissue[:, : picture.shape[1] // 4].mean() < 0.02
    else:
        assert segmentation.tissue.mean() < 0.02


def test_stroma_stained_by_haematoxylin_alone_stays(shared):
    stroma = read_picture(shared / "data/slides/plain/ihc.png")[300:500, 180:270]
    assert segment_tissue(np.ascontiguousarray(stroma)).tissue.all()
    picture = noisy(np.broadcast_to(GLASS, (900, 900, 3)), 2)
    picture[300:500, 400:490] = stroma
    tissue = segment_tissue(compressed(picture, 80)).tissue
    assert tissue[300:500, 400:490].mean() > 0.85
    assert tissue.sum() < 1.1 * 200 * 90


@pytest.mark.parametrize("light", [1.0, 0.2])
@pytest.mark.parametrize("dust", [False, True])
def test_bare_glass_has_no_tissue(light, dust):
    segmentation = segment_tissue(dimmed(bare_glass(dust=dust), light))
    assert segmentation.method is TissueMethod.GLASS
    assert not segmentation.tissue.any()


@pytest.mark.parametrize("value", [0, 40, 128, 255])
def test_a_picture_of_one_grey_has_no_tissue(value):
    assert not segment_tissue(np.full((200, 300, 3), value, np.uint8)).tissue.any()


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (3, 2), (16, 16)])
@pytest.mark.parametrize("value", [0, 90, 255])
def test_tiny_pictures_are_no_error(size, value):
    random = np.random.default_rng(1)
    picture = np.clip(value + random.integers(-60, 60, (*size, 3)), 0, 255).astype(np.uint8)
    assert segment_tissue(picture).tissue.shape == size


@pytest.mark.parametrize("share", [0.5, 0.75, 1.5, 2.0])
def test_size_of_the_picture_does_not_matter(share, found):
    size = round(found.shape[1] * share), round(found.shape[0] * share)
    scaled = np.asarray(Image.fromarray(sample()).resize(size, Image.Resampling.BOX))
    expected = np.asarray(Image.fromarray(found).resize(size))
    assert intersection_over_union(segment_tissue(scaled).tissue, expected) > 0.95


@pytest.mark.parametrize("light", [0.15, 0.3, 0.5, 0.8])
def test_light_of_the_scanner_does_not_matter(light, found):
    assert intersection_over_union(segment_tissue(dimmed(sample(), light)).tissue, found) > 0.97


@pytest.mark.parametrize(
    "turn",
    [np.fliplr, np.flipud, np.rot90, lambda picture: np.swapaxes(picture, 0, 1)],
    ids=["left to right", "upside down", "quarter turn", "transposed"],
)
def test_a_turned_picture_gives_a_turned_mask(turn, found):
    turned = np.ascontiguousarray(turn(sample()))
    assert intersection_over_union(segment_tissue(turned).tissue, turn(found)) > 0.99


def test_glass_around_a_picture_loses_no_tissue(found):
    height, width = found.shape
    around = np.broadcast_to(GLASS.astype(np.uint8), (height + 400, width + 500, 3))
    picture = noisy(around, 1)
    inner = slice(200, 200 + height), slice(300, 300 + width)
    picture[inner] = sample()
    tissue = segment_tissue(picture).tissue
    assert tissue[inner][found].mean() > 0.98
    assert tissue.sum() < 1.05 * found.sum()


def test_paler_and_paler_tissue_is_found_down_to_a_tenth_of_its_contrast(drawn):
    overlaps = [
        intersection_over_union(segment_tissue(faded(sample(), contrast)).tissue, drawn)
        for contrast in (0.5, 0.2, 0.12, 0.1)
    ]
    assert min(overlaps) > 0.8


def test_known_scale_only_lowers_the_size_of_dust_and_glass(found):
    with_scale = segment_tissue(sample(), pixel_um2=4.0).tissue
    assert intersection_over_union(with_scale, found) > 0.9


def test_fluorescence_that_the_file_says_is_not_searched_for_glass():
    segmentation = segment_tissue(dimmed(sample(), 0.5), fluorescent=True)
    assert segmentation.method is TissueMethod.FLUORESCENCE


class CancelledAfter:
    """A token that is cancelled once it was asked some times."""

    def __init__(self, asks):
        self.asks = asks

    def raise_if_cancelled(self):
        self.asks -= 1
        if self.asks < 0:
            raise CancelledError("Cancelled.")


@pytest.mark.parametrize("asks", range(6))
def test_segmenting_can_be_cancelled_between_its_steps(asks):
    with pytest.raises(CancelledError):
        segment_tissue(sample(), cancel=CancelledAfter(asks))


def test_memory_is_bounded_by_some_bytes_a_pixel():
    picture = np.asarray(Image.fromarray(sample()).resize((2048, 2048)))
    tracemalloc.start()
    try:
        segment_tissue(picture, 64.0)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # 4096 x 4096 pixels of an overview then take 250 MB with the overview itself.
    assert peak < 13 * picture.shape[0] * picture.shape[1]


@pytest.mark.parametrize("folder", ["colon", "breast"])
def test_fields_of_view_keep_their_tissue(shared, folder):
    paths = sorted((shared / "data" / folder).rglob("*.jpg"))
    assert len(paths) >= 58
    for path in paths:
        picture = np.asarray(Image.open(path).convert("RGB"))
        coloured = picture.min(2) < NEAR_WHITE
        if coloured.mean() < 0.05:
            continue
        kept = segment_tissue(picture).tissue[coloured].mean()
        assert kept > 0.95, path.name


@pytest.mark.parametrize(
    ("name", "method", "least", "most"),
    [
        ("svs/TCGA-CR-7395-01A-01-TS1.svs", TissueMethod.GLASS, 0.57, 0.70),
        ("tiff/biopsy-packed-3level.tif", TissueMethod.GLASS, 0.15, 0.26),
        ("tiff/mask-361MP-3level.tiff", TissueMethod.FLUORESCENCE, 0.0, 0.0),
        ("dicom/camelyon-overview-jpeg.dcm", TissueMethod.GLASS, 0.2, 0.45),
        ("plain/TCGA-HT-7470-DX4-roi.png", TissueMethod.WHOLE_FIELD, 1.0, 1.0),
        ("plain/ihc.png", TissueMethod.WHOLE_FIELD, 1.0, 1.0),
        ("derived/cmu1-mosaic-398MP.tiff", TissueMethod.GLASS, 0.3, 0.52),
        ("derived/two-regions-mimic.scn", TissueMethod.GLASS, 0.0001, 0.001),
    ],
)
def test_real_slides_have_the_share_of_tissue_that_is_seen(shared, name, method, least, most):
    with open_slide(shared / "data/slides" / name) as slide:
        mask = tissue_mask(slide)
    assert mask.method is method
    assert least <= mask.fraction <= most
