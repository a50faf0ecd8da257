"""``napari-mil cache``: what is kept on disk so as not to be made again."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from datetime import UTC, datetime

from napari_mil.cli.output import print_line
from napari_mil.disk_cache import CachedFile, CacheKind, cached_files, clear
from napari_mil.settings import Settings


def add(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb and its options."""
    parser = verbs.add_parser(
        "cache",
        help="show or clear what is kept on disk so as not to be made again",
        description="Show the size of the cache: features of slides, tiles for networks that are "
        "trained, overviews. All of it can be made again. Beyond its limit the least recently "
        "used files go by themselves.",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--dir", action="store_true", help="print the folder of the cache")
    what.add_argument("--list", action="store_true", help="print every file and its last use")
    what.add_argument("--clear", action="store_true", help="delete the files of the cache")
    parser.add_argument(
        "--kind",
        action="append",
        choices=[kind.value for kind in CacheKind],
        help="only this kind of file; may be given several times (default: all)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Show or clear the cache.

    Raises
    ------
    NapariMilError
        If it is in use by a training run, or a file cannot be deleted.
    """
    settings = Settings()
    kinds = [kind for kind in CacheKind if not arguments.kind or kind in arguments.kind]
    if arguments.dir:
        folder = str(settings.cache_folder)
        print_line(json.dumps({"folder": folder}) if arguments.json else folder)
    elif arguments.list:
        _list(cached_files(settings.cache_folder, kinds), as_json=arguments.json)
    elif arguments.clear:
        _report_cleared(clear(settings.cache_folder, kinds), as_json=arguments.json)
    else:
        _show(cached_files(settings.cache_folder, kinds), kinds, settings, as_json=arguments.json)
    return 0


def _show(
    files: Sequence[CachedFile], kinds: Sequence[CacheKind], settings: Settings, *, as_json: bool
) -> None:
    """Print size, number and last uses of each kind."""
    by_kind = {kind: [file for file in files if file.kind is kind] for kind in kinds}
    total = sum(file.bytes for file in files)
    if as_json:
        facts = {
            "folder": str(settings.cache_folder),
            "bytes": total,
            "limit_bytes": round(settings.cache_gb * 1e9),
            "kinds": [
                {
                    "kind": kind.value,
                    "files": len(found),
                    "bytes": sum(file.bytes for file in found),
                    "oldest": _moment(found[0].used) if found else None,
                    "newest": _moment(found[-1].used) if found else None,
                }
                for kind, found in by_kind.items()
            ],
        }
        print_line(json.dumps(facts, ensure_ascii=False))
        return
    for kind, found in by_kind.items():
        line = f"{kind.value:9}  {_files(len(found))}"
        if found:
            size = _size(sum(file.bytes for file in found))
            line += f", {size}, last used {_day(found[0].used)} to {_day(found[-1].used)}"
        print_line(line)
    print_line(f"{_size(total)} of {settings.cache_gb:g} GB in {settings.cache_folder}")


def _list(files: Sequence[CachedFile], *, as_json: bool) -> None:
    """Print every file."""
    if as_json:
        rows = [
            {
                "kind": file.kind.value,
                "path": str(file.path),
                "bytes": file.bytes,
                "used": _moment(file.used),
            }
            for file in files
        ]
        print_line(json.dumps({"files": rows}, ensure_ascii=False))
        return
    for file in files:
        print_line(f"{_day(file.used)}  {_size(file.bytes):>9}  {file.path}")
    if not files:
        print_line("The cache is empty.")


def _report_cleared(gone: Sequence[CachedFile], *, as_json: bool) -> None:
    """Print what was deleted."""
    total = sum(file.bytes for file in gone)
    if as_json:
        print_line(json.dumps({"files": len(gone), "bytes": total}))
    else:
        print_line(f"{_files(len(gone))} deleted, {_size(total)}.")


def _files(count: int) -> str:
    return f"{count} file{'' if count == 1 else 's'}"


def _size(count: float) -> str:
    """Write a number of bytes with a unit of a thousand."""
    for unit in ("B", "kB", "MB"):
        if count < 999.5:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def _moment(seconds: float) -> str:
    """Write a time in UTC, for programs."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _day(seconds: float) -> str:
    """Write a day, for people."""
    return f"{datetime.fromtimestamp(seconds):%Y-%m-%d}"
