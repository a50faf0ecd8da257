import csv

import numpy as np
import pytest
from PIL import Image

from napari_mil.bags import open_image_bag
from napari_mil.gui.samples import sample_path
from napari_mil.inference.library import list_classifiers
from scripts.colorectal_cases import BENIGN, MALIGNANT, Row, demo_case, read_cases, read_table
from scripts.train_colorectal_biopsy import malignant_label
from scripts.train_colorectal_grade import grade


def test_the_highest_grade_of_its_images_is_that_of_a_case():
    assert [grade({"polyp"}), grade({"polyp", "low_grade_in"})] == [0, 1]
    assert grade({"low_grade_in", "high_grade_in"}) == 2
    assert [malignant_label({"polyp"}), malignant_label({"polyp", "adenocarcinoma"})] == [0, 1]


def rows_of(*labels_of_cases):
    return [
        Row(f"{label}/{k}-{i}.jpg", label, f"case {k}")
        for k, labels in enumerate(labels_of_cases)
        for i, label in enumerate(labels)
    ]


def test_the_sample_case_has_both_sides_no_low_grade_and_at_most_six_images():
    both = ["adenocarcinoma", "polyp"]
    rows = rows_of(
        ["adenocarcinoma"] * 6, both, both * 4, [*both, "low_grade_in"], both * 2, both * 2
    )
    assert demo_case(rows) == "case 4"


def test_the_sample_case_is_left_out_and_images_of_a_case_are_one_bag(tmp_path):
    table = [
        ("adenocarcinoma", "GT1", 0),
        ("polyp", "GT1", 0),
        ("polyp", "GT2", 0),
        ("polyp", "GTXC3", 0),
        ("adenocarcinoma", "GTXC3", 1),
        ("adenocarcinoma", "GTXC4", 0),
        ("adenocarcinoma", "GTXC4", 0),
    ]
    for kind in ("adenocarcinoma", "polyp"):
        (tmp_path / kind).mkdir()
    with (tmp_path / "labels.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("file", "label", "case", "looks_ihc"))
        for k, (kind, case, ihc) in enumerate(table):
            name = f"{kind}/{case}-{k}.jpg"
            Image.fromarray(np.full((224, 224, 3), 20 * k + 40, np.uint8)).save(tmp_path / name)
            writer.writerow((name, kind, case, ihc))
    cases = read_cases(tmp_path, malignant_label, ("adenocarcinoma", "polyp"))
    assert cases.names == ["GT2", "GTXC3", "GTXC4"]
    assert cases.labels.tolist() == [0, 0, 1]
    assert [len(bag) for bag in cases.bags] == [1, 1, 2]
    assert cases.batches.tolist() == ["GT", "GTXC", "GTXC"]
    assert cases.images == {"adenocarcinoma": 2, "polyp": 2}


def test_the_shipped_sample_case_is_the_one_held_out_and_was_not_trained_on(shared):
    folder = shared / "data" / "ebhi"
    table = read_table(folder)
    case = demo_case(table)
    sample = open_image_bag(sample_path("colorectal-case"))
    expected = [folder / row.file for row in table if row.case == case]
    assert sorted(path.read_bytes() for path in sample.files) == sorted(
        path.read_bytes() for path in expected
    )
    assert {row.label for row in table if row.case == case} <= {*MALIGNANT, *BENIGN}


@pytest.mark.parametrize("name", ["colorectal-biopsy", "colorectal-grade"])
def test_no_shipped_classifier_was_trained_on_the_sample_case(name):
    sample = open_image_bag(sample_path("colorectal-case"))
    facts = list_classifiers()[name].training
    assert len(facts.bag_fingerprints) == facts.bags
    assert sample.fingerprint not in facts.bag_fingerprints
