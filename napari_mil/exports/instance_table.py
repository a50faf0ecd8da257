"""CSV of the instances, below lines of facts."""

from __future__ import annotations

import csv
from itertools import islice
from pathlib import Path

from napari_mil.events import CancellationToken
from napari_mil.exports.facts import facts_of
from napari_mil.exports.source import ExportSource

AT_ONCE = 10_000
"""Rows between two questions whether to stop."""
SEVERAL = "; "
"""Stands between several classes of one instance."""


def write_csv(source: ExportSource, path: Path, cancel: CancellationToken) -> tuple[str, ...]:
    """Write a row for each instance; see `exporting.Writer`.

    Lines of facts, which begin with ``#``, come first; then the columns of ``instances.csv``, and
    ``class`` where instances have scores, ``cluster`` where clusters are shown.
    """
    table = dict(source.prediction.texts())
    classes = source.classes_of_instances
    if classes is not None:
        table["class"] = [SEVERAL.join(names) for names in classes]
    if source.clusters is not None:
        table["cluster"] = source.clusters.astype(str).tolist()
    rows = zip(*table.values(), strict=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        for fact in facts_of(source):
            file.write(f"# {fact.name}: {' '.join(fact.value.split())}\n")
        writer = csv.writer(file)
        writer.writerow(table)
        while batch := list(islice(rows, AT_ONCE)):
            cancel.raise_if_cancelled()
            writer.writerows(batch)
    return ()
