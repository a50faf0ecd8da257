"""Lists of slides and bags to classify, with what is on disk about each (no Qt, no torch)."""
