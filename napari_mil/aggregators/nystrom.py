"""Nyström attention: Xiong et al. 2021, "Nyströmformer: a Nyström-based algorithm for approximating self-attention", AAAI.

    q_l, k_l = means of l consecutive queries and keys, m of them: the landmarks            (eq. 8, 9)
    softmax(q k^T) v  ~  softmax(q k_l^T)  pinv(softmax(q_l k_l^T))  softmax(q_l k^T) v     (eq. 13)
    pinv: z <- z (13 I - a z (15 I - a z (7 I - a z))) / 4                                  (eq. 11)

Arithmetic as the nystrom-attention package, which published models were trained with: tokens are padded with zeros on the left to a
multiple of m, and the zeros count in the means and in the softmax; a depthwise convolution of the values over tokens is added.

The factors over all tokens, (heads, N, m) twice, are never held: products are taken from the right, tokens pass in blocks, and what a
block needs again for its gradient is computed again. Means of queries are queries of means, so landmarks cost next to nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

BLOCK = 2048
"""Tokens whose attention is held at a time: (8 heads, 256 landmarks, 2 048) are 16 MB."""


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
                f"the residual convolution sees an odd number of tokens, at most {2 * BLOCK - 1}, not {kernel}"
            )
        self.heads, self.head_dim, self.landmarks, self.pinv_iterations = (
            heads,
            head_dim,
            landmarks,
            pinv_iterations,
        )
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
        """Attend.

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
            Blocks of (n, dim) that together answer for N tokens, or for 1; and (H, N), row of the first token in
            softmax(q k_l^T) pinv(...) softmax(q_l k^T), or None.
        """
        n = len(tokens)
        padding = -n % self.landmarks
        means = self.landmark_means(tokens, prepare, padding)  # (m, dim)
        weight_q, weight_k, weight_v = self.to_qkv.weight.chunk(3)
        q_l = self.split(means @ weight_q.T) * self.head_dim**-0.5  # eq. 8: (H, m, d)
        k_l = self.split(means @ weight_k.T)  # eq. 9
        inverse = self.pinv((q_l @ k_l.mT).softmax(-1))  # (H, m, m)

        top, total, mixed, values = q_l.new_zeros(()) if padding else None, padding, 0.0, []
        for block in tokens.split(BLOCK):
            highest, mass, mix, v = again(
                self.landmarks_see, block, q_l, weight_k, weight_v, prepare
            )
            values.append(v)
            previous, top = top, highest if top is None else torch.maximum(top, highest)
            fade, grow = 0.0 if previous is None else (previous - top).exp(), (highest - top).exp()
            total, mixed = total * fade + mass * grow, mixed * fade + mix * grow
        core = inverse @ (mixed / total)  # eq. 13 from the right: (H, m, d)

        out = []
        for k, block in enumerate(tokens[:1] if only_first else tokens.split(BLOCK)):
            around, skip = self.neighbourhood(values, k)
            out.append(
                again(
                    self.tokens_see,
                    block.reshape(-1, tokens.shape[1]),
                    around,
                    skip,
                    k_l,
                    core,
                    weight_q,
                    prepare,
                )
            )
        scores = (
            self.first_token_sees(tokens, prepare, q_l, k_l, inverse, top, total)
            if read_out
            else None
        )
        return out, scores

    def neighbourhood(self, values: list[Tensor], k: int) -> tuple[Tensor, int]:
        """Return the values of block k with those that the convolution reaches before and after, and how many are before."""
        reach = self.res_conv.kernel_size[0] // 2
        before = values[k - 1][-reach:] if k else values[k][:0]
        after = values[k + 1][:reach] if k + 1 < len(values) else values[k][:0]
        return torch.cat([before, values[k], after]), len(before)

    def landmark_means(
        self, tokens: Tensor, prepare: Callable[[Tensor], Tensor], padding: int
    ) -> Tensor:
        """Means of l consecutive tokens, of which the first `padding` are zeros: (N, dim) -> (m, dim)."""
        size = (len(tokens) + padding) // self.landmarks
        empty, missing = divmod(padding, size)
        partial = (size - missing) % size
        sums = [tokens.new_zeros(empty, tokens.shape[1])]
        if partial:
            sums.append(prepare(tokens[:partial]).sum(0, keepdim=True))
        whole = max(1, BLOCK // size) * size
        sums += [
            again(_sums_of, block, size, prepare)
            for block in tokens[partial:].split(whole)
            if len(block)
        ]
        return torch.cat(sums) / size

    def landmarks_see(
        self,
        block: Tensor,
        q_l: Tensor,
        weight_k: Tensor,
        weight_v: Tensor,
        prepare: Callable[[Tensor], Tensor],
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """One block of softmax(q_l k^T) v: maxima (H, m, 1), sums (H, m, 1), weighted values (H, m, d); and the values (n, H * d)."""
        x = prepare(block)
        v = x @ weight_v.T
        similarity = q_l @ self.split(x @ weight_k.T).mT  # (H, m, n)
        highest = similarity.detach().amax(-1, keepdim=True)
        weights = (similarity - highest).exp()
        return highest, weights.sum(-1, keepdim=True), weights @ self.split(v), v

    def tokens_see(
        self,
        block: Tensor,
        v: Tensor,
        skip: int,
        k_l: Tensor,
        core: Tensor,
        weight_q: Tensor,
        prepare: Callable[[Tensor], Tensor],
    ) -> Tensor:
        """softmax(q k_l^T) core + conv(v), projected: (n, dim) and the values around them -> (n, dim)."""
        q = self.split(prepare(block) @ weight_q.T) * self.head_dim**-0.5
        seen = (q @ k_l.mT).softmax(-1) @ core  # (H, n, d)
        local = self.res_conv(self.split(v)[None])[0, :, skip : skip + len(block)]
        out: Tensor = self.to_out((seen + local).transpose(0, 1).flatten(1))
        return out

    @torch.no_grad()
    def first_token_sees(
        self,
        tokens: Tensor,
        prepare: Callable[[Tensor], Tensor],
        q_l: Tensor,
        k_l: Tensor,
        inverse: Tensor,
        top: Any,
        total: Any,
    ) -> Tensor:
        """Row of the first token in the approximated attention matrix: (H, N)."""
        weight_q, weight_k, _ = self.to_qkv.weight.chunk(3)
        q = self.split(prepare(tokens[:1]) @ weight_q.T) * self.head_dim**-0.5
        row = (q @ k_l.mT).softmax(-1) @ inverse / total.mT  # (H, 1, m)
        blocks = [
            row @ (q_l @ self.split(prepare(block) @ weight_k.T).mT - top).exp()
            for block in tokens.split(BLOCK)
        ]
        return torch.cat(blocks, -1)[:, 0]

    def pinv(self, a: Tensor) -> Tensor:
        """Return the iterative pseudo-inverse, in float32 or more (eq. 11): (H, m, m) -> (H, m, m)."""
        with torch.autocast(a.device.type, enabled=False):
            a = a.to(torch.promote_types(a.dtype, torch.float32))
            eye = torch.eye(a.shape[-1], dtype=a.dtype, device=a.device)
            z = a.mT / (
                a.abs().sum(-1).max() * a.abs().sum(-2).max()
            )  # maxima over all heads, as coded
            for _ in range(self.pinv_iterations):
                az = a @ z
                z = 0.25 * z @ (13 * eye - az @ (15 * eye - az @ (7 * eye - az)))
            return z

    def split(self, x: Tensor) -> Tensor:
        """(n, H * d) -> (H, n, d)."""
        return x.unflatten(1, (self.heads, self.head_dim)).transpose(0, 1)


def _sums_of(block: Tensor, size: int, prepare: Callable[[Tensor], Tensor]) -> Tensor:
    return prepare(block).unflatten(0, (-1, size)).sum(1)


def again(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function whose intermediate results are not kept for the gradient but computed again."""
    return (
        checkpoint(function, *arguments, use_reentrant=False)
        if torch.is_grad_enabled()
        else function(*arguments)
    )
