import pytest
from filelock import FileLock

from napari_mil.errors import CancelledError, TrainingError
from napari_mil.settings import Settings
from napari_mil.training.pretraining.run import pretrain
from napari_mil.training.pretraining.sources import find_sources
from tests.training.runs import cancelling


@pytest.fixture
def begun(regions, small, tmp_path):
    """Return the folder of a run that was cancelled."""
    with pytest.raises(CancelledError):
        pretrain(regions, small(), out=tmp_path / "run", settings=Settings(), **cancelling(1))
    return tmp_path / "run"


def test_a_run_is_gone_on_with_by_its_own_settings_and_slides_alone(
    begun, regions, region_folder, small
):
    with pytest.raises(TrainingError, match=r"holds a pretraining already; resume it"):
        pretrain(regions, small(), out=begun)
    with pytest.raises(TrainingError, match="started with epochs 3, now 9"):
        pretrain(regions, small(epochs=9), out=begun, resume=True)
    regions.bags[0].path.unlink()
    with pytest.raises(TrainingError, match="1 are gone, 0 are new"):
        pretrain(find_sources([region_folder]), small(), out=begun, resume=True)


def test_slides_may_move(begun, region_folder, small, tmp_path):
    moved = region_folder.rename(tmp_path / "elsewhere")
    config = small(sources=(str(moved),))
    assert pretrain(find_sources([moved]), config, out=begun, resume=True).encoder.is_dir()


@pytest.mark.parametrize("name", ["config.json", "checkpoint.pt", "history.csv", "encoder/a.txt"])
def test_files_of_another_origin_are_not_written_over(regions, small, tmp_path, name):
    foreign = tmp_path / "run" / name
    foreign.parent.mkdir(parents=True)
    foreign.write_text("mine")
    with pytest.raises(TrainingError, match=name.split("/")[0]):
        pretrain(regions, small(), out=tmp_path / "run")
    assert foreign.read_text() == "mine"


def test_a_damaged_list_of_slides_is_refused(begun, regions, small):
    (begun / "slides.json").write_text("{")
    with pytest.raises(TrainingError, match=r"slides\.json of run cannot be read"):
        pretrain(regions, small(), out=begun, resume=True)


def test_a_damaged_checkpoint_is_refused(begun, regions, small):
    (begun / "checkpoint.pt").write_bytes(b"half")
    with pytest.raises(TrainingError, match="checkpoint of run cannot be read"):
        pretrain(regions, small(), out=begun, resume=True)


def test_a_second_run_in_the_same_folder_is_held_off(regions, small, tmp_path):
    (tmp_path / "run").mkdir()
    with (
        FileLock(tmp_path / "run" / ".lock"),
        pytest.raises(TrainingError, match="Another run is at work"),
    ):
        pretrain(regions, small(), out=tmp_path / "run")
