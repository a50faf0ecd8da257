"""Adapting the embedded encoder to slides of one's own, without labels."""
