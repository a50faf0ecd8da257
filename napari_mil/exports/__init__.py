"""Files that a saved answer is written to for other programs and for people."""
