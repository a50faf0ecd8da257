"""Answers for made-up bags, of every link."""

import numpy as np

from napari_mil.training.evaluation.answers import Answers, LabelledBag, Link

NAMES = ("normal", "tumour, solid", "µ $tricky")


def answers(link=Link.SIGMOID, n=30, repeats=2, folds=3, seed=0, signal=2.0, classes=NAMES):
    """Return noisy answers; two bags a patient, folds by patient, a temperature a fold."""
    random = np.random.default_rng(seed)
    classes = classes[:2] if link is Link.SIGMOID else classes
    n_outputs = 1 if link is Link.SIGMOID else len(classes)
    has = random.random((n, len(classes))) < 0.5
    if link is not Link.MULTI_LABEL:
        has = np.eye(len(classes), dtype=bool)[np.arange(n) % len(classes)]
    truth = has[:, 1:] if link is Link.SIGMOID else has
    logits = (2 * truth - 1) * signal / 2 + random.normal(0, 1.5, (repeats, n, n_outputs))
    bags = tuple(
        LabelledBag(
            f"folder/bag {b}.npy",
            f"patient {b // 2}",
            tuple(name for name, given in zip(classes, row, strict=True) if given),
        )
        for b, row in enumerate(has)
    )
    of_patient = np.stack([random.permutation(n // 2 + 1) % folds for _ in range(repeats)])
    fold_of = of_patient[:, np.arange(n) // 2]
    return Answers(
        classes=classes,
        link=link,
        bags=bags,
        groups=tuple(bag.patient for bag in bags),
        uncalibrated=logits,
        temperature=1 + fold_of / 4,
        threshold=np.full((repeats, n), 0.5),
        validation_threshold=0.4 + fold_of / 10 if len(classes) == 2 else None,
        fold_of=fold_of,
    )
