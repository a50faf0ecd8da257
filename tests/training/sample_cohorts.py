"""Small annotated folders, and what a scan says about them."""

import numpy as np
import shapely

from napari_mil.annotations import Region, write_geojson
from napari_mil.training.cohorts.scanning import scan_annotated_folder
from tests.conftest import write_pyramid


def reasons(cohort):
    return {path.name: reason for path, reason in cohort.skipped}


def notes(cohort):
    return {path.name: what for path, what in cohort.warnings}


def texts(found, kind):
    """Return what a dry run says of a kind."""
    return [finding.text for finding in found.findings if finding.kind is kind]


def put(path, content=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(
        path,
        np.random.default_rng(abs(hash(str(path)))).normal(size=(4, 3))
        if content is None
        else content,
    )
    return path


def table(root, text):
    (root / "labels.csv").write_text(text, encoding="utf-8")
    return scan_annotated_folder(root)


def with_patients(root, per_patient):
    rows = [
        f"{path.relative_to(root)},{path.parent.name},{path.parent.name}{k // per_patient}"
        for k, path in enumerate(sorted(root.glob("*/*.npy")))
    ]
    (root / "labels.csv").write_text("slide,label,patient\n" + "\n".join(rows))
    return scan_annotated_folder(root)


def write_annotated_slides(root, per_class, n_annotated):
    """Write slides of two classes; the left half of some is annotated, under another name."""
    random = np.random.default_rng(0)
    for name in ("benign", "malignant"):
        (root / name).mkdir(parents=True)
        for k in range(per_class):
            pixels = random.integers(60, 200, (256, 256, 3), np.uint8)
            write_pyramid(root / name / f"{name}_{k}.tif", pixels)
    region = Region(shapely.box(0, 0, 128, 256), "Tumor")
    for k in range(n_annotated):
        write_geojson([region], root / "malignant" / f"malignant_{k}.geojson")
    return root
