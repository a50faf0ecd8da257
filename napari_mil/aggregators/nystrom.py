"""Nyström attention.

Xiong et al. 2021, "Nyströmformer: a Nyström-based algorithm for approximating self-attention",
AAAI.

    q_l, k_l = means of l consecutive queries and keys, m of them: the landmarks         (eq. 8, 9)
    softmax(q k^T) v  ~  softmax(q k_l^T)  pinv(softmax(q_l k_l^T))  softmax(q_l k^T) v  (eq. 13)
    pinv: z <- z (13 I - a z (15 I - a z (7 I - a z))) / 4                               (eq. 11)

Arithmetic as the nystrom-attention package, which published models were trained with: tokens are
padded with zeros on the left to a multiple of m, and the zeros count in the means and in the
softmax; a depthwise convolution of the values over tokens is added.

The factors over all tokens, (heads, N, m) twice, are never held: products are taken from the right,
tokens pass in blocks, and what a block needs again for its gradient is computed again. Means of
queries are queries of means, so landmarks cost next to nothing.

A bag of fewer tokens than landmarks leaves landmarks that are means of padding alone, all equal.
One of them is computed, with its number w as a weight: with U the orthonormal basis of what is
constant over them, U^T a U = sqrt(w_i) a_ij sqrt(w_j), and eq. 11 never leaves that basis, so the
answer is the same and a bag of 50 pays for 66 landmarks instead of 256.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

BLOCK = 2048
"""Tokens whose attention is held at a time.

(8 heads, 256 landmarks, 2 048 tokens) are 16 MB.
"""
KEPT = 1024
"""Most tokens of a bag for which intermediate results are kept for the gradient.

