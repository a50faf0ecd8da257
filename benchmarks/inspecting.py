"""What selecting, hovering and recolouring cost in a bag of many instances, beside a small one.

The model of the window alone, which is where instances are counted: from an action to the layers,
the Inspect tab and the gallery that follow from it. What drawing adds does not depend on instances.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from napari_mil.bags import Bag
from napari_mil.exports.maps import ScaleMode
from napari_mil.gui.model import actions
from napari_mil.gui.model.gallery import likeness_to, nearest_by
from napari_mil.gui.model.hovering import hover_words
from napari_mil.gui.model.panels import Panel
from napari_mil.gui.model.scene import scene
from napari_mil.gui.model.session import SessionState
from napari_mil.gui.model.snapshots.gallery import gallery_snapshot
from napari_mil.gui.model.snapshots.inspect import inspect_snapshot
from tests.gui.model import builders as build

COUNTS = (1_000, 100_000)
DIM = 512
TILE = 256.0
REPEATS = 20


def main() -> None:
    """Print the table."""
    columns = [dict(measure(n)) for n in COUNTS]
    print("### Inspecting many instances\n")
    print(
        f"Milliseconds from an action to everything that follows from it in the model, {DIM} "
        f"features an instance, gallery open; median of {REPEATS}.\n"
    )
    print(f"| act | {' | '.join(f'{n:,} instances' for n in COUNTS)} |")
    print("| --- " * (len(COUNTS) + 1) + "|")
    for act in columns[0]:
        print(f"| {act} | {' | '.join(f'{column[act] * 1e3:.2f}' for column in columns)} |")
    print()


def measure(n: int) -> Iterator[tuple[str, float]]:
    """Measure every act on a bag of n instances; yield (act, seconds)."""
    state = state_of(n)
    random = np.random.default_rng(0)
    some = [int(i) for i in random.integers(0, n, REPEATS)]
    follow(state)
    yield "select one", _median(lambda k: follow(actions.select(state, (some[k],))))
    tenth = np.arange(n // 10)
    yield "select a tenth", _median(lambda k: follow(actions.select(state, (tenth + k).tolist())))
    fresh = [with_new_values(state) for _ in range(REPEATS)]
    yield "map other values", _median(lambda k: follow(fresh[k]))
    yield "choose ranks", _median(lambda k: follow(actions.choose_scale(fresh[k], ScaleMode.RANK)))
    yield (
        "move an end of the colours",
        _median(lambda k: follow(actions.set_window(state, 0.01 * k, 0.9))),
    )
    subject = state.current_subject
    layout = state.layout
    assert subject is not None
    assert layout is not None
    places = subject.placement.centres(layout, np.array(some))
    yield "hover", _median(lambda k: hover_words(state, tuple(places[k])))
    answer = state.shown_answer
    assert answer is not None
    bag = answer.prediction.features
    yield (
        "find the most alike (in a thread)",
        _median(lambda k: nearest_by(likeness_to(bag.features, some[k]), some[k])),
    )


def with_new_values(state: SessionState) -> SessionState:
    """Return the state with an answer whose values were never mapped before."""
    (answer,) = state.answers
    columns = {key: values.copy() for key, values in answer.columns.items()}
    return replace(state, answers=(replace(answer, columns=columns),))


def follow(state: SessionState) -> None:
    """Make what the window would show."""
    scene(state)
    inspect_snapshot(state)
    gallery_snapshot(state)


def state_of(n: int) -> SessionState:
    """Return a state with an answer about n tiles of a slide, and their features."""
    random = np.random.default_rng(n)
    side = int(np.ceil(np.sqrt(n)))
    layout = build.grid_layout(side, side, size=TILE)
    layout = replace(layout, coords=layout.coords[:n], cells=layout.cells[:n])
    features = random.normal(size=(n, DIM)).astype(np.float32)
    subject = build.slide_subject()
    answer = build.answer(subject, build.card(), layout=layout)
    prediction = replace(answer.prediction, features=Bag(features))
    answer = replace(answer, prediction=prediction)
    state = build.answered(build.state_of(subject), answer)
    return replace(state, panels=frozenset({Panel.GALLERY}))


def _median(act: Callable[[int], object]) -> float:
    seconds = []
    for k in range(REPEATS):
        began = time.perf_counter()
        act(k)
        seconds.append(time.perf_counter() - began)
    return float(np.median(seconds))


if __name__ == "__main__":
    main()
