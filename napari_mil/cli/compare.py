"""``napari-mil compare``: two evaluations of the same bags on the same folds."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from napari_mil.cli.output import print_line

if TYPE_CHECKING:
    from napari_mil.training.evaluation.comparison import Comparison


def add(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb and its options."""
    parser = verbs.add_parser(
        "compare",
        help="compare two evaluations on the same folds, or two scores of one cohort",
        description="Compare two evaluations bag by bag: every figure of both, and the difference "
        "with its interval. Both need the same bags and folds ('evaluate --folds-from').",
    )
    parser.add_argument("first", type=Path, metavar="RUN1", help="folder of evaluate or score")
    parser.add_argument("second", type=Path, metavar="RUN2", help="another such folder")
    parser.add_argument("--json", action="store_true", help="print one JSON object on stdout")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Compare and return 0.

    Raises
    ------
    NapariMilError
        If the two cannot be compared.
    """
    from napari_mil.training.evaluation.comparison import compare

    comparison = compare(arguments.first, arguments.second)
    if arguments.json:
        print_line(json.dumps(comparison.as_dict(), ensure_ascii=False))
        return 0
    for line in table(comparison):
        print_line(line)
    return 0


def table(comparison: Comparison) -> list[str]:
    """Return the figures of both, and their differences, as lines."""
    lines = [
        f"1  {comparison.first}",
        f"2  {comparison.second}",
        f"{comparison.n_bags} bags of {comparison.n_groups} patients (bags where they are unknown)",
        f"{'':24} 1        2        2 − 1    95 % interval      by",
    ]
    for name, value in comparison.metrics.items():
        by = f"{value.method}, clear" if value.is_clear else value.method
        lines.append(
            f"{name.replace('_', ' '):24} {value.first:.3f}    {value.second:.3f}   "
            f"{value.difference:+.3f}    {value.low:+.3f} – {value.high:+.3f}   {by}"
        )
    return lines
