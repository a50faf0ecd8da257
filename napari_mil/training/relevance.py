"""Relevance of instances, as overlays show it."""

from __future__ import annotations

import numpy as np

from napari_mil.aggregators import BagOutput


def relevance(output: BagOutput) -> tuple[np.ndarray, str]:
    """Return the relevance of every instance, and what it is.

    Returns
    -------
    values : np.ndarray
        Values in [0, 1], (N,); empty where the method says nothing of instances.
    kind : str
        ``"score"``: the probability of the positive class, of more than two the likeliest.
        ``"attention"`` or
        ``"similarity"``: the rank of the instance in its bag. Empty where there are no values.
    """
    likeliest = int(output.logits.argmax())
    if len(output.logits) == 2 and not output.multi_label:
        likeliest = 1
    if output.instance_logits is not None:
        logits = output.instance_logits.float()
        exclusive = logits.shape[1] > 1 and not output.multi_label
        probabilities = logits.softmax(1) if exclusive else logits.sigmoid()
        column = likeliest if logits.shape[1] > 1 else 0
        return probabilities[:, column].cpu().numpy(), "score"
    if output.attention is not None:
        kind = "attention"
        values = output.attention
    elif output.scores is not None:
        kind = "attention"
        values = output.scores
    elif output.similarity is not None:
        kind = "similarity"
        values = output.similarity[:, None]
    else:
        return np.zeros(0, np.float32), ""
    column = likeliest if values.shape[1] == len(output.logits) else 0
    ranks = values[:, column].float().argsort(stable=True).argsort().float()
    return (ranks / max(1, len(ranks) - 1)).cpu().numpy(), kind
