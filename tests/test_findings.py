from pathlib import Path

from napari_mil.findings import Finding, FindingKind


def test_a_finding_unpacks_as_path_and_text():
    path, text = Finding(FindingKind.SKIPPED, Path("a.npy"), "it is empty")
    assert (path, text) == (Path("a.npy"), "it is empty")
