"""Small annotated folders, and what a scan says about them."""

import numpy as np

from napari_mil.training.cohorts.scanning import scan_annotated_folder


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
