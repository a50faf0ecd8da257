"""TransMIL.

Shao et al. 2021, "TransMIL: transformer based correlated multiple instance learning for whole slide
image classification", NeurIPS.

    h = relu(W h);  tokens are padded to S x S, S = ceil(sqrt N), with the first ones;
        a class token goes in front                                             (algorithm 2)
    x = x + Nystrom(LN(x))                                                      (eq. 9)
    PPEG: x + conv7(x) + conv5(x) + conv3(x), depthwise, over the S x S grid of
        tokens, class token untouched                                           (algorithm 3)
    x = x + Nystrom(LN(x));  logits = W LN(x)[class token]

The grid is the order of the file, not the place on the slide: the answer depends on the order of
the instances, by which few bags are learnt by heart unless it is shuffled (`order="random"`).
MHIM-MIL's variant (`padding="inside"`) pads only for PPEG, to at least 7 x 7 with zeros, and drops
the padding after it.

The three convolutions and the identity are one 7 x 7 convolution; of the second layer only the
class token is computed, since nothing else reaches the answer.
"""

from __future__ import annotations

import math
from typing import Literal, Unpack

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_mil.aggregators.aggregator import Aggregator, Task, projection
from napari_mil.aggregators.nystrom import BLOCK, NystromAttention, recompute_in_backward
from napari_mil.aggregators.output import BagOutput

SMALLEST_GRID = 7
"""Smallest side of the token grid in MHIM-MIL's variant."""


class TransLayer(nn.Module):
    """Transformer layer: x + Nystrom(LN(x)), eq. 9.

    Parameters as `NystromAttention`.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        head_dim: int,
        landmarks: int,
        pinv_iterations: int,
        kernel: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.attn = NystromAttention(
            dim, heads, head_dim, landmarks, pinv_iterations, kernel, dropout
        )

    def forward(
        self, tokens: Tensor, only_first: bool = False, read_out: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """Apply the layer: (N, dim) -> (N, dim) or (1, dim).

        Parameters and the second result, (H, N) or None, as `NystromAttention.forward`.
        """
        attended, scores = self.attn(tokens, self.norm, only_first, read_out)
        blocks = [tokens[:1]] if only_first else tokens.split(BLOCK)
        out = [block + change for block, change in zip(blocks, attended, strict=True)]
        return torch.cat(out), scores


class PPEG(nn.Module):
    """Pyramid position encoding generator (PPEG).

    Three depthwise convolutions over the grid of tokens.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(dim, dim, 7, 1, 3, groups=dim)
        self.proj1 = nn.Conv2d(dim, dim, 5, 1, 2, groups=dim)
        self.proj2 = nn.Conv2d(dim, dim, 3, 1, 1, groups=dim)

    def forward(self, tokens: Tensor, width: int) -> Tensor:
        """Encode positions on a grid: (H * width, dim) -> (H * width, dim)."""
        identity = functional.pad(tokens.new_ones(1, 1, 1, 1), (3, 3, 3, 3))
        kernel = (
            self.proj.weight
            + functional.pad(self.proj1.weight, (1, 1, 1, 1))
            + functional.pad(self.proj2.weight, (2, 2, 2, 2))
            + identity
        )
        bias = self.proj.bias + self.proj1.bias + self.proj2.bias  # type: ignore[operator]
        # (1, dim, H, width), channels last in memory
        grid = tokens.T.unflatten(1, (-1, width))[None]
        encoded = functional.conv2d(grid, kernel, bias, padding=3, groups=len(kernel))
        return encoded[0].flatten(1).T


