"""Fitting aggregators on bags and judging them honestly."""
