"""napari-mil: open a whole slide in napari, classify it by multiple-instance learning, see where the answer comes from.

Public names load when first used: importing this package loads neither torch nor Qt nor OpenSlide.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_mil.aggregators import (
        Aggregator,
        BagOutput,
        MergeTree,
        create_aggregator,
        create_miner,
        list_aggregators,
        load_published_checkpoint,
        load_published_state,
    )
    from napari_mil.annotations import read_annotations
    from napari_mil.bags import (
        Bag,
        ImageBag,
        TileGrid,
        TissueMask,
        open_image_bag,
        read_bag,
        tile_grid,
        tissue_mask,
        write_bag,
    )
    from napari_mil.encoders import Encoder, create_encoder, list_encoders
    from napari_mil.errors import NapariMilError
    from napari_mil.events import CancellationToken
    from napari_mil.inference.card import ClassifierCard, list_classifiers
    from napari_mil.inference.classifier import Classifier, load_classifier
    from napari_mil.inference.pipeline import classify
    from napari_mil.inference.prediction import Prediction
    from napari_mil.settings import Settings
    from napari_mil.slides import Slide, open_slide
    from napari_mil.training.cohort import Cohort, scan_annotated_folder
    from napari_mil.training.config import TrainingConfig
    from napari_mil.training.evaluation import Evaluation, cross_validate
    from napari_mil.training.run import TrainingResult, train

_HOMES = {
    "napari_mil.aggregators": (
        "Aggregator",
        "BagOutput",
        "MergeTree",
        "create_aggregator",
        "create_miner",
        "list_aggregators",
        "load_published_checkpoint",
        "load_published_state",
    ),
    "napari_mil.annotations": ("read_annotations",),
    "napari_mil.bags": (
        "Bag",
        "ImageBag",
        "TileGrid",
        "TissueMask",
        "open_image_bag",
        "read_bag",
        "tile_grid",
        "tissue_mask",
        "write_bag",
    ),
    "napari_mil.encoders": ("Encoder", "create_encoder", "list_encoders"),
    "napari_mil.errors": ("NapariMilError",),
    "napari_mil.events": ("CancellationToken",),
    "napari_mil.inference.card": ("ClassifierCard", "list_classifiers"),
    "napari_mil.inference.classifier": ("Classifier", "load_classifier"),
    "napari_mil.inference.pipeline": ("classify",),
    "napari_mil.inference.prediction": ("Prediction",),
    "napari_mil.settings": ("Settings",),
    "napari_mil.slides": ("Slide", "open_slide"),
    "napari_mil.training.cohort": ("Cohort", "scan_annotated_folder"),
    "napari_mil.training.config": ("TrainingConfig",),
    "napari_mil.training.evaluation": ("Evaluation", "cross_validate"),
    "napari_mil.training.run": ("TrainingResult", "train"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Aggregator",
    "Bag",
    "BagOutput",
    "CancellationToken",
    "Classifier",
    "ClassifierCard",
    "Cohort",
    "Encoder",
    "Evaluation",
    "ImageBag",
    "MergeTree",
    "NapariMilError",
    "Prediction",
    "Settings",
    "Slide",
    "TileGrid",
    "TissueMask",
    "TrainingConfig",
    "TrainingResult",
    "classify",
    "create_aggregator",
    "create_encoder",
    "create_miner",
    "cross_validate",
    "list_aggregators",
    "list_classifiers",
    "list_encoders",
    "load_classifier",
    "load_published_checkpoint",
    "load_published_state",
    "open_image_bag",
    "open_slide",
    "read_annotations",
    "read_bag",
    "scan_annotated_folder",
    "tile_grid",
    "tissue_mask",
    "train",
    "write_bag",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("napari-mil")
    if name not in _HOME_OF:
        raise AttributeError(f"module 'napari_mil' has no attribute {name!r}")
    value = getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__, "__version__"])
