import numpy as np

from napari_mil.bags.canvas import find_canvas
from tests.bags.tissue.pictures import GLASS, noisy


def scan():
    return noisy(np.broadcast_to(GLASS, (300, 400, 3)), 2)


def test_black_without_texture_is_canvas():
    picture = scan()
    picture[:, :70] = 0
    canvas = find_canvas(picture)
    assert canvas[:, :70].all()
    assert not canvas[:, 80:].any()


def test_white_fields_of_a_scanner_are_canvas():
    picture = scan()
    picture[:100, :150] = 255
    picture[200:, 300:] = 255
    canvas = find_canvas(picture)
    assert canvas[:100, :150].all()
    assert canvas[200:, 300:].all()
    assert not canvas[110:190].any()


def test_white_around_an_organ_is_glass():
    row, column = np.mgrid[:300, :400]
    organ = ((row - 150) / 120) ** 2 + ((column - 200) / 180) ** 2 < 1
    picture = np.where(organ[..., None], scan(), 255).astype(np.uint8)
    assert not find_canvas(picture).any()


def test_all_white_and_thin_black_lines_are_no_canvas():
    assert not find_canvas(np.full((300, 400, 3), 255, np.uint8)).any()
    picture = scan()
    picture[:, 100:103] = 0
    assert not find_canvas(picture).any()
