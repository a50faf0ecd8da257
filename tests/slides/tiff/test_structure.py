import io
import struct

import numpy as np
import pytest
import tifffile

from napari_mil.slides.tiff.chain import BrokenChainError, check_chain
from napari_mil.slides.tiff.header import read_header
from napari_mil.slides.tiff.structure import ShortFileError, read_number, read_structure

KINDS = [(order, big) for order in "<>" for big in (False, True)]


@pytest.fixture(params=KINDS, ids=lambda kind: f"{kind[0]}{'big' if kind[1] else 'classic'}")
def kind(request):
    return request.param


@pytest.fixture
def path(kind, tmp_path):
    order, big = kind
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path, byteorder=order, bigtiff=big) as writer:
        for side in (40, 20, 10):
            writer.write(np.zeros((side, side + 3), np.uint8), metadata=None)
    return path


def test_the_first_bytes_say_order_and_size_of_numbers(path, kind):
    with path.open("rb") as file:
        structure = read_structure(file)
    assert (structure.order, structure.is_big) == kind
    assert structure.entry_bytes == (20 if kind[1] else 12)


def test_what_does_not_begin_like_a_tiff_has_no_structure(tmp_path):
    assert read_structure(io.BytesIO(b"II")) is None
    (tmp_path / "a.tif").write_bytes(b"nothing of the kind")
    assert read_header(tmp_path / "a.tif") is None
    with pytest.raises(BrokenChainError, match="does not begin like a TIFF"):
        check_chain(tmp_path / "a.tif")


def test_a_number_that_is_cut_off_is_an_error():
    with pytest.raises(ShortFileError):
        read_number(io.BytesIO(b"abc"), "<I")


def test_a_whole_chain_is_walked_and_its_first_directory_read(path):
    check_chain(path)
    header = read_header(path)
    assert (header.size, header.bits, header.is_plain) == ((43, 40), 8, False)


def positions(path, kind):
    """Return the places of the position of each directory, the last of nothing."""
    with tifffile.TiffFile(path) as file:
        offsets = [page.offset for page in file.pages]
        counts = [len(page.tags) for page in file.pages]
    order, big = kind
    links = [8 if big else 4]
    links += [o + (8 + 20 * n if big else 2 + 12 * n) for o, n in zip(offsets, counts, strict=True)]
    return offsets, links, order + ("Q" if big else "I")


def test_a_chain_that_leads_back_is_refused(path, kind):
    offsets, links, layout = positions(path, kind)
    content = bytearray(path.read_bytes())
    struct.pack_into(layout, content, links[-1], offsets[0])
    path.write_bytes(content)
    with pytest.raises(BrokenChainError, match="lead back"):
        check_chain(path)


def test_a_directory_beyond_the_end_is_refused(path, kind):
    _, links, layout = positions(path, kind)
    content = bytearray(path.read_bytes())
    struct.pack_into(layout, content, links[1], 2 ** (8 * struct.calcsize(layout)) - 1)
    path.write_bytes(content)
    with pytest.raises(BrokenChainError, match="cut short"):
        check_chain(path)


def test_a_first_directory_beyond_the_end_is_no_header(path, kind):
    _, links, layout = positions(path, kind)
    content = bytearray(path.read_bytes())
    struct.pack_into(layout, content, links[0], 2 ** (8 * struct.calcsize(layout)) - 1)
    path.write_bytes(content)
    assert read_header(path) is None
