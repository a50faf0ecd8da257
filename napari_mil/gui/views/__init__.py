"""Widgets that emit what the user did and show what they are told."""
