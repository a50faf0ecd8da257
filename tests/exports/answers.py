"""Small answers for tests of exports: numbers only."""

import numpy as np

from napari_mil.inference.likeness import Unlikeness
from napari_mil.inference.prediction import Prediction

SLIDE_FACTS = {
    "name": "a slide",
    "fingerprint": "f" * 32,
    "dimensions": [2000, 1000],
    "mpp": 0.5,
    "vendor": "aperio",
}


def answer(n=6, *, classes=("normal", "tumour"), seed=0, **changes):
    """Return an answer about n tiles in rows of three, with attention and scores."""
    random = np.random.default_rng(seed)
    cells = np.stack(np.divmod(np.arange(n), 3), 1)
    size = 100.25
    scores = random.random((n, len(classes)), np.float32)
    several = np.linspace(1, 2, len(classes), dtype=np.float32)
    facts = {
        "classes": classes,
        "logits": np.array([0.3], np.float32),
        "probabilities": several / several.sum(),
        "label": classes[-1],
        "labels": (classes[-1],),
        "coords": np.rint(cells[:, ::-1] * size).astype(np.int64),
        "tile_size0": size,
        "attention": random.random((n, 1), np.float32),
        "instance_scores": scores / scores.sum(1, keepdims=True),
        "unlikeness": Unlikeness(random.random(n, np.float32) * 2, 0.7),
        "slide": SLIDE_FACTS,
        "classifier": {
            "name": "malignancy",
            "fingerprint": "c" * 32,
            "aggregator": "gated-abmil",
            "encoder": {"name": "texture", "fingerprint": "e" * 32},
            "temperature": 1.25,
            "threshold": 0.5,
        },
        "provenance": {
            "grid": {
                "fingerprint": "a" * 32,
                "tile_px": 128,
                "mpp": 0.39,
                "level": 0,
                "stride0": size,
                "aspect": 1.0,
            },
            "origin": [0, 0],
            "mpp_source": "openslide",
            "device": "cpu",
            "fallbacks": [],
            "versions": {"napari-mil": "0.6.0"},
            "seconds": 1.5,
        },
    }
    return Prediction(**{**facts, **changes})


def answer_on(slide, *, tile=64, **changes):
    """Return an answer about the whole lattice of tiles of an open slide."""
    width, height = slide.dimensions
    columns = width // tile
    n = columns * (height // tile)
    rows, places = np.divmod(np.arange(n), columns)
    made = answer(n)
    facts = {
        "coords": np.stack([places, rows], 1).astype(np.int64) * tile,
        "tile_size0": float(tile),
        "slide": {
            "name": slide.name,
            "fingerprint": slide.fingerprint,
            "dimensions": list(slide.dimensions),
            "mpp": slide.mpp,
            "vendor": slide.vendor,
        },
        "provenance": {
            **made.provenance,
            "grid": {**made.provenance["grid"], "stride0": float(tile)},
        },
    }
    return answer(n, **{**facts, **changes})


def images_answer(n=4, **changes):
    """Return an answer about a folder of images."""
    facts = {
        "coords": None,
        "tile_size0": None,
        "names": tuple(f"patient-7-{k}.png" for k in range(n)),
        "slide": {"name": "patient-7", "fingerprint": "b" * 32},
        "provenance": {"device": "cpu", "fallbacks": [], "seconds": 0.5},
    }
    return answer(n, **{**facts, **changes})
