"""Folders of bags: which files are bags, and what lies beside them."""
