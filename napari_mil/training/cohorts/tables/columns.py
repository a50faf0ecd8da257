"""Columns of tables, by what people call them."""

from __future__ import annotations

import re

COLUMNS = {
    "slide": (
        *("slide", "slideid", "slidename", "file", "filename", "filepath", "path", "bag", "bagid"),
        *("image", "imageid", "imagename"),
    ),
    "label": ("label", "labels", "class", "target", "diagnosis", "y"),
    "patient": (
        *("patient", "patientid", "caseid", "case", "subject", "subjectid", "participant"),
        *("participantid", "casesubmitterid", "casessubmitterid", "bcrpatientbarcode"),
        *("patientbarcode",),
    ),
    "split": ("split", "set", "partition"),
}
"""Names that each column of a table may have, in small letters without marks between them."""


def plain_name(column: str) -> str:
    """Return the name of a column as it is compared: small letters without marks."""
    return re.sub(r"[\W_]", "", column).lower()
