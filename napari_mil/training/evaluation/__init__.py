"""Judging a way of training: folds, figures, protocols."""
