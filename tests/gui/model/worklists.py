"""Small worklists for tests of the window: facts only."""

from pathlib import Path

from napari_mil.gui.model import worklist as actions
from napari_mil.gui.model.worklist import Listing
from napari_mil.inference.stored_results import StoredResult
from napari_mil.worklist.items import WorkItem, Worklist
from napari_mil.worklist.records import Record
from napari_mil.worklist.states import Found, ResultState

OUT = Path("results")


def result(name, p=0.75, unlike=0.5, classifier="malignancy"):
    return StoredResult(
        folder=OUT / name,
        name=name,
        fingerprint=name,
        classifier=classifier,
        classifier_fingerprint="f",
        classes=("normal", "tumour"),
        probabilities=(1 - p, p),
        labels=("tumour" if p > 0.5 else "normal",),
        unlike=unlike,
        n_instances=6,
        tile_size0=None,
        tiles=None,
        tissue=None,
        is_slide=False,
    )


def done(name, **fields):
    return Found(ResultState.DONE, result(name, **fields), fingerprint=name)


def worklist(*names, columns=(), cells=()):
    items = tuple(WorkItem(name, Path("slides") / f"{name}.svs", cells=cells) for name in names)
    records = tuple(Record(item.name, item.path) for item in items)
    return Worklist(Path("slides"), OUT, items, records, columns)


def listing(*names, **options):
    return actions.show(Listing(), worklist(*names, **options), "malignancy")


def looked(*founds):
    """Return a list whose rows are a, b, c… with what is on disk about each; None is unknown."""
    names = [chr(ord("a") + k) for k in range(len(founds))]
    made = listing(*names)
    for number, found in enumerate(founds):
        if found is not None:
            made = actions.find(made, number, found)
    return made
