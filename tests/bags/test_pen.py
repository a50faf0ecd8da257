import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from napari_mil.bags.pen import pen_marks
from tests.bags.tissue.pictures import GLASS, INKS, noisy, sample

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


def test_stained_tissue_has_no_marks():
    assert not pen_marks(sample(), GLASS, np.zeros(sample().shape[:2], bool)).any()


def test_ragged_pigment_is_no_mark():
    random = np.random.default_rng(2)
    coarse, fine = (gaussian_filter(random.normal(size=(400, 600)), width) for width in (14, 2))
    clumps = coarse / coarse.std() + 0.7 * fine / fine.std() > 0.8
    picture = np.where(clumps[..., None], (30, 24, 28), GLASS)
    assert not pen_marks(noisy(picture, 2), GLASS, NOWHERE).any()


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
