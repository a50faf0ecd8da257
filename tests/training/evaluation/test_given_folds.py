import numpy as np
import pytest

from napari_mil.errors import TrainingError
from napari_mil.training.cohorts.scanning import scan_annotated_folder
from napari_mil.training.evaluation.given_folds import folds_of_table, read_folds
from tests.training.sample_cohorts import put, table, with_patients


@pytest.fixture
def cohort(tmp_path):
    for label in ("benign", "malignant"):
        for k in range(4):
            put(
                tmp_path / "root" / label / f"{label}{k}.npy", np.full((2, 3), 4.0 * k + len(label))
            )
    return scan_annotated_folder(tmp_path / "root")


def rows_for(cohort, folds, repeat=None):
    return [
        f"{bag.path.relative_to(cohort.root)},{fold}" + ("" if repeat is None else f",{repeat}")
        for bag, fold in zip(cohort.bags, folds, strict=True)
    ]


def written(tmp_path, header, rows):
    path = tmp_path / "folds.csv"
    path.write_text("\n".join((header, *rows)))
    return path


def test_folds_of_several_repeats_are_numbered_from_0(cohort, tmp_path):
    rows = rows_for(cohort, [1, 2, 10] * 2 + [1, 2], 1) + rows_for(cohort, [2, 1, 10, 1] * 2, 2)
    given = read_folds(written(tmp_path, "bag,fold,repeat", rows))
    given.check(cohort)
    assert given.fold_of(cohort).tolist() == [[0, 1, 2, 0, 1, 2, 0, 1], [1, 0, 2, 0, 1, 0, 2, 0]]


def test_names_without_folder_and_ending_and_letters_for_folds_do(cohort, tmp_path):
    rows = [f"{bag.name};{'ab'[k % 2]}" for k, bag in enumerate(cohort.bags)]
    given = read_folds(written(tmp_path, "Slide_ID;Fold", rows))
    assert given.fold_of(cohort).tolist() == [[0, 1] * 4]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda rows: [*rows, "benign/new.npy,0"], "1 bag that root lacks"),
        (lambda rows: rows[1:], "no fold to 1 bag of root .benign0.npy"),
        (lambda rows: [*rows, rows[0][:-1] + "1"], "several folds of one repeat"),
        (lambda rows: [row[:-1] + "0" for row in rows], "one fold only"),
    ],
)
def test_what_does_not_match_is_one_sentence(cohort, tmp_path, change, said):
    given = read_folds(written(tmp_path, "bag,fold", change(rows_for(cohort, [0, 1] * 4))))

    def use():
        given.check(cohort)
        given.fold_of(cohort)

    with pytest.raises(TrainingError, match=said):
        use()


def test_a_patient_is_not_torn_apart(cohort, tmp_path):
    cohort = with_patients(cohort.root, per_patient=2)
    given = read_folds(written(tmp_path, "bag,fold", rows_for(cohort, [0, 1] * 4)))
    with pytest.raises(TrainingError, match="of one patient"):
        given.fold_of(cohort)


@pytest.mark.parametrize(
    "text", ["", "bag,label\na,b\n", "bag,fold\n", "bag,fold\na,\n", "bag,fold\na,NA\n"]
)
def test_a_table_without_folds_is_refused(text, tmp_path):
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(TrainingError, match=r"no column|gives no folds|is empty"):
        read_folds(tmp_path / "x.csv")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("x.csv", "cannot be read as a table"),
        ("missing.csv", "missing.csv does not exist"),
        ("", "is a folder"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused(tmp_path, name, words):
    (tmp_path / "x.csv").write_bytes(b"bag,fold\n\0\xff,1")
    with pytest.raises(TrainingError, match=words):
        read_folds(tmp_path / name)


def test_rows_longer_than_the_header_are_refused(tmp_path):
    (tmp_path / "x.csv").write_text("bag,fold\na, first,0\nb,1\n")
    with pytest.raises(TrainingError, match=r"1 row has more cells .*line 2"):
        read_folds(tmp_path / "x.csv")


@pytest.mark.parametrize("missing", ["NA", "nan", "<NA>", ""])
def test_a_bag_whose_fold_is_not_known_has_none(cohort, tmp_path, missing):
    rows = rows_for(cohort, [missing, 0, 1, 2, 0, 1, 2, 0])
    given = read_folds(written(tmp_path, "bag,fold", rows))
    with pytest.raises(TrainingError, match="no fold to 1 bag of root"):
        given.fold_of(cohort)


def test_folds_are_compared_as_numbers(cohort, tmp_path):
    rows = rows_for(cohort, ["1", "1.0", "2", "2.0", "03", "3", "10", "10.0"])
    given = read_folds(written(tmp_path, "bag,fold", rows))
    assert given.fold_of(cohort).tolist() == [[0, 0, 1, 1, 2, 2, 3, 3]]


def test_a_column_of_the_cohorts_own_table_gives_no_fold_where_it_is_not_known(cohort):
    rows = [
        f"{bag.path.relative_to(cohort.root)},{bag.label},{fold}"
        for bag, fold in zip(cohort.bags, ["NA", 0, 1, 2, "NA", 1, 2, 0], strict=True)
    ]
    own = table(cohort.root, "\n".join(("slide,label,fold", *rows)))
    with pytest.raises(TrainingError, match="no fold to 2 bags of root"):
        folds_of_table(own).fold_of(own)


def test_the_cohorts_own_table_may_give_folds_also_of_bags_that_are_not_used(cohort):
    rows = [
        f"{bag.path.relative_to(cohort.root)},{bag.label},{k % 3}"
        for k, bag in enumerate(cohort.bags)
    ]
    own = table(cohort.root, "\n".join(("slide,label,fold", *rows, "gone.npy,benign,1")))
    given = folds_of_table(own)
    given.check(own)
    assert given.fold_of(own).tolist() == [[0, 1, 2, 0, 1, 2, 0, 1]]


def test_a_cohort_without_such_a_column_gives_none(cohort):
    assert folds_of_table(cohort) is None
    assert folds_of_table(with_patients(cohort.root, 2)) is None
