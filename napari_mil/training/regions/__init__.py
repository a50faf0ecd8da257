"""Regions drawn on slides: their classes, and what they teach of tiles."""
