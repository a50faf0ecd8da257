import numpy as np
import pytest
import tifffile

from napari_mil import bags
from napari_mil.bags import TileSpec
from napari_mil.errors import (
    MissingMppError,
    NapariMilError,
    NoTissueError,
    Remedy,
    UnreadableSlideError,
)
from napari_mil.inference.pipeline import classify
from napari_mil.inference.planning import plan_tiles, with_assumed_scale
from napari_mil.slides import open_slide


def test_glass_alone_is_refused(paint, classifier):
    slide = paint(np.full((600, 600, 3), 243, np.uint8))
    with pytest.raises(NoTissueError, match=r"painted\.tiff shows no tissue"):
        classify(slide, classifier)
    assert classify(slide, classifier, mask=None, device="cpu").n_instances == 16


def test_tiles_larger_than_the_tissue_are_told_apart_from_a_slide_without_tissue(slide):
    with pytest.raises(NoTissueError, match="no tile of 20000 px is half covered") as caught:
        plan_tiles(slide, TileSpec(20_000, 0.5))
    assert caught.value.remedies[0] is Remedy.SMALLER_TILES


def test_a_slide_without_scale_is_refused_until_the_user_gives_one(paint, noise, classifier):
    slide = paint(noise, mpp=None)
    with pytest.raises(MissingMppError) as caught:
        classify(slide, classifier)
    assert caught.value.remedies == (Remedy.GIVE_SCALE, Remedy.TAKE_LEVEL)
    with slide.with_mpp(0.5) as scaled:
        assert classify(scaled, classifier, device="cpu").n_instances > 1


def test_uncertain_scales_are_remarked_on(paint, noise, classifier):
    slide = paint(noise, mpp=None)
    by_level = plan_tiles(slide, TileSpec(128, 0.6, level=0), None).grid
    prediction = classify(slide, classifier, grid=by_level, device="cpu")
    assert "scale is unknown" in prediction.provenance["fallbacks"][0]
    coarse = paint(noise, mpp=1.1, name="coarse.tiff")
    prediction = classify(coarse, classifier, mask=None, device="cpu")
    assert "enlarged" in prediction.provenance["fallbacks"][0]


def test_the_scale_of_the_classifier_is_assumed_where_the_slide_says_none(
    paint, noise, make_classifier
):
    assuming = make_classifier(slide_mpp=0.5)
    slide = paint(noise, mpp=None)
    prediction = classify(slide, assuming, mask=None, device="cpu")
    assert "0.5 µm per pixel are assumed" in prediction.provenance["fallbacks"][0]
    assert prediction.provenance["mpp_source"] == "classifier"
    assert slide.mpp is None, "the slide itself stays as it was"
    known = paint(noise, mpp=0.4, name="known.tiff")
    assert with_assumed_scale(known, assuming.card) is known


def test_a_mask_is_not_guessed_from_a_word(slide, classifier):
    with pytest.raises(NapariMilError, match="not 'none'"):
        plan_tiles(slide, classifier.card.tiling, "none")


def test_the_scale_is_judged_before_tissue_is_looked_for(paint, noise, classifier, monkeypatch):
    monkeypatch.setattr(bags, "tissue_mask", lambda *_: pytest.fail("looked for tissue"))
    with pytest.raises(MissingMppError):
        plan_tiles(paint(noise, mpp=None), classifier.card.tiling)


@pytest.mark.parametrize(("share", "is_refused"), [(0.3, False), (0.7, True)])
def test_a_slide_that_is_mostly_unreadable_is_refused_when_tissue_is_looked_for(
    share, is_refused, paint, noise, classifier
):
    path = paint(noise, name="good.tiff").path
    with tifffile.TiffFile(path) as file:
        offsets = file.pages.first.dataoffsets
    content = bytearray(path.read_bytes())
    for offset in offsets[: round(share * len(offsets))]:
        content[offset : offset + 8] = bytes(8)
    path = path.with_name("damaged.tiff")
    path.write_bytes(content)
    with open_slide(path) as slide:
        if is_refused:
            with pytest.raises(UnreadableSlideError, match="tiles that cannot be read"):
                plan_tiles(slide, classifier.card.tiling)
        else:
            assert len(plan_tiles(slide, classifier.card.tiling).grid)


@pytest.mark.parametrize(("share", "is_refused"), [(0.1, False), (0.5, False), (0.8, True)])
def test_a_slide_whose_finest_tiles_are_gone_is_refused_before_it_is_encoded(
    share, is_refused, paint, noise
):
    """Its coarse level is whole, so that looking for tissue notices nothing."""
    level0 = np.tile(noise[:600, :460], (4, 4, 1))
    path = paint(level0, downsamples=(1, 4), tile=64, name="good.tiff").path
    with tifffile.TiffFile(path) as file:
        offsets = file.pages.first.dataoffsets
    content = bytearray(path.read_bytes())
    lost = np.random.default_rng(0).permutation(len(offsets))[: round(share * len(offsets))]
    for offset in np.array(offsets)[lost].tolist():
        content[offset : offset + 8] = bytes(8)
    path = path.with_name("hollow.tiff")
    path.write_bytes(content)
    tiles = TileSpec(32, 0.5)
    with open_slide(path) as slide:
        if is_refused:
            with pytest.raises(UnreadableSlideError, match=r"\d+ of 100 places that were tried"):
                plan_tiles(slide, tiles, None)
        else:
            assert len(plan_tiles(slide, tiles, None).grid) > 400
