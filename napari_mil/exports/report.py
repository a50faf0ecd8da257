"""Report of one answer as a page of HTML that holds everything it shows."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import jinja2
import numpy as np
from PIL import Image

from napari_mil.events import CancellationToken
from napari_mil.exports.report_content import remarks_on, report_of
from napari_mil.exports.source import ExportSource

TEMPLATE = Path(__file__).with_name("report.html")
QUALITY = 88
"""Quality of JPEG."""


def write_report(source: ExportSource, path: Path, cancel: CancellationToken) -> tuple[str, ...]:
    """Write a page that loads nothing from elsewhere; see `exporting.Writer`.

    It prints on a page of A4.
    """
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"jpeg": _jpeg, "png": _png}
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    page = template.render(report=report_of(source, cancel))
    path.write_text(page, encoding="utf-8")
    return remarks_on(source)


def _jpeg(pixels: np.ndarray) -> str:
    """Return a URL that holds pixels as JPEG."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="JPEG", quality=QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"


def _png(pixels: np.ndarray) -> str:
    """Return a URL that holds pixels as PNG."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
