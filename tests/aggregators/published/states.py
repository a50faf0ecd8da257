"""State dicts under the names of other projects, with random weights."""

import torch


def linear(stem, rows, columns, bias=True):
    generator = torch.Generator().manual_seed(len(stem) + rows)
    state = {f"{stem}.weight": torch.randn(rows, columns, generator=generator)}
    return {**state, f"{stem}.bias": torch.randn(rows, generator=generator)} if bias else state


def clam(
    n_classes=2, attention_dim=256, gated=True, multi_branch=False, first="0", second="3", in_dim=64
):
    heads = n_classes if multi_branch else 1
    network = f"attention_net.{second}"
    attention = (
        {
            **linear(f"{network}.attention_a.0", attention_dim, 512),
            **linear(f"{network}.attention_b.0", attention_dim, 512),
            **linear(f"{network}.attention_c", heads, attention_dim),
        }
        if gated
        else {
            **linear(f"{network}.module.0", attention_dim, 512),
            **linear(f"{network}.module.{3 if second == '3' else 2}", heads, attention_dim),
        }
    )
    classifiers = (
        [linear(f"classifiers.{c}", 1, 512) for c in range(n_classes)]
        if multi_branch
        else [linear("classifiers", n_classes, 512)]
    )
    instances = [linear(f"instance_classifiers.{c}", 2, 512) for c in range(n_classes)]
    state = linear(f"attention_net.{first}", 512, in_dim) | attention
    for part in (*classifiers, *instances):
        state |= part
    return state


def attention_mil():
    return (
        linear("feature.0", 32, 24)
        | linear("attention.0", 16, 32)
        | linear("attention.2", 1, 16)
        | linear("classifier.0", 2, 32)
    )


def dsmil(classes=2, width=24, head=".0"):
    return {
        **linear(f"i_classifier.fc{head}", classes, width),
        **linear("b_classifier.q.0", 128, width),
        **linear("b_classifier.q.2", 128, 128),
        "b_classifier.fcc.weight": torch.randn(classes, classes, width),
        "b_classifier.fcc.bias": torch.randn(classes),
    }


def dtfd(prefix="", blocks=0):
    def attention(stem):
        return (
            linear(f"{stem}attention_V.0", 16, 32)
            | linear(f"{stem}attention_U.0", 16, 32)
            | linear(f"{stem}attention_weights", 1, 16)
        )

    groups = {
        "dim_reduction": linear("fc1", 32, 24, bias=False),
        "attention": attention(""),
        "classifier": linear("fc", 2, 32),
        "att_classifier": attention("attention.") | linear("classifier.fc", 2, 32),
    }
    for k in range(blocks):
        groups["dim_reduction"] |= linear(f"resBlocks.{k}.block.0", 32, 32, bias=False) | linear(
            f"resBlocks.{k}.block.2", 32, 32, bias=False
        )
    return {
        group: {prefix + name: tensor for name, tensor in state.items()}
        for group, state in groups.items()
    }


def mhim(gated=False):
    stem = "online_encoder.attention."
    attention = (
        linear(stem + "attention_a.0", 16, 32, bias=False)
        | linear(stem + "attention_b.0", 16, 32, bias=False)
        | linear(stem + "attention_c", 1, 16, bias=False)
        if gated
        else linear(stem + "attention.0", 16, 32, bias=False)
        | linear(stem + "attention.2", 1, 16, bias=False)
    )
    return linear("patch_to_emb.0", 32, 24) | attention | linear("predictor", 2, 32)
