"""Annotated folders and tables, read into a cohort of labelled bags."""
