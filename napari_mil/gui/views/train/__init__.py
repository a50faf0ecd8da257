"""The Train tab: what was found, set-up, run, watched bag, regions, result."""
