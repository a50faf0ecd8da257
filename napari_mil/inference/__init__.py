"""Classifier bundles, the classification pipeline and its predictions."""
