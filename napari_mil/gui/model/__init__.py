"""The window's state and what follows from it: no Qt, no napari, no torch."""
