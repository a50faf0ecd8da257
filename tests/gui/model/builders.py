"""Small subjects, classifiers, runs and answers for tests of the model: numbers only."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from napari_mil.aggregators.merge_tree import MergeTree
from napari_mil.bags import Bag, ImageBag, TissueMask
from napari_mil.bags.instances import ImageInstance, ImageSource
from napari_mil.bags.layout import Layout, layout_of_bag, layout_of_images
from napari_mil.events import Watched
from napari_mil.gui.model.actions import add_subject, show_training
from napari_mil.gui.model.answers import Answer, Run
from napari_mil.gui.model.inputs import inputs_now
from napari_mil.gui.model.session import SessionState, drop_lost_selection
from napari_mil.gui.model.subjects import Pixels, Subject, SubjectKind
from napari_mil.gui.model.training import Training, Watch
from napari_mil.inference.card import FEATURES, IMAGES, TILES, ClassifierCard
from napari_mil.inference.evidence import Evidence
from napari_mil.inference.facts import AggregatorRef, EncoderRef
from napari_mil.inference.parts import Curve
from napari_mil.inference.prediction import Prediction
from napari_mil.slides import Channel
from napari_mil.slides.resolution import Scale, ScaleSource
from napari_mil.slides.scanner import Scanner
from napari_mil.training.cohorts.cohort import SLIDES, Cohort, CohortBag

ENCODER = EncoderRef("resnet18", "encoder-1")
FLUORESCENCE = tuple(Channel(name, (0, 255, 0), (0.0, 255.0), "uint8") for name in ("DAPI", "FITC"))
HALF_A_MICRON = Scale(0.5, ScaleSource.OPENSLIDE)


@dataclass(frozen=True, eq=False)
class FakeSlide:
    """The facts of a slide, without a file."""

    path: Path = Path("slides/a.svs")
    scale: Scale = HALF_A_MICRON
    channels: tuple[Channel, ...] = ()
    dimensions: tuple[int, int] = (4000, 3000)
    bounds: tuple[int, int, int, int] = (0, 0, 4000, 3000)
    level_downsamples: tuple[float, ...] = (1.0, 4.0)
    tile_sizes: tuple[tuple[int, int] | None, ...] = ((256, 256), (256, 256))
    vendor: str = "aperio"
    lacks_overview: bool = False
    scanner: Scanner | None = None
    has_profile: bool = False

    @property
    def mpp(self):
        return self.scale.mpp

    @property
    def level_count(self):
        return len(self.level_downsamples)

    @property
    def origin(self):
        return self.bounds[:2]

    def at(self, mpp):
        """Return the same slide at a scale that a person entered."""
        return replace(self, scale=Scale(mpp, ScaleSource.USER))


def pixels():
    return Pixels(np.zeros((30, 40, 3), np.uint8))


def slide_subject(key=1, name="a.svs", *, mpp=0.5, **fields):
    path = Path("slides") / name
    scale = Scale() if mpp is None else Scale(mpp, ScaleSource.OPENSLIDE)
    slide = fields.pop("slide", FakeSlide(path, scale))
    return Subject(key, name, SubjectKind.SLIDE, path, pixels(), slide=slide, **fields)


def fluorescence_subject(key=1, name="dapi.tif"):
    return slide_subject(key, name, slide=FakeSlide(channels=FLUORESCENCE))


def images_subject(key=1, name="polyps", n=5):
    folder = Path("bags") / name
    files = [folder / f"{k}.png" for k in range(n)]
    images = ImageBag(
        folder, tuple(ImageInstance(file.name, (ImageSource(file),)) for file in files)
    )
    layout = layout_of_images(n, 10.0)
    return Subject(key, name, SubjectKind.IMAGES, folder, pixels(), images=images, layout=layout)


def features_subject(key=1, name="a.h5", n=6, width=8, *, slide=None, encoder=None):
    coords = np.stack([np.arange(n) % 3 * 100, np.arange(n) // 3 * 100], 1)
    provenance = {} if encoder is None else {"encoder": encoder}
    bag = Bag(np.zeros((n, width), np.float32), coords, 100.0, provenance=provenance)
    layout = layout_of_bag(bag)
    path = Path("features") / name
    return Subject(
        key,
        name,
        SubjectKind.FEATURES,
        path,
        Pixels(np.zeros(layout.shape, np.float32), rgb=False),
        slide=slide,
        bag=bag,
        layout=layout,
    )


def card(name="malignancy", *, instances=TILES, aggregator="gated-abmil", **fields):
    of_images = instances == IMAGES
    facts = {
        "title": f"Normal or tumour ({name})",
        "classes": ("normal", "tumour"),
        "link": "sigmoid",
        "encoder": None if instances == FEATURES else ENCODER,
        "in_dim": 8,
        "tile_px": None if instances != TILES else 256,
        "mpp": None if instances != TILES else 0.5,
        "mpp_assumed": False,
        "overlap": 0.0,
        "temperature": 1.0,
        "threshold": 0.5,
        "licence": "MIT",
        "intended_use": "research",
        "folder": Path("classifiers") / name,
    }
    if of_images:
        facts["tile_px"] = 224
    return ClassifierCard(
        name=name,
        aggregator=AggregatorRef(aggregator),
        instances=instances,
        **(facts | fields),
    )


def grid_layout(rows=2, columns=3, *, size=500.0, origin=(0.0, 0.0)):
    cells = np.stack(np.divmod(np.arange(rows * columns), columns), 1)
    return Layout(cells[:, ::-1] * size + origin, cells, (rows, columns), size, size, origin)


def mask(fraction=0.5, shape=(3, 4)):
    tissue = np.zeros(shape, bool)
    tissue.ravel()[: round(fraction * tissue.size)] = True
    return TissueMask(tissue, (1000.0, 1000.0))


def values(n, seed=0):
    return np.random.default_rng(seed).random(n, np.float32)


def prediction(classifier, layout, *, seed=0, critical=False):
    n = len(layout)
    classes = classifier.classes
    probability = float(values(1, seed)[0])
    several = np.linspace(1, 2, len(classes), dtype=np.float32)
    probabilities = several / several.sum()
    if len(classes) == 2:
        probabilities = np.array([1 - probability, probability], np.float32)
    label = classes[int(probabilities.argmax())]
    attention = values(n, seed)[:, None]
    return Prediction(
        classes=classes,
        logits=np.zeros(classifier.n_outputs, np.float32),
        probabilities=probabilities,
        label=label,
        labels=(label,),
        coords=layout.coords.astype(np.int64),
        tile_size0=layout.tile_size0,
        attention=attention / attention.sum(0),
        instance_scores=values(n * len(classes), seed + 1).reshape(n, -1),
        critical=np.zeros(classifier.n_outputs, np.int64) if critical else None,
        provenance={"seconds": 1.5, "device": "cpu", "fallbacks": ()},
    )


def answer(subject, classifier, *, layout=None, inputs=None, seed=0, critical=False, remarks=()):
    if layout is None:
        layout = subject.layout or grid_layout()
    said = prediction(classifier, layout, seed=seed, critical=critical)
    if subject.bag is not None:
        said = replace(said, features=subject.bag)
    return Answer(
        subject=subject.key,
        inputs=inputs or inputs_now(subject, classifier),
        layout=layout,
        prediction=said,
        columns=said.columns(),
        remarks=tuple(remarks),
    )


def run(subject, classifier, number=100, **fields):
    return Run(number, subject.key, inputs_now(subject, classifier), "Opening…", **fields)


def tree(n):
    """Return a tree that joins the instances one after the other."""
    new = np.arange(n, 2 * n - 1)
    left = np.concatenate([[0], new[:-1]])[: n - 1]
    triplets = np.stack([left, np.arange(1, n), new], 1).astype(np.int64)
    return MergeTree(triplets, np.arange(1, n, dtype=float))


class FakeParts:
    """Answers for parts of a bag: the probability follows from how much is left."""

    def __init__(self, n, *, at_once=True):
        self.n = n
        self.is_exact_at_once = at_once
        self.asked = 0

    def probabilities_without(self, removed):
        self.asked += 1
        left = (self.n - len(removed)) / self.n
        return np.array([1 - left, left], np.float32)


def evidence(n, *, at_once=True):
    """Return what n instances count for in an answer of two classes."""
    signed = np.linspace(-1, 1, n, dtype=np.float32)
    return Evidence(
        FakeParts(n, at_once=at_once),
        "tumour",
        {
            "alone_normal": 1 - values(n, 3),
            "alone_tumour": values(n, 3),
            "contribution_normal": -signed,
            "contribution_tumour": signed,
        },
        np.arange(n)[::-1][:2],
        {"contribution": 0.25, "random order": 0.75},
        {"contribution": falling_curve(n, 4), "random order": falling_curve(n, 1)},
    )


def falling_curve(n, speed):
    """Return probabilities of two classes while n instances are taken away."""
    left = (1 - np.arange(n) / n) ** speed
    return Curve(np.arange(n), np.stack([1 - left, left], 1).astype(np.float32), n)


def mined(n, kinds=("high", "low", "random")):
    return {kind: np.arange(n) % 4 == k for k, kind in enumerate(kinds)}


def state_of(*subjects, cards=None, **fields):
    """Return a state with open subjects, the last one shown, and classifiers to choose from."""
    cards = (card(), card("grade")) if cards is None else tuple(cards)
    fields = {"cards": cards, "classifier": cards[0].name if cards else "", **fields}
    state = SessionState(**fields)
    for subject in subjects:
        state = add_subject(state, subject)
    return state


def answered(state, *answers):
    """Return a state with answers, the last one of each subject shown."""
    shown = {said.subject: said.classifier for said in answers}
    subjects = tuple(
        replace(subject, shown_classifier=shown.get(subject.key, subject.shown_classifier))
        for subject in state.subjects
    )
    return replace(state, subjects=subjects, answers=(*state.answers, *answers))


def cohort(kind=SLIDES, n=6, *, patients_known=False, mpp=0.5, classes=("normal", "tumour")):
    root = Path("cohort")
    bags = tuple(
        CohortBag(
            path=root / classes[k % len(classes)] / f"case{k // 2}_{k}.svs",
            label=classes[k % len(classes)],
            patient=f"p{k // 2}" if patients_known else f"case{k // 2}_{k}",
            n=None if kind == SLIDES else 2,
            kind=kind,
            mpp=mpp if kind == SLIDES else None,
            content=str(k),
            patient_known=patients_known,
        )
        for k in range(n)
    )
    return Cohort(root, classes, bags, source=root)


def watching(state, masks=None):
    """Return a state in which the shown bag is watched in training."""
    watched = Watched(values(2), "score", np.array([0.3, 0.7], np.float32), masks or {})
    path = state.current_subject.path
    layout = grid_layout(1, 2)
    watch = Watch(path, "run-1", ("normal", "tumour"), layout, "training", ((1, watched),), 1)
    after = show_training(replace(state, training=Training(watch=watch)))
    return drop_lost_selection(state, after)
