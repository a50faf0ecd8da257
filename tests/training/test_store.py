from dataclasses import replace

import pytest

from napari_mil.errors import CancelledError, TrainingError
from napari_mil.events import Fallback
from napari_mil.training.cohorts.scanning import scan_annotated_folder
from napari_mil.training.run import train
from tests.training.fittings import run, same, weights
from tests.training.runs import cancelling


def test_bags_that_do_not_fit_are_read_at_every_visit(cohort, quick, fit):
    small, large = fit(cohort, quick(memory_gb=1e-9, epochs=2)), fit(cohort, quick(epochs=2))
    assert not small.store.in_memory
    assert large.store.in_memory
    assert same(weights(run(small)), weights(run(large)))
    assert not small.store._loaded


def test_slides_that_cannot_be_tiled_are_left_out_and_said(slide_cohort, quick, settings, tmp_path):
    with pytest.raises(TrainingError, match=r"No bag of slides can be used.*no resolution"):
        train(slide_cohort, quick(), out=tmp_path / "none", settings=settings)


def test_a_data_folder_that_vanished_is_named_and_the_checkpoint_stays(
    feature_folder, quick, settings, tmp_path
):
    root = feature_folder()
    cohort = scan_annotated_folder(root)
    with pytest.raises(CancelledError):
        train(cohort, quick(), out=tmp_path / "run", settings=settings, **cancelling(1))
    root.rename(tmp_path / "elsewhere")
    with pytest.raises(TrainingError, match="not there any more"):
        train(cohort, quick(), out=tmp_path / "run", resume=True, settings=settings)
    assert (tmp_path / "run" / "checkpoint.pt").is_file()
    (tmp_path / "elsewhere").rename(root)
    train(cohort, quick(), out=tmp_path / "run", resume=True, settings=settings)


def test_annotations_that_cannot_be_read_are_named_and_left_out(
    slide_cohort, quick, settings, tmp_path
):
    path = tmp_path / "regions.xml"
    path.write_text("<Measurements/>")
    first, *others = slide_cohort.bags
    cohort = replace(slide_cohort, bags=(replace(first, annotations=(path,)), *others))
    said = []
    train(
        cohort,
        quick(mpp=0.5, tile_px=64, epochs=1, slide_mpp=0.5),
        out=tmp_path / "run",
        settings=settings,
        on_event=said.append,
    )
    remarks = [event.message for event in said if isinstance(event, Fallback)]
    assert any("regions.xml" in remark and "left out" in remark for remark in remarks)
