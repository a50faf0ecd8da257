"""Checkpoints of other projects: one file per project.

Each file says how the tensors of its project are recognised, and what they are called here.
"""

from napari_mil.aggregators.published.loading import load_published_checkpoint, load_published_state

__all__ = ["load_published_checkpoint", "load_published_state"]
