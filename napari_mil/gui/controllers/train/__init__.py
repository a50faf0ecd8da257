"""Controllers of the Train tab: set-up, run, watched bag, regions, result."""
