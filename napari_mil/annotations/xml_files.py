"""Safe parsing of annotation files in XML."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from napari_mil.errors import AnnotationError, short_cause


def parse_xml(path: Path) -> ElementTree.Element:
    """Return the root of an XML file without entities of its own.

    Raises
    ------
    AnnotationError
        If the file cannot be read, is damaged, or declares entities.
    """
    try:
        content = path.read_bytes()
        if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
            raise AnnotationError(
                f"{path.name} declares entities, which annotations have no need of; "
                "export the annotations again."
            )
        return ElementTree.fromstring(content)  # noqa: S314  (entities were refused above)
    except (OSError, ElementTree.ParseError, ValueError) as error:
        raise AnnotationError(
            f"{path.name} is no readable XML ({short_cause(error, 100)}); "
            "export the annotations again."
        ) from error


def number(text: str | None) -> float:
    """Return a coordinate, NaN where there is none; some locales write a decimal comma."""
    try:
        return float((text or "nan").replace(",", "."))
    except ValueError:
        return float("nan")
