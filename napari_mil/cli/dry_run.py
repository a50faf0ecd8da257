"""``napari-mil train --dry-run``."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from napari_mil.cli.classify import cancel_on_interrupt
from napari_mil.cli.exit_codes import INPUT_AT_FAULT
from napari_mil.cli.output import print_line
from napari_mil.cli.progress import ProgressPrinter
from napari_mil.findings import FindingKind
from napari_mil.training.cohorts.cohort import Cohort

if TYPE_CHECKING:
    from napari_mil.training.config import TrainingConfig
    from napari_mil.training.dry_run import DryRun


def run_dry(cohort: Cohort, config: TrainingConfig, *, as_json: bool) -> int:
    """Print what a run would meet; return 2 where it would be refused."""
    from napari_mil.training.dry_run import rehearse

    progress = ProgressPrinter("train", quiet=as_json)
    try:
        found = rehearse(cohort, config, on_event=progress, cancel=cancel_on_interrupt())
    finally:
        progress.close()
    if as_json:
        print_line(json.dumps(_dry_run_facts(found), ensure_ascii=False))
    else:
        for line in describe_dry_run(found):
            print_line(line, sys.stderr)
    for refusal in found.refusals:
        print_line(f"napari-mil: {refusal}", sys.stderr)
    return INPUT_AT_FAULT if found.refusals else 0


def describe_dry_run(found: DryRun) -> list[str]:
    """Return lines on what a run would meet, beyond what the scan said."""
    from napari_mil.training.regions.targets import taught_words

    lines = [f"  note on {finding.path.name}: {finding.text}" for finding in found.findings]
    if any(finding.kind is FindingKind.REGION_CLASS for finding in found.findings):
        lines.append("  --map-regions 'NAME=CLASS,…' maps names of regions to classes")
    lines += [f"  {words}" for words in taught_words(found.taught)]
    if found.instances is not None:
        lines.append(f"  instances: {found.instances.words}")
    if found.time is not None:
        lines.append(f"  time: {found.time.words}")
    return lines


def _dry_run_facts(found: DryRun) -> dict[str, Any]:
    """Return what ``--json`` prints of a dry run."""
    return {
        "bags": len(found.cohort),
        "classes": found.cohort.counts,
        "findings": [
            {"kind": finding.kind, "file": finding.path.name, "text": finding.text}
            for finding in (*found.cohort.skipped, *found.cohort.warnings, *found.findings)
        ],
        "taught": [asdict(taught) for taught in found.taught],
        "refusals": list(found.refusals),
        "seconds": None if found.time is None else round(found.time.seconds, 1),
    }
