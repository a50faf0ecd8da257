"""Views of the Slide tab."""
