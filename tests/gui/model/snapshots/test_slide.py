"""What the Slide tab shows."""

from pathlib import Path

import numpy as np
import pytest

from napari_mil.bags import TissueMask
from napari_mil.findings import Finding, FindingKind
from napari_mil.gui.model import actions
from napari_mil.gui.model.scales import ScaleScope
from napari_mil.gui.model.session import SessionState
from napari_mil.gui.model.snapshots.slide import (
    channel_rows,
    scale_origin,
    scale_scopes,
    slide_facts,
    slide_snapshot,
)
from napari_mil.slides import Channel
from napari_mil.slides.rendition import Rendition, ShownChannel
from napari_mil.slides.resolution import Scale, ScaleSource, judge_scale
from napari_mil.slides.scanner import Scanner
from tests.gui.model import builders as build


def snapshot(subject):
    return slide_snapshot(build.state_of(subject))


def facts(subject):
    return dict(snapshot(subject).facts)


def test_with_nothing_open_there_is_nothing_to_say():
    empty = slide_snapshot(SessionState())
    assert (empty.facts, empty.has_scale, empty.subjects.entries) == ((), False, ())


def test_everything_that_is_open_can_be_chosen():
    state = build.state_of(build.slide_subject(1), build.images_subject(2))
    subjects = slide_snapshot(state).subjects
    assert [entry.text for entry in subjects.entries] == ["a.svs", "polyps"]
    assert subjects.current == 2


def test_a_slide_says_what_it_is():
    said = snapshot(build.slide_subject()).facts
    assert said == (
        ("Name", "a.svs"),
        ("Size", "4000 × 3000 px"),
        ("", "2.00 × 1.50 mm"),
        ("Levels", "2 stored (1 : 4)"),
        ("File tiles", "256 × 256 px"),
        ("Format", "aperio"),
    )


def test_a_slide_without_scale_has_no_size_in_millimetres():
    assert "" not in facts(build.slide_subject(mpp=None))


def test_a_slide_of_one_level_without_tiles_says_so():
    slide = build.FakeSlide(level_downsamples=(1.0,), tile_sizes=(None,))
    said = facts(build.slide_subject(slide=slide))
    assert (said["Levels"], said["File tiles"]) == ("1 stored", "none")


def test_a_bag_of_images_lists_them():
    bag = snapshot(build.images_subject(n=3))
    assert bag.facts == (("Folder", "polyps"), ("Images", "3"))
    assert bag.names == ("0.png", "1.png", "2.png")
    assert not bag.has_scale


def test_features_say_where_they_lie():
    assert facts(build.features_subject())["Instances"] == "6, with 8 values each"
    assert facts(build.features_subject())["Place"] == (
        "at their coordinates; the slide is not at hand"
    )
    on_slide = build.features_subject(slide=build.FakeSlide())
    assert facts(on_slide)["Place"] == "on a.svs"


@pytest.mark.parametrize(
    ("scale", "words"),
    [
        (Scale(0.5, ScaleSource.OPENSLIDE), "From the file."),
        (Scale(0.5, ScaleSource.USER), "Entered by you, for this slide alone."),
        (Scale(None, ScaleSource.TIFF, 264.6), "not plausible (264.6 µm per pixel)"),
        (Scale(), "The file does not say; enter µm per pixel"),
    ],
)
def test_a_scale_says_where_it_comes_from_or_what_to_do(scale, words):
    assert words in scale_origin(build.FakeSlide(scale=scale))


def test_an_entered_scale_says_what_it_is_for():
    slide = build.FakeSlide(scale=Scale(0.25, ScaleSource.USER), scanner=Scanner("S1", "20"))
    assert scale_origin(slide, ScaleScope.FILE) == "Entered by you for this file, and remembered."
    assert "the scanner S1 at 20×" in scale_origin(slide, ScaleScope.SCANNER)


