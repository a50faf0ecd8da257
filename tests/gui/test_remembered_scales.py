"""Scales that were entered come back, for the same file or scanner and no other."""

from dataclasses import dataclass, replace

import pytest

from napari_mil.errors import NapariMilError
from napari_mil.gui.model.scales import EnteredScale, ScaleScope
from napari_mil.gui.remembered_scales import FILE, RememberedScales
from napari_mil.settings import Settings
from napari_mil.slides.scanner import Scanner

SCANNER = Scanner("S1", "20", "0.5")


@dataclass(frozen=True)
class Slide:
    fingerprint: str
    scanner: Scanner | None = SCANNER


@pytest.fixture
def settings(tmp_path):
    return replace(Settings(), user_folder=tmp_path / "user")


def scales(settings):
    """Return what is remembered, as the next start of the program finds it."""
    return RememberedScales(settings)


def test_nothing_is_known_at_first(settings):
    assert scales(settings).find(Slide("a")) is None


def test_a_scale_of_a_file_is_of_no_other_file(settings):
    scales(settings).remember(Slide("a"), 0.25, ScaleScope.FILE)
    assert scales(settings).find(Slide("a")) == EnteredScale(0.25, ScaleScope.FILE)
    assert scales(settings).find(Slide("b")) is None


@pytest.mark.parametrize(
    "other",
    [Scanner("S2", "20", "0.5"), Scanner("S1", "40", "0.5"), Scanner("S1", "20", "0.25"), None],
)
def test_a_scale_of_a_scanner_is_for_its_objective_and_its_stated_scale(settings, other):
    scales(settings).remember(Slide("a"), 0.46, ScaleScope.SCANNER)
    assert scales(settings).find(Slide("b")) == EnteredScale(0.46, ScaleScope.SCANNER)
    assert scales(settings).find(Slide("b", other)) is None


def test_what_was_entered_for_the_file_itself_counts_first(settings):
    scales(settings).remember(Slide("a"), 0.46, ScaleScope.SCANNER)
    scales(settings).remember(Slide("a"), 0.25, ScaleScope.FILE)
    assert scales(settings).find(Slide("a")).mpp == 0.25
    scales(settings).remember(Slide("a"), 0.46, ScaleScope.SCANNER)
    assert scales(settings).find(Slide("a")) == EnteredScale(0.46, ScaleScope.SCANNER)


def test_what_is_forgotten_is_gone_for_file_and_scanner(settings):
    scales(settings).remember(Slide("a"), 0.46, ScaleScope.SCANNER)
    scales(settings).remember(Slide("a"), 0.25, ScaleScope.FILE)
    scales(settings).forget(Slide("a"))
    assert scales(settings).find(Slide("a")) is None
    assert scales(settings).find(Slide("b")) is None


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"files": 3}', '{"files": {"a": 99999}}', '{"files": {"a": null}}']
)
def test_a_file_that_cannot_be_understood_holds_nothing(settings, text):
    settings.user_folder.mkdir()
    (settings.user_folder / FILE).write_text(text)
    assert scales(settings).find(Slide("a")) is None
    scales(settings).remember(Slide("a"), 0.25, ScaleScope.FILE)
    assert scales(settings).find(Slide("a")).mpp == 0.25


def test_a_folder_that_cannot_be_written_is_said(settings):
    settings.user_folder.write_text("a file where the folder should be")
    with pytest.raises(NapariMilError, match="not remembered"):
        scales(settings).remember(Slide("a"), 0.25, ScaleScope.FILE)


def test_no_name_of_a_slide_is_written(settings, slide_path):
    from napari_mil import open_slide

    with open_slide(slide_path) as slide:
        scales(settings).remember(slide, 0.25, ScaleScope.FILE)
    text = (settings.user_folder / FILE).read_text()
    assert slide_path.stem not in text
    assert str(slide_path.parent) not in text
