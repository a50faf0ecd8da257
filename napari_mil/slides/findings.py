"""Findings about the file of a slide."""

from __future__ import annotations

from pathlib import Path

from napari_mil.findings import Finding, FindingKind
from napari_mil.slides.backend import SlideBackend
from napari_mil.slides.resolution import Scale


def findings_of(path: Path, backend: SlideBackend, scale: Scale) -> tuple[Finding, ...]:
    """Return what a person should know about a slide's file.

    Parameters
    ----------
    path
        The slide.
    backend
        Its reader, with the damage that it has met so far.
    scale
        Scale in use.
    """
    found = [*backend.findings]
    if scale.implausible is not None:
        text = f"The file gives {scale.implausible:.4g} µm per pixel, which is not plausible."
        found.append(Finding(FindingKind.UNCERTAIN_SCALE, path, text))
    if backend.missing:
        text = f"The file has no pixels for {percent(backend.missing)} of the slide."
        found.append(Finding(FindingKind.UNREADABLE, path, text))
    if backend.damage:
        text = f"{len(backend.damage)} tiles cannot be read ({backend.damage.reason})."
        found.append(Finding(FindingKind.UNREADABLE, path, text))
    return tuple(found)


def percent(share: float) -> str:
    """Write a share in percent, never as all or nothing where a little is left."""
    for rest, words in ((share, "less than 0.01 %"), (1 - share, "more than 99.99 %")):
        if 0 < rest < 0.0005:
            return f"{100 * share:.2f} %" if rest > 0.00005 else words
    return f"{100 * share:.1f} %"
