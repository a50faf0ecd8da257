import numpy as np
import pytest
from PIL import Image

from napari_mil.errors import OutputError
from napari_mil.training.evaluation.answers import Link
from napari_mil.training.evaluation.curves import curves_of
from napari_mil.training.evaluation.page import write_page
from tests.training.evaluation.sample_answers import answers


@pytest.mark.parametrize("link", Link)
def test_a_page_holds_the_four_figures_and_says_what_they_are_of(link, tmp_path):
    svg, png = write_page(curves_of(answers(link)), "AUC 0.80, honest protocol", tmp_path)
    text = svg.read_text(encoding="utf-8")
    for said in ("ROC", "Precision and recall", "Calibration", "Confusion", "AUC 0.80, honest"):
        assert said in text
    assert "tumour, solid" in text
    if link is not Link.SIGMOID:
        assert "µ $tricky" in text
    pixels = np.asarray(Image.open(png).convert("L"))
    assert pixels.shape[0] > 1000
    assert pixels.min() < 100
    assert [path.name for path in sorted(tmp_path.iterdir())] == [png.name, svg.name]


def test_the_same_figures_give_the_same_page(tmp_path):
    pages = []
    for name in "ab":
        (tmp_path / name).mkdir()
        svg, _ = write_page(curves_of(answers()), "title", tmp_path / name)
        pages.append(svg.read_bytes())
    assert pages[0] == pages[1]


def test_a_class_without_bags_and_long_names_are_drawn(tmp_path):
    some = answers(Link.SOFTMAX, classes=("a" * 80, "b", "c"))
    without = some.only(np.flatnonzero(some.targets != 2))
    svg, _ = write_page(curves_of(without), "title " * 60, tmp_path)
    assert "a" * 80 not in svg.read_text(encoding="utf-8")


def test_a_folder_that_is_gone_is_one_sentence(tmp_path):
    with pytest.raises(OutputError, match="cannot be written"):
        write_page(curves_of(answers()), "title", tmp_path / "gone")
