from .aggregators import (
    Aggregator,
    AggregatorCard,
    BagOutput,
    MergeTree,
    create_aggregator,
    create_miner,
    list_aggregators,
    load_published_checkpoint,
    load_published_state,
)
from .annotations import (
    read_annotations,
)
from .bags import (
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
from .encoders import (
    Encoder,
    EncoderCard,
    create_encoder,
    list_encoders,
)
from .errors import (
    NapariMilError,
)
from .events import (
    CancellationToken,
)
from .exports.exporting import (
    export_prediction,
)
from .findings import (
    Finding,
    FindingKind,
)
from .inference.card import (
    ClassifierCard,
)
from .inference.classifier import (
    Classifier,
    load_classifier,
)
from .inference.library import (
    list_classifiers,
)
from .inference.pipeline import (
    classify,
)
from .inference.prediction import (
    Prediction,
)
from .settings import (
    Settings,
)
from .slides import (
    Slide,
    open_slide,
)
from .training.cohorts.cohort import (
    Cohort,
)
from .training.cohorts.scanning import (
    scan_annotated_folder,
)
from .training.config import (
    TrainingConfig,
)
from .training.evaluation.cross_validation import (
    Evaluation,
    cross_validate,
)
from .training.evaluation.score import (
    Score,
)
from .training.evaluation.scoring import (
    score,
)
from .training.run import (
    TrainingResult,
    train,
)

__all__ = [
    "Aggregator",
    "AggregatorCard",
    "Bag",
    "BagOutput",
    "CancellationToken",
    "Classifier",
    "ClassifierCard",
    "Cohort",
    "Encoder",
    "EncoderCard",
    "Evaluation",
    "Finding",
    "FindingKind",
    "ImageBag",
    "MergeTree",
    "NapariMilError",
    "Prediction",
    "Score",
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
    "export_prediction",
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
    "score",
    "tile_grid",
    "tissue_mask",
    "train",
    "write_bag",
]

__version__: str
