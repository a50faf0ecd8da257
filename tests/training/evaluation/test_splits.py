"""Validation bags: a share of the patients, every class on both sides."""

import numpy as np
import pytest

from napari_mil.training.cohorts.scanning import scan_annotated_folder
from napari_mil.training.evaluation.splits import fold_tasks, split_of, why_none
from tests.training.sample_cohorts import with_patients


def uneven(feature_folder, positives, negatives):
    root = feature_folder(n=negatives, classes=("benign", "malignant"), sizes=(2, 4))
    for path in sorted((root / "malignant").iterdir())[positives:]:
        path.unlink()
    return scan_annotated_folder(root)


@pytest.mark.parametrize(
    ("positives", "negatives", "share"),
    [(4, 76, 0.1), (3, 40, 0.2), (20, 20, 0.2), (20, 20, 0.4), (20, 20, 0.3), (20, 20, 0.02)],
)
def test_some_are_put_aside_whatever_the_seed(feature_folder, quick, positives, negatives, share):
    cohort = uneven(feature_folder, positives, negatives)
    for seed in range(30):
        split = split_of(cohort, quick(validation=share, seed=seed))
        assert (
            set(cohort.targets[list(split.validation)])
            == set(cohort.targets[list(split.training)])
            == {0, 1}
        )
        assert sorted(split.training + split.validation) == list(range(len(cohort)))
        wanted = max(share * len(cohort), 1)
        assert len(split.validation) == pytest.approx(
            wanted, abs=2 + 0.1 * len(cohort) * (share < 0.05)
        )


def test_the_reason_why_none_are_put_aside_is_the_right_one(feature_folder, quick):
    few = uneven(feature_folder, 4, 5)
    plenty = few.only([0] * 25 + [int(np.flatnonzero(few.targets == 1)[0])])
    for cohort, config, said in (
        (few, quick(), "fewer than 20"),
        (few, quick(validation=0.0), "share is 0"),
        (plenty, quick(), "no draw of patients"),
    ):
        split = split_of(cohort, config)
        assert split.validation == ()
        assert said in why_none(split, config)


def test_no_patient_stands_on_both_sides_and_choices_are_made_on_training_patients(
    feature_folder, quick
):
    cohort = with_patients(feature_folder(n=24), per_patient=3)
    tasks = fold_tasks(cohort, quick(), 4, 3, "honest")
    groups = np.array(cohort.groups)
    for task in tasks:
        parts = [
            set(groups[list(part)])
            for part in (task.split.training, task.split.validation, task.split.test)
        ]
        assert not (parts[0] & parts[2])
        assert not (parts[1] & parts[2])
        assert not (parts[0] & parts[1])
        assert sorted((*task.split.training, *task.split.validation, *task.split.test)) == list(
            range(48)
        )
        assert task.split.validation
    for repeat in range(3):
        tested = [b for task in tasks if task.repeat == repeat for b in task.split.test]
        assert sorted(tested) == list(range(48)), "every bag is tested once per repeat"
    assert len({task.seed for task in tasks}) == len(tasks)
