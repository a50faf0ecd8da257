"""Fingerprint of a slide's content, cheap on files of any size."""

from __future__ import annotations

import hashlib
from pathlib import Path

SAMPLES = 64
"""Number of samples spread over a file."""
SAMPLE_BYTES = 16 * 1024
"""Bytes of a sample."""


def fingerprint_file(path: Path, quick_hash: str = "", in_several_files: bool = False) -> str:
    """Hash the size and samples of a file.

    64 samples are spread over the file. The format's own hash goes in too; it covers the other
    files of a slide.

    Parameters
    ----------
    path
        The file that was opened.
    quick_hash
        The format's own hash of the content, or an empty string.
    in_several_files
        Whether any of several files opens the slide, so that the bytes of one file say nothing.

    Returns
    -------
    str
        32 hexadecimal digits; independent of name, place and time stamps.
    """
    if in_several_files and quick_hash:
        return hashlib.sha256(quick_hash.encode()).hexdigest()[:32]
    size = path.stat().st_size
    digest = hashlib.sha256(f"{size}:{quick_hash}".encode())
    with path.open("rb") as file:
        for k in range(SAMPLES):
            file.seek(max(0, (size - SAMPLE_BYTES) * k // (SAMPLES - 1)))
            digest.update(file.read(SAMPLE_BYTES))
            if size <= SAMPLE_BYTES:
                break
    return digest.hexdigest()[:32]