They take 40 MB a layer; computing them again would cost a third of a step.
"""


class NystromAttention(nn.Module):
    """Self-attention of N tokens through m landmarks.

    Parameters
    ----------
    dim
        Width of a token.
    heads
        H.
    head_dim
        Width of a head.
    landmarks
        m.
    pinv_iterations
        Steps of the iterative pseudo-inverse.
    kernel
        Tokens that the residual convolution sees.
    dropout
        Rate of the output, in training.
    """

    def __init__(
        self,
        dim: int,
        heads: int = 8,
        head_dim: int = 64,
        landmarks: int = 256,
        pinv_iterations: int = 6,
        kernel: int = 33,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if kernel % 2 == 0 or kernel > 2 * BLOCK:
            raise ValueError(
                "the residual convolution sees an odd number of tokens, "
                f"at most {2 * BLOCK - 1}, not {kernel}"
            )
        self.heads = heads
        self.head_dim = head_dim
        self.landmarks = landmarks
        self.pinv_iterations = pinv_iterations
        self.to_qkv = nn.Linear(dim, 3 * heads * head_dim, bias=False)
        self.to_out = nn.Sequential(nn.Linear(heads * head_dim, dim), nn.Dropout(dropout))
        self.res_conv = nn.Conv2d(
            heads, heads, (kernel, 1), padding=(kernel // 2, 0), groups=heads, bias=False
        )

    def forward(
        self,
        tokens: Tensor,
        prepare: Callable[[Tensor], Tensor],
        only_first: bool = False,
        read_out: bool = False,
    ) -> tuple[list[Tensor], Tensor | None]:
        """Attend among tokens.

        Parameters
        ----------
        tokens
            (N, dim).
        prepare
            Applied to rows of tokens before anything else: the layer's normalisation.
        only_first
            Answer for the first token alone.
        read_out
            Whether to return what the first token attends to.

        Returns
        -------
        tuple
            Blocks of (n, dim) that together answer for N tokens, or for 1; and (H, N), row of the
            first token in softmax(q k_l^T) pinv(...) softmax(q_l k^T), or None.
        """
        padding = -len(tokens) % self.landmarks
        means, copies = self.landmark_means(tokens, prepare, padding)  # (m, dim), (m,)
        weight_q, weight_k, weight_v = self.to_qkv.weight.chunk(3)
        q_l = self.split_heads(means @ weight_q.T) * self.head_dim**-0.5  # eq. 8: (H, m, d)
        k_l = self.split_heads(means @ weight_k.T)  # eq. 9
        keep = recompute_in_backward if len(tokens) > KEPT else _call
        inverse = self.pinv((q_l @ k_l.mT + copies.log()).softmax(-1), copies)  # (H, m, m)

        # The running softmax over all tokens; padding zeros have similarity 0 and count in it.
        top = q_l.new_zeros(()) if padding else None
        total = padding
        mixed = 0.0
        values = []
        for block in tokens.split(BLOCK):
            block_top, block_total, block_mixed, v = keep(
                self.attend_from_landmarks, block, q_l, weight_k, weight_v, prepare
            )
            values.append(v)
            previous = top
            top = block_top if previous is None else torch.maximum(previous, block_top)
            fade = 0.0 if previous is None else (previous - top).exp()
            grow = (block_top - top).exp()
            total = total * fade + block_total * grow
            mixed = mixed * fade + block_mixed * grow
        # eq. 13 from the right: (H, m, d)
        root = copies.sqrt()[:, None]
        core = inverse @ (root * mixed / total) / root

        out = []
        for k, block in enumerate(tokens[:1] if only_first else tokens.split(BLOCK)):
            around, skip = self.values_around(values, k)
            rows = block.reshape(-1, tokens.shape[1])
            arguments = (rows, around, skip, k_l, copies, core, weight_q, prepare)
            out.append(keep(self.attend_from_tokens, *arguments))
        if not read_out:
            return out, None
        landmarks = (q_l, k_l, copies)
        return out, self.attention_of_first_token(tokens, prepare, landmarks, inverse, top, total)

    def values_around(self, values: list[Tensor], k: int) -> tuple[Tensor, int]:
        """Return the values that the convolution of block k reaches.

        Those of the block with those before and after it, and how many are before.
        """
        reach = self.res_conv.kernel_size[0] // 2
        before = values[k - 1][-reach:] if k else values[k][:0]
        after = values[k + 1][:reach] if k + 1 < len(values) else values[k][:0]
        return torch.cat([before, values[k], after]), len(before)

    def landmark_means(
        self, tokens: Tensor, prepare: Callable[[Tensor], Tensor], padding: int
    ) -> tuple[Tensor, Tensor]:
        """Average consecutive tokens into landmarks: (N, dim) -> (m, dim).

        Means of l tokens, of which the first `padding` are zeros; those of zeros alone are one, the
        first. The second result, (m,), says how many each one stands for.
        """
        size = (len(tokens) + padding) // self.landmarks
        empty, missing = divmod(padding, size)
        partial = (size - missing) % size
        sums = [tokens.new_zeros(min(1, empty), tokens.shape[1])]
        if partial:
            sums.append(prepare(tokens[:partial]).sum(0, keepdim=True))
        whole = max(1, BLOCK // size) * size
        sums += [
            recompute_in_backward(_sum_consecutive, block, size, prepare)
            for block in tokens[partial:].split(whole)
            if len(block)
        ]
        means = torch.cat(sums) / size
        copies = means.new_ones(len(means))
        if empty:
            copies[0] = empty
        return means, copies

    def attend_from_landmarks(
        self,
        block: Tensor,
        q_l: Tensor,
        weight_k: Tensor,
        weight_v: Tensor,
        prepare: Callable[[Tensor], Tensor],
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Attend from the landmarks to one block of tokens.

        softmax(q_l k^T) v in parts: maxima (H, m, 1), sums (H, m, 1), weighted values (H, m, d);
        and the values (n, H * d).
        """
        x = prepare(block)
        v = x @ weight_v.T
        similarity = q_l @ self.split_heads(x @ weight_k.T).mT  # (H, m, n)
        highest = similarity.detach().amax(-1, keepdim=True)
        weights = (similarity - highest).exp()
        return highest, weights.sum(-1, keepdim=True), weights @ self.split_heads(v), v

    def attend_from_tokens(
        self,
        block: Tensor,
        v: Tensor,
        skip: int,
        k_l: Tensor,
        copies: Tensor,
        core: Tensor,
        weight_q: Tensor,
        prepare: Callable[[Tensor], Tensor],
    ) -> Tensor:
        """Attend from one block of tokens to the landmarks.

        softmax(q k_l^T) core + conv(v), projected: (n, dim) and the values around them -> (n, dim).
        """
        q = self.split_heads(prepare(block) @ weight_q.T) * self.head_dim**-0.5
        seen = (q @ k_l.mT + copies.log()).softmax(-1) @ core  # (H, n, d)
        local = self.res_conv(self.split_heads(v)[None])[0, :, skip : skip + len(block)]
        out: Tensor = self.to_out((seen + local).transpose(0, 1).flatten(1))
        return out

    @torch.no_grad()
    def attention_of_first_token(
        self,
        tokens: Tensor,
        prepare: Callable[[Tensor], Tensor],
        landmarks: tuple[Tensor, Tensor, Tensor],
        inverse: Tensor,
        top: Any,
        total: Any,
    ) -> Tensor:
        """Return row (H, N) of the first token in the approximated attention.

        `landmarks` are their queries, keys and numbers of copies.
        """
        q_l, k_l, copies = landmarks
        root = copies.sqrt()
        weight_q, weight_k, _ = self.to_qkv.weight.chunk(3)
        q = self.split_heads(prepare(tokens[:1]) @ weight_q.T) * self.head_dim**-0.5
        weights = (q @ k_l.mT + copies.log()).softmax(-1) / root
        row = weights @ inverse * root / total.mT  # (H, 1, m)
        blocks = [
            row @ (q_l @ self.split_heads(prepare(block) @ weight_k.T).mT - top).exp()
            for block in tokens.split(BLOCK)
        ]
        return torch.cat(blocks, -1)[:, 0]

    def pinv(self, a: Tensor, copies: Tensor) -> Tensor:
        """Approximate the pseudo-inverse (eq. 11): (H, m, m) -> (H, m, m).

        Computed in float32 or more.

        Parameters
        ----------
        a
            Attention among landmarks; a column that stands for several is their sum.
        copies
            How many landmarks each one stands for, (m,); the result is in their orthonormal basis.
        """
        with torch.autocast(a.device.type, enabled=False):
            a = a.to(torch.promote_types(a.dtype, torch.float32))
            copies = copies.to(a.dtype)
            eye = torch.eye(a.shape[-1], dtype=a.dtype, device=a.device)
            # Maxima over all heads, as coded.
            columns = (copies[:, None] * a).sum(-2) / copies
            largest = a.sum(-1).max() * columns.max()
            root = copies.sqrt()
            a = root[:, None] * a / root
            z = a.mT / largest
            for _ in range(self.pinv_iterations):
                az = a @ z
                z = 0.25 * z @ (13 * eye - az @ (15 * eye - az @ (7 * eye - az)))
            return z

    def split_heads(self, x: Tensor) -> Tensor:
        """Split the columns into heads: (n, H * d) -> (H, n, d)."""
        return x.unflatten(1, (self.heads, self.head_dim)).transpose(0, 1)


def _sum_consecutive(block: Tensor, size: int, prepare: Callable[[Tensor], Tensor]) -> Tensor:
    """Sum every `size` consecutive tokens: (n, dim) -> (n / size, dim)."""
    return prepare(block).unflatten(0, (-1, size)).sum(1)


def _call(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function whose intermediate results are kept for the gradient."""
    return function(*arguments)


def recompute_in_backward(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function whose intermediate results are recomputed for the gradient.

    They are not kept in memory between the forward and the backward pass.
    """
    if not torch.is_grad_enabled():
        return function(*arguments)
    return checkpoint(function, *arguments, use_reentrant=False)
