"""All benchmarks, written as one Markdown page (`make benchmark`)."""

from __future__ import annotations

import platform
import subprocess
import sys
from datetime import date
from pathlib import Path

from scripts.window_driver import has_display, rerun_in_virtual_display

PARTS = (
    "benchmarks.reading",
    "benchmarks.feature_files",
    "benchmarks.encoders",
    "benchmarks.pipeline",
    "benchmarks.headless",
    "benchmarks.many_tiles",
    "benchmarks.evidence",
    "benchmarks.inspecting",
    "benchmarks.viewing",
    "benchmarks.window",
    "benchmarks.training",
    "benchmarks.aggregators",
)


def main() -> None:
    target = Path(sys.argv[1])
    if not has_display():
        rerun_in_virtual_display("benchmarks.run", sys.argv[1:])
    sections = [
        subprocess.run(
            [sys.executable, "-m", part], check=True, stdout=subprocess.PIPE, text=True
        ).stdout
        for part in PARTS
    ]
    head = (
        "# Benchmarks\n\n"
        "Made by `make benchmark`. Every figure stands beside a reference measured in the same "
        "run; ratios travel, absolute values do not.\n\n"
        f"{date.today():%d %B %Y}, Python {platform.python_version()}, {platform.machine()}, "
        "software OpenGL in a virtual display, no GPU.\n"
    )
    target.write_text(head + "".join(f"\n{section}" for section in sections), encoding="utf-8")
    print(f"written to {target}")


if __name__ == "__main__":
    main()
