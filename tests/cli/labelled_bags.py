"""Labelled feature files with a planted signal, for commands."""

import numpy as np


def write_bags(root, n=12, seed=0, classes=("benign", "malignant"), signal=3.0):
    """Write n bags of each class below `root`, in folders of the classes."""
    random = np.random.default_rng(seed)
    for k, label in enumerate(classes):
        (root / label).mkdir(parents=True)
        for i in range(n):
            bag = random.normal(size=(int(random.integers(5, 20)), 6)).astype(np.float32)
            bag[:4, k] += signal
            np.save(root / label / f"{label}{i}.npy", bag)
    return root
