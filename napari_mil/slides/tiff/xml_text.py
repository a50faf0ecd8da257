"""XML in the descriptions of TIFF files."""

from __future__ import annotations

import re
from xml.etree import ElementTree


def parsed(text: str) -> ElementTree.Element | None:
    """Parse XML without entities of its own, or return None."""
    if "<!ENTITY" in text or "<" not in text:
        return None
    # A string with an encoding in its declaration is refused by the parser.
    body = re.sub(r"^\s*<\?xml[^>]*\?>", "", text)
    try:
        return ElementTree.fromstring(body)  # noqa: S314 - entities are refused above
    except ElementTree.ParseError:
        return None
