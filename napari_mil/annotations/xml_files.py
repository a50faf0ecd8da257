"""Safe parsing of annotation files in XML."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.parsers import expat

from napari_mil.annotations.texts import encoding_of
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
        encoding = encoding_of(content[:4])
        text = content if encoding is None else content.decode(encoding)
        if _has_document_type(text):
            raise AnnotationError(
                f"{path.name} declares entities, which annotations have no need of; "
                "export the annotations again."
            )
        return ElementTree.fromstring(text)  # noqa: S314  (entities were refused above)
    except (OSError, ElementTree.ParseError, expat.ExpatError, ValueError, LookupError) as error:
        raise AnnotationError(
            f"{path.name} is no readable XML ({short_cause(error, 100)}); "
            "export the annotations again."
        ) from error


def _has_document_type(text: str | bytes) -> bool:
    """Say whether a document declares its type, as one with entities has to.

    The parser tells, so that no encoding hides the declaration.
    """
    found: list[str] = []

    def note(name: str, *ignored: Any) -> None:
        found.append(name)

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = note
    try:
        parser.Parse(text, True)
    except expat.ExpatError:
        if not found:
            raise
    return bool(found)
