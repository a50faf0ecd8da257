"""Text of annotation files, in whichever Unicode encoding it was written."""

from __future__ import annotations

import codecs
import unicodedata

MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""First bytes of a file that says its encoding by them; those of UTF-32 begin as UTF-16's."""


def encoding_of(start: bytes) -> str | None:
    """Return the encoding of a text by its first bytes; None where they say none.

    Without a mark, a first character of two bytes, one of them 0, is UTF-16.
    """
    for first, encoding in MARKS:
        if start.startswith(first):
            return encoding
    if len(start) > 1 and start[0] and not start[1]:
        return "utf-16-le"
    if len(start) > 1 and not start[0] and start[1]:
        return "utf-16-be"
    return None


def first_character(start: bytes) -> str:
    """Return the first character of a text that is no space; empty where there is none."""
    encoding = encoding_of(start) or "latin-1"
    return start.decode(encoding, "ignore").lstrip()[:1]


def folded(name: str) -> str:
    """Return a name as names of classes and files are compared: without case, composed."""
    return unicodedata.normalize("NFC", name).strip().casefold()


def clean(name: str) -> str:
    """Return a name on one line that every terminal and file can write."""
    letters = (" " if unicodedata.category(letter) in ("Cc", "Cs") else letter for letter in name)
    return "".join(letters).strip()