def test_a_scale_for_a_scanner_needs_its_name():
    named = build.FakeSlide(scanner=Scanner("S1"))
    assert [choice.reason for choice in scale_scopes(named)] == ["", ""]
    assert scale_scopes(build.FakeSlide())[1].reason


def test_channels_are_listed_as_they_are_shown():
    rows = snapshot(build.fluorescence_subject()).channels
    assert [(row.name, row.shown.visible) for row in rows] == [("DAPI", True), ("FITC", True)]
    assert rows[0].limits == (0.0, 255.0)
    hidden = Rendition((ShownChannel(build.FLUORESCENCE[0], False), rows[1].shown))
    rows = channel_rows(build.FakeSlide(channels=build.FLUORESCENCE), hidden)
    assert [row.shown.visible for row in rows] == [False, True]


def test_contrast_can_be_raised_as_far_as_the_values_go():
    deep = Channel("DAPI", (0, 0, 255), (100.0, 1100.0), "uint16")
    (row,) = channel_rows(build.FakeSlide(channels=(deep,)), None)
    assert row.limits == (0.0, 4100.0)
    signed = Channel("DAPI", (0, 0, 255), (-1.0, 1.0), "float32")
    (row,) = channel_rows(build.FakeSlide(channels=(signed,)), None)
    assert row.limits == (-1.0, 7.0)


def test_every_source_of_a_scale_has_words():
    for source in set(ScaleSource) - {ScaleSource.UNKNOWN}:
        assert scale_origin(build.FakeSlide(scale=Scale(0.5, source))).endswith(".")


def test_tissue_says_how_much_it_is_and_who_made_it():
    state = build.state_of(build.slide_subject())
    assert slide_snapshot(state).tissue == ""
    detected = actions.set_tissue(state, 1, build.mask(0.5), painted=False)
    assert "50% of the slide, outlined" in slide_snapshot(detected).tissue
    painted = actions.set_tissue(detected, 1, build.mask(0.25), painted=True)
    assert "25% of the slide, painted" in slide_snapshot(painted).tissue
    none = actions.set_tissue(painted, 1, build.mask(0.0), painted=False)
    assert slide_snapshot(none).tissue.startswith("No tissue found")


def test_detection_is_told_for_the_slide_that_it_is_about():
    state = build.state_of(build.slide_subject(1), build.slide_subject(2))
    assert slide_snapshot(actions.start_detecting(state, 2)).detects_tissue
    assert not slide_snapshot(actions.start_detecting(state, 1)).detects_tissue
    ended = actions.end_detecting(actions.start_detecting(state, 2), 2)
    assert not slide_snapshot(ended).detects_tissue


def test_what_was_odd_about_the_file_is_told():
    assert snapshot(build.slide_subject(remarks=("Two levels are missing.",))).remarks == (
        "Two levels are missing.",
    )


def test_pixels_that_are_not_square_are_said_and_the_size_is_right():
    scale = judge_scale((0.25, 0.5), ScaleSource.TIFF)
    slide = build.FakeSlide(scale=scale, dimensions=(1024, 512))
    facts = dict(slide_facts(slide))
    assert facts[""] == "0.26 × 0.26 mm"
    assert "0.25 × 0.5 µm" in scale_origin(slide)


def test_the_channels_of_fluorescence_are_named():
    channels = tuple(Channel(name, (0, 0, 255), (0.0, 1.0), "uint8") for name in ("DAPI", "CD8"))
    assert dict(slide_facts(build.FakeSlide(channels=channels)))["Channels"] == "DAPI, CD8"
    assert "Channels" not in dict(slide_facts(build.FakeSlide()))


def test_what_was_noticed_about_tissue_stands_beside_it():
    finding = Finding(FindingKind.PEN_MARKS, Path("a.svs"), "Tissue with pen marks left out.")
    mask = TissueMask(np.ones((4, 4), bool), (1000, 750), findings=(finding,))
    subject = build.slide_subject().with_tissue(mask, painted=False)
    assert "pen marks left out" in slide_snapshot(build.state_of(subject)).tissue
