"""What is open: tissue that is kept, places, outlines."""

from dataclasses import replace

import numpy as np
import pytest
import shapely

from napari_mil.annotations import Annotations, Region
from napari_mil.gui.model.subjects import (
    Place,
    TissueChoice,
    outline_annotations,
    stored_place,
)
from tests.gui.model import builders as build


@pytest.mark.parametrize(
    ("subject", "noun"),
    [
        (build.slide_subject(), "tile"),
        (build.images_subject(), "image"),
        (build.features_subject(), "instance"),
    ],
)
def test_an_instance_is_called_after_the_kind_of_its_subject(subject, noun):
    assert subject.noun == noun


def test_only_slides_with_channels_are_fluorescence():
    assert build.fluorescence_subject().is_fluorescence
    assert not build.slide_subject().is_fluorescence
    assert not build.images_subject().is_fluorescence


def test_every_tissue_of_a_slide_has_a_version_of_its_own():
    subject = build.slide_subject()
    versions = []
    for _ in range(2):
        for painted in (False, True):
            subject = subject.with_tissue(build.mask(), painted=painted)
            versions.append(subject.tissue.version)
        subject = replace(subject, tissue=None)
    assert versions == [1, 2, 3, 4]


def test_the_first_tissue_counts_for_the_next_run_so_that_painting_is_not_lost():
    subject = build.slide_subject().with_tissue(build.mask(), painted=False)
    assert subject.tissue_choice is TissueChoice.LAYER


def test_a_whole_image_that_was_asked_for_stays_asked_for():
    subject = build.slide_subject(tissue_choice=TissueChoice.WHOLE)
    painted = subject.with_tissue(build.mask(), painted=True)
    assert painted.tissue_choice is TissueChoice.WHOLE


def test_a_person_who_detects_again_keeps_that_choice():
    subject = build.slide_subject().with_tissue(build.mask(), painted=False)
    detecting = replace(subject, tissue_choice=TissueChoice.DETECT)
    again = detecting.with_tissue(build.mask(), painted=False)
    assert again.tissue_choice is TissueChoice.DETECT


def test_the_place_of_a_slide_is_its_bounds():
    slide = build.FakeSlide(bounds=(10, 20, 300, 400))
    assert stored_place(build.slide_subject(slide=slide)) == Place(10, 20, 300, 400)


def test_the_place_of_images_holds_all_their_cells():
    assert stored_place(build.images_subject(n=5)) == Place(0, 0, 30, 20)


def test_regions_become_segments_that_close_each_ring():
    area = shapely.Polygon([(0, 0), (4, 0), (4, 4)]).union(shapely.box(10, 10, 12, 12))
    regions = (Region(area, "tumour"), Region(shapely.box(0, 0, 1, 1), None))
    layer = outline_annotations("a.xml", Annotations(regions))
    starts, vectors = layer.outlines.swapaxes(0, 1)
    assert len(starts) == 3 + 4 + 4
    assert np.allclose(vectors.sum(0), 0)
    assert (layer.classes, layer.n_regions) == (("tumour", ""), 2)


def test_a_file_without_regions_is_an_empty_layer():
    layer = outline_annotations("a.xml", Annotations(()))
    assert layer.outlines.shape == (0, 2, 2)
