import torch

from napari_mil.encoders.transformers_names import with_timm_names


def test_names_of_a_block_become_those_of_timm():
    block = "encoder.layer.3."
    attention = block + "attention.attention."
    state = {
        "embeddings.cls_token": torch.zeros(1),
        "embeddings.mask_token": torch.zeros(1),
        "embeddings.position_embeddings": torch.zeros(1),
        "embeddings.patch_embeddings.projection.bias": torch.zeros(1),
        attention + "value.bias": torch.full((2,), 3.0),
        attention + "query.bias": torch.full((2,), 1.0),
        attention + "key.bias": torch.full((2,), 2.0),
        block + "attention.output.dense.bias": torch.zeros(1),
        block + "layernorm_before.bias": torch.zeros(1),
        block + "layernorm_after.bias": torch.zeros(1),
        block + "intermediate.dense.bias": torch.zeros(1),
        block + "output.dense.bias": torch.zeros(1),
        block + "layer_scale1.lambda1": torch.zeros(1),
        "layernorm.bias": torch.zeros(1),
        "pooler.dense.bias": torch.zeros(1),
    }
    renamed = with_timm_names(state)
    assert set(renamed) == {
        "cls_token",
        "pos_embed",
        "patch_embed.proj.bias",
        "blocks.3.attn.qkv.bias",
        "blocks.3.attn.proj.bias",
        "blocks.3.norm1.bias",
        "blocks.3.norm2.bias",
        "blocks.3.mlp.fc1.bias",
        "blocks.3.mlp.fc2.bias",
        "blocks.3.ls1.gamma",
        "norm.bias",
    }
    assert renamed["blocks.3.attn.qkv.bias"].tolist() == [1, 1, 2, 2, 3, 3]


def test_a_missing_projection_is_not_papered_over():
    name = "encoder.layer.0.attention.attention.query.bias"
    renamed = with_timm_names({"embeddings.cls_token": torch.zeros(1), name: torch.zeros(1)})
    assert "blocks.0.attention.attention.query.bias" in renamed


def test_other_names_stay():
    state = {"blocks.0.norm1.bias": torch.zeros(1)}
    assert with_timm_names(state) == state
