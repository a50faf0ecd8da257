"""Classifier bundles, the pipeline from a slide to its answer, and the answer itself."""