class TransMIL(Aggregator):
    """Two Nyström layers around a position encoding (Shao et al. 2021).

    Parameters
    ----------
    in_dim, n_classes, **task
        See `Aggregator`.
    hidden
        Width of a token.
    heads
        H.
    landmarks
        m; None is half of the width.
    pinv_iterations, kernel
        See `NystromAttention`.
    padding
        ``"before"`` as published, ``"inside"`` as MHIM-MIL.
    order
        ``"file"`` as published; ``"random"`` shuffles the instances
        (`Aggregator.random_order`), so that the order of the training bags is not learnt.
    dropout
        Rate after the projection, in training: none as published, 0.25 in MHIM-MIL.
    attention_dropout
        Rate after each attention, in training.
    """

    def __init__(
        self,
        in_dim: int,
        n_classes: int,
        *,
        hidden: int = 512,
        heads: int = 8,
        landmarks: int | None = None,
        pinv_iterations: int = 6,
        kernel: int = 33,
        padding: Literal["before", "inside"] = "before",
        order: Literal["file", "random"] = "file",
        dropout: float = 0.0,
        attention_dropout: float = 0.1,
        **task: Unpack[Task],
    ) -> None:
        super().__init__(in_dim, n_classes, **task)
        if hidden % 8:
            raise ValueError(f"the width of a token is a multiple of 8, not {hidden}")
        self.padding = padding
        self.order = order
        layer = (
            hidden,
            heads,
            hidden // 8,
            landmarks or hidden // 2,
            pinv_iterations,
            kernel,
            attention_dropout,
        )
        self.projection = projection(in_dim, hidden, dropout)
        self.cls_token = nn.Parameter(torch.randn(1, 1, hidden))
        self.layer1 = TransLayer(*layer)
        self.pos_layer = PPEG(hidden)
        self.layer2 = TransLayer(*layer)
        self.norm = nn.LayerNorm(hidden)
        self.classifier = nn.Linear(hidden, n_classes)

    def aggregate(
        self, bag: Tensor, target: Tensor | None, instance_target: Tensor | None
    ) -> BagOutput:
        """Answer with embedding (hidden,), see `Aggregator.forward`.

        Unless a gradient is wanted, the scores (N, H) are the class token's row of layer 1, which
        is no distribution.
        """
        n = len(bag)
        blocks = [recompute_in_backward(self.projection, block) for block in bag.split(BLOCK)]
        warm_up = None
        if target is not None:
            scored = [recompute_in_backward(self.score_alone, block) for block in blocks]
            warm_up = torch.cat(scored)
        order = self.random_order(n).to(bag.device) if self.order == "random" else None
        if order is not None:
            blocks = [torch.cat(blocks)[order]]
        side = math.ceil(math.sqrt(n))
        missing = side * side - n if self.padding == "before" else 0
        first = [torch.cat(blocks[: missing // BLOCK + 1])[:missing]] if missing else []
        tokens = torch.cat([self.cls_token[0], *blocks, *first])
        del blocks, first
        wants_scores = not (self.training and torch.is_grad_enabled())
        tokens, read_out = self.layer1(tokens, read_out=wants_scores)
        tokens = torch.cat([tokens[:1], self.encode_positions(tokens[1:], side)])
        tokens, _ = self.layer2(tokens, only_first=True)
        embedding = self.norm(tokens)[0]
        logits = self.classifier(embedding)
        scores = None if read_out is None else read_out[:, 1 : n + 1].T
        if scores is not None and order is not None:
            scores = scores[order.argsort()]
        losses = {} if target is None else {"bag": self.bag_loss(logits, target)}
        return BagOutput(
            logits,
            self.multi_label,
            scores=scores,
            embedding=embedding,
            warm_up_logits=warm_up,
            losses=losses,
        )

    def score_alone(self, h: Tensor) -> Tensor:
        """Classify each projected instance as if it were the class token: (n, hidden) -> (n, C)."""
        return self.classifier(self.norm(h))

    def encode_positions(self, h: Tensor, side: int) -> Tensor:
        """Apply PPEG over the grid of tokens: (N, hidden) -> (N, hidden)."""
        if self.padding == "before":
            return self.pos_layer(h, side)
        grid = torch.cat([h, h[: side * side - len(h)]])
        if side < SMALLEST_GRID:
            side = SMALLEST_GRID
            grid = functional.pad(grid, (0, 0, 0, side * side - len(grid)))
        return self.pos_layer(grid, side)[: len(h)]
