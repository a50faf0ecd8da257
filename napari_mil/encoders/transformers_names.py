"""Names of tensors in files of Hugging Face's transformers, turned into timm's."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

MARK = "embeddings.cls_token"
"""Tensor by which such a file is known."""
UNUSED = ("pooler.", "embeddings.mask_token")
"""Beginnings of names that take no part in a vector."""
RENAMED = (
    ("embeddings.cls_token", "cls_token"),
    ("embeddings.position_embeddings", "pos_embed"),
    ("embeddings.patch_embeddings.projection.", "patch_embed.proj."),
    ("encoder.layer.", "blocks."),
    ("layernorm_before.", "norm1."),
    ("layernorm_after.", "norm2."),
    ("attention.output.dense.", "attn.proj."),
    ("intermediate.dense.", "mlp.fc1."),
    ("output.dense.", "mlp.fc2."),
    ("layer_scale1.lambda1", "ls1.gamma"),
    ("layer_scale2.lambda1", "ls2.gamma"),
    ("layernorm.", "norm."),
)
"""Parts of names, in the order in which they are replaced."""
JOINED = ("query", "key", "value")
"""Projections that timm keeps in one tensor, in its order."""


def with_timm_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the tensors of a ViT or DINOv2 of transformers; leave any others as they are.

    A block without one of its three projections keeps the names of the others, so that what is
    missing is noticed.
    """
    if MARK not in state:
        return dict(state)
    renamed = {}
    for name, tensor in state.items():
        new_name = name
        for old, new in RENAMED:
            new_name = new_name.replace(old, new)
        if not name.startswith(UNUSED):
            renamed[new_name] = tensor
    for name in [name for name in renamed if ".attention.attention.query." in name]:
        parts = [name.replace("query", part) for part in JOINED]
        if all(part in renamed for part in parts):
            joined = name.replace("attention.attention.query", "attn.qkv")
            renamed[joined] = torch.cat([renamed.pop(part) for part in parts])
    return renamed
