import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from napari_mil.bags.pen import pen_marks
from tests.bags.tissue.pictures import GLASS, INKS, noisy, read_picture, sample

NOWHERE = np.zeros((400, 600), bool)


def with_stroke(colour, noise=2.0):
    picture = np.broadcast_to(GLASS, (400, 600, 3)).copy()
    picture[180:204, 80:520] = colour
    return noisy(picture, noise)


@pytest.mark.parametrize("colour", [*INKS.values(), (0, 0, 255), (0, 160, 0), (255, 0, 0)])
def test_a_stroke_of_ink_is_a_mark(colour):
    marks = pen_marks(with_stroke(colour), GLASS, NOWHERE)
    assert marks[180:204, 80:520].all()
    assert marks.sum() < 1.5 * 24 * 440


@pytest.mark.parametrize(
    "colour",
    [(205, 120, 180), (90, 60, 140), (150, 90, 50), (240, 225, 235)],
    ids=["eosin", "haematoxylin", "DAB", "pale"],
)
def test_a_stroke_of_stain_is_no_mark(colour):
    assert not pen_marks(with_stroke(colour), GLASS, NOWHERE).any()


@pytest.mark.parametrize(("radius", "is_ink"), [(22, False), (60, True)])
def test_a_blot_is_a_mark_where_it_is_large(radius, is_ink):
    row, column = np.mgrid[:400, :600]
    blot = (row - 200) ** 2 + (column - 300) ** 2 < radius**2
    picture = noisy(np.where(blot[..., None], INKS["black"], GLASS), 2)
    assert pen_marks(picture, GLASS, NOWHERE).any() == is_ink


def test_stained_tissue_has_no_marks():
    assert not pen_marks(sample(), GLASS, np.zeros(sample().shape[:2], bool)).any()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("width", [2, 3, 5])
@pytest.mark.parametrize("strength", [0.8, 1.6])
def test_ragged_pigment_is_no_mark(seed, width, strength):
    random = np.random.default_rng(seed)
    coarse, fine = (gaussian_filter(random.normal(size=(400, 600)), side) for side in (14, width))
    depth = strength * np.maximum(coarse / coarse.std() + fine / fine.std(), 0)
    picture = noisy(GLASS * np.exp(-depth[..., None] * [1.0, 1.1, 1.05]), 2)
    assert (picture.max(2) < 80).mean() > 0.1
    assert not pen_marks(picture, GLASS, NOWHERE).any()


@pytest.mark.parametrize("name", ["img11", "img12", "img62", "img63"])
def test_ink_of_the_surgeon_in_tissue_is_no_mark(shared, name):
    picture = read_picture(shared / "data/colon" / f"{name}.jpg")
    assert not pen_marks(picture, GLASS, np.zeros(picture.shape[:2], bool)).any()


def test_a_stain_that_fades_out_is_no_mark():
    depth = np.clip(1 - np.abs(np.arange(400) - 200) / 150, 0, 1)[:, None, None]
    picture = GLASS + depth * (np.array([60, 62, 160]) - GLASS)
    fading = np.broadcast_to(picture, (400, 600, 3)).astype(np.uint8)
    assert not pen_marks(fading, GLASS, NOWHERE).any()


def test_canvas_is_no_mark():
    picture = np.broadcast_to(GLASS, (400, 600, 3)).astype(np.uint8)
    canvas = NOWHERE.copy()
    canvas[:, :60] = True
    blackened = np.where(canvas[..., None], 0, picture).astype(np.uint8)
    assert not pen_marks(blackened, GLASS, canvas).any()
