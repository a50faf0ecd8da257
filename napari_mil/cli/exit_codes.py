"""Exit codes of the command line."""

DEFECT = 1
"""A defect of the program."""
INPUT_AT_FAULT = 2
SOME_FAILED = 3
"""Of several inputs, some or all failed."""
CANCELLED = 130
