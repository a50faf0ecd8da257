"""Which layout of the instances in two dimensions is shown, and what is being computed."""

from __future__ import annotations

from dataclasses import dataclass, replace

from napari_mil.inference.projections import Method


@dataclass(frozen=True)
class Wanted:
    """A layout of the bag of an answer in two dimensions."""

    subject: int
    classifier: str
    method: Method


@dataclass(frozen=True)
class Embedding:
    """Choices of the embedding, and what is being computed for it."""

    method: Method = Method.PCA
    working: Wanted | None = None
    failed: Wanted | None = None
    """What came to nothing, and is not tried again unless it is chosen again."""


def choose_method(embedding: Embedding, method: Method) -> Embedding:
    """Choose how instances are laid out; what came to nothing is tried again."""
    return replace(embedding, method=method, failed=None)


def begin(embedding: Embedding, wanted: Wanted) -> Embedding:
    """Say that a layout is being computed."""
    return replace(embedding, working=wanted, failed=None)


def end(embedding: Embedding, wanted: Wanted, *, failed: bool = False) -> Embedding:
    """Say that a layout is there, or came to nothing; PCA is shown instead of UMAP then."""
    if embedding.working != wanted:
        return embedding
    if not failed:
        return replace(embedding, working=None)
    method = Method.PCA if embedding.method is wanted.method else embedding.method
    return replace(embedding, working=None, failed=wanted, method=method)
