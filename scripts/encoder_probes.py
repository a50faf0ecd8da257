"""Probes of the encoder `efficientnet-lite0`: choice of its features, and the figures of its card.

python -m scripts.encoder_probes DATA CACHE OUT

DATA holds breast/, colon/, ebhi/ and pcam/; features are kept in CACHE; OUT is a Markdown page
whose section "Probes" is written anew. With the features in CACHE it takes minutes.

A probe is logistic regression on standardised features. For each outer fold, the encoder's
features (blocks and statistics) are chosen by the AUC on inner folds of the training part, averaged
over the sets, since there is one encoder for all of them; the way to cut a picture and the strength
of regularisation are chosen alike, for each set and each encoder. The test part takes no part.
"""

from __future__ import annotations

import argparse
import warnings
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import product
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from napari_mil.training.evaluation.folds import stratified_group_folds
from napari_mil.training.evaluation.metrics import auc
from scripts.encoder_features import (
    COLOUR,
    ENCODER,
    SHUFFLED,
    SHUFFLES,
    STATISTICS,
    TEXTURE,
    ProbeSet,
    biopsies,
    breast,
    colon,
    columns,
    kept,
    lymph_nodes,
)
from scripts.percentile_bootstrap import estimate
from scripts.shipped_classifiers import difference, say

FOLDS = 5
INNER_FOLDS = 3
REPEATS = 10
"""Draws of the folds of the breast images."""
LARGE_SET_REPEATS = 2
"""Draws of the folds of the larger sets, whose figures vary less."""
STRENGTHS = (0.001, 0.01, 0.1, 1.0, 10.0)
"""Inverse strengths of regularisation to choose from."""
MEANS = STATISTICS[:1]
FEATURES: dict[str, np.ndarray] = {
    "means of 10": columns((10,), MEANS),
    "means of 4 and 10": columns((4, 10), MEANS),
    "means of 2, 4 and 10": columns((2, 4, 10), MEANS),
    "means of 4, 7 and 10": columns((4, 7, 10), MEANS),
    "means and sds of 4 and 10": columns((4, 10), STATISTICS[:2]),
    "means and centre means of 4 and 10": columns((4, 10), STATISTICS[::2]),
    "means, sds and centre means of 2, 4 and 10": columns((2, 4, 10), STATISTICS),
}
"""Columns of each way to make a vector of the maps, in order of their number."""
ALL_COLUMNS = "all"
"""Choice of encoders that have no choice."""
ONE_CLASS_ACQUISITION = "ytma55_030603"
"""Acquisition of six benign images and no malignant one."""
BEGIN = "<!-- probes: begin -->"
END = "<!-- probes: end -->"
BREAST = "breast, by acquisition"
BREAST_WITHOUT = "breast, by acquisition, without ytma55"
COLON = "colon nuclei, by image"
BIOPSIES = "colorectal biopsies, by case"
LYMPH_NODES = "lymph node tiles, published splits"


@dataclass(frozen=True)
class Choice:
    """Features, way to cut, and strength of a probe."""

    features: str
    cut: str
    strength: float


@dataclass(frozen=True)
class Fold:
    """Part of a set that trains, and part that tests."""

    training: np.ndarray
    test: np.ndarray
    inner: tuple[tuple[np.ndarray, np.ndarray], ...]
    """Pairs of training and validation indices within the training part."""


@dataclass(frozen=True)
class FoldResult:
    """What the inner and outer folds say about every choice of an encoder on a set."""

    inner: Mapping[Choice, float]
    """AUC on inner folds."""
    outer: Mapping[str, tuple[Choice, np.ndarray]]
    """By features: the best choice among them, and its logits on the test part."""


@dataclass(frozen=True)
class Probe:
    """Out-of-fold logits of an encoder on a set."""

    logits: np.ndarray
    """(repeats, B)."""
    chosen: tuple[Choice, ...]


def main() -> None:
    arguments = parse_arguments()
    sets = read_sets(arguments.data, arguments.cache)
    say("features are ready")
    results = run_folds(sets, arguments.workers)
    page = report(sets, results)
    text = arguments.out.read_text(encoding="utf-8")
    head, rest = text.split(BEGIN)
    tail = rest.split(END)[1]
    arguments.out.write_text(f"{head}{BEGIN}\n{page}\n{END}{tail}", encoding="utf-8")


def parse_arguments() -> argparse.Namespace:
    """Read the folders, the page and the number of processes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder with breast, colon, ebhi and pcam")
    parser.add_argument("cache", type=Path, help="folder for features")
    parser.add_argument("out", type=Path, help="page with a section between the probes' marks")
    parser.add_argument("--workers", type=int, default=2)
    return parser.parse_args()


def read_sets(data: Path, cache: Path) -> dict[str, ProbeSet]:
    """Return every set by its name, encoded once."""
    of_breast = kept(cache, "breast", lambda: breast(data / "breast"))
    both_classes = of_breast.groups != ONE_CLASS_ACQUISITION
    return {
        BREAST: of_breast,
        BREAST_WITHOUT: ProbeSet(
            of_breast.labels[both_classes],
            of_breast.groups[both_classes],
            {key: matrix[both_classes] for key, matrix in of_breast.features.items()},
        ),
        COLON: kept(cache, "colon", lambda: colon(data / "colon")),
        BIOPSIES: kept(cache, "biopsies", lambda: biopsies(data / "ebhi")),
        LYMPH_NODES: kept(cache, "lymph", lambda: lymph_nodes(data / "pcam")),
    }


def folds_of(data: ProbeSet, repeats: int) -> list[list[Fold]]:
    """Return the folds of every repeat; a published split is one fold."""
    if data.split is not None:
        parts = {name: np.flatnonzero(data.split == name) for name in ("train", "valid", "test")}
        training = np.concatenate([parts["train"], parts["valid"]])
        return [[Fold(training, parts["test"], ((parts["train"], parts["valid"]),))]]
    drawn = []
    for repeat in range(repeats):
        fold_of = stratified_group_folds(data.labels, data.groups.tolist(), FOLDS, repeat)
        drawn.append([_fold(data, fold_of, fold, repeat) for fold in range(FOLDS)])
    return drawn


def _fold(data: ProbeSet, fold_of: np.ndarray, fold: int, seed: int) -> Fold:
    training = np.flatnonzero(fold_of != fold)
    groups = data.groups[training].tolist()
    inner_of = stratified_group_folds(data.labels[training], groups, INNER_FOLDS, seed)
    inner = tuple((training[inner_of != k], training[inner_of == k]) for k in range(INNER_FOLDS))
    return Fold(training, np.flatnonzero(fold_of == fold), inner)


def encoder_names() -> list[str]:
    """Return the encoders that are compared; shuffled copies one by one."""
    return [ENCODER, *(f"{SHUFFLED} {seed}" for seed in range(SHUFFLES)), TEXTURE, COLOUR]


def features_of(encoder: str) -> dict[str, np.ndarray]:
    """Return the columns to choose from; all of them where there is no choice."""
    has_choice = encoder.startswith((ENCODER, SHUFFLED))
    return FEATURES if has_choice else {ALL_COLUMNS: np.arange(0)}


Results = dict[tuple[str, str], list[list[FoldResult]]]
"""Results of repeats and folds by set and encoder."""


def run_folds(sets: Mapping[str, ProbeSet], workers: int) -> Results:
    """Probe every encoder on every fold of every set."""
    results: Results = {}
    # Small matrices: threads of the linear algebra would only wait for each other.
    with ProcessPoolExecutor(
        workers, mp_context=get_context("spawn"), initializer=threadpool_limits, initargs=(1,)
    ) as pool:
        for (name, data), encoder in product(sets.items(), encoder_names()):
            repeats = REPEATS if len(data.labels) < 100 else LARGE_SET_REPEATS
            folds = folds_of(data, repeats)
            cuts = data.of(encoder)
            run = partial(run_fold, data.labels, cuts, features_of(encoder))
            flat = list(pool.map(run, [fold for repeat in folds for fold in repeat]))
            per_repeat = len(folds[0])
            results[name, encoder] = [
                flat[k : k + per_repeat] for k in range(0, len(flat), per_repeat)
            ]
            say(f"{name}: {encoder}")
    return results


def run_fold(
    labels: np.ndarray,
    cuts: Mapping[str, np.ndarray],
    features: Mapping[str, np.ndarray],
    fold: Fold,
) -> FoldResult:
    """Score every choice on the inner folds, and the best of each features on the outer one."""
    inner = {}
    outer = {}
    for name, chosen in features.items():
        matrices = {
            cut: matrix[:, chosen] if len(chosen) else matrix for cut, matrix in cuts.items()
        }
        for cut, strength in product(matrices, STRENGTHS):
            areas = [
                auc(labels[held], logits(matrices[cut], labels, strength, training, held))
                for training, held in fold.inner
            ]
            inner[Choice(name, cut, strength)] = float(np.nanmean(areas))
        best = max((choice for choice in inner if choice.features == name), key=inner.__getitem__)
        outer[name] = (
            best,
            logits(matrices[best.cut], labels, best.strength, fold.training, fold.test),
        )
    return FoldResult(inner, outer)


def logits(
    matrix: np.ndarray,
    labels: np.ndarray,
    strength: float,
    training: np.ndarray,
    test: np.ndarray,
) -> np.ndarray:
    """Fit logistic regression on training rows and return logits of test rows."""
    from sklearn.linear_model import LogisticRegression

    fitted, held = standardised(matrix[training], matrix[test])
    with warnings.catch_warnings():
        # Where it ends before it has converged, it is judged by its AUC as it is.
        warnings.simplefilter("ignore")
        model = LogisticRegression(C=strength, max_iter=300, tol=1e-3)
        model.fit(fitted, labels[training])
    return np.asarray(model.decision_function(held))


def standardised(training: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centre and scale by the training rows; turn wide matrices into square ones.

    The penalty does not see a rotation: of more columns than rows, those that the training rows
    span give the same logits, and are fitted many times faster.
    """
    scale = training.std(0)
    scale = np.where(scale > 1e-6, scale, 1)
    rows = ((training - training.mean(0)) / scale).astype(np.float64)
    others = ((test - training.mean(0)) / scale).astype(np.float64)
    if rows.shape[1] <= rows.shape[0]:
        return rows, others
    squares, vectors = np.linalg.eigh(rows @ rows.T)
    spanned = squares > 1e-9 * squares[-1]
    lengths = np.sqrt(squares[spanned])
    vectors = vectors[:, spanned]
    return vectors * lengths, others @ rows.T @ vectors / lengths


def best_features(results: Results, encoder: str, repeat: int, fold: int) -> str:
    """Return the features of the largest inner AUC in a fold, averaged over sets.

    Sets of fewer repeats and folds take part with those they have. The smaller vector wins a tie.
    """
    scores = dict.fromkeys(FEATURES, 0.0)
    for (_, of_encoder), repeats in results.items():
        if of_encoder != encoder:
            continue
        of_repeat = repeats[repeat % len(repeats)]
        inner = of_repeat[fold % len(of_repeat)].inner
        for features in scores:
            scores[features] += max(
                area for choice, area in inner.items() if choice.features == features
            )
    return max(scores, key=scores.__getitem__)


def probe(
    data: ProbeSet, results: Results, name: str, encoder: str, features: str | None = None
) -> Probe:
    """Collect the logits of an encoder on a set.

    Parameters
    ----------
    data, results, name
        The set, the results and the name of the set.
    encoder
        Name of the encoder.
    features
        Features that are taken; None chooses them on the inner folds.
    """
    repeats = results[name, encoder]
    folds = folds_of(data, len(repeats))
    collected = np.full((len(repeats), len(data.labels)), np.nan)
    chosen = []
    for repeat, of_repeat in enumerate(repeats):
        for fold, result in enumerate(of_repeat):
            taken = features or ALL_COLUMNS
            if taken not in result.outer:
                taken = best_features(results, encoder, repeat, fold)
            choice, values = result.outer[taken]
            chosen.append(choice)
            collected[repeat, folds[repeat][fold].test] = values
    return Probe(collected, tuple(chosen))


def tested(data: ProbeSet) -> np.ndarray:
    """Return the indices that are ever tested."""
    if data.split is None:
        return np.arange(len(data.labels))
    return np.flatnonzero(data.split == "test")


def report(sets: Mapping[str, ProbeSet], results: Results) -> str:
    """Return the section of the page in Markdown."""
    lines = []
    for name, data in sets.items():
        lines += report_set(name, data, results)
    lines += ["### Which features", "", *report_features(sets, results)]
    return "\n".join(lines)


def report_set(name: str, data: ProbeSet, results: Results) -> list[str]:
    """Return the tables of one set."""
    rows = tested(data)
    labels = data.labels[rows]
    groups = data.groups[rows].tolist()
    samples = 2000 if len(labels) < 1000 else 200
    ours = probe(data, results, name, ENCODER)
    lines = [
        f"### {name[0].upper()}{name[1:]}",
        "",
        f"{len(labels)} tested, {int(labels.sum())} positive, {len(set(groups))} groups, "
        f"{len(ours.logits)} {'draw' if len(ours.logits) == 1 else 'draws'} of the folds.",
        "",
        "| encoder | AUC (95 % interval), ± sd of draws | AUC that `efficientnet-lite0` gains |",
        "| --- | --- | --- |",
    ]
    for encoder in encoder_names():
        theirs = probe(data, results, name, encoder)
        figure = estimate(auc, labels, theirs.logits[:, rows], groups, samples)
        gain = "–"
        if encoder != ENCODER:
            gained = difference(
                labels, ours.logits[:, rows], theirs.logits[:, rows], groups, samples
            )
            gain = f"{gained['mean']:+.3f} ({gained['low']:+.3f} to {gained['high']:+.3f})"
        spread = "" if len(theirs.logits) == 1 else f", ± {figure.sd_repeats:.3f}"
        interval = f"{figure.mean:.3f} ({figure.low:.3f}–{figure.high:.3f}){spread}"
        lines.append(f"| {title(encoder, name)} | {interval} | {gain} |")
    cuts = Counter(choice.cut for choice in ours.chosen)
    features = Counter(choice.features for choice in ours.chosen)
    lines += ["", f"Chosen by the inner folds: {counts(cuts)}; {counts(features)}.", ""]
    return lines


def title(encoder: str, name: str) -> str:
    """Return the name of an encoder as a table shows it."""
    if encoder == COLOUR and name.startswith("breast"):
        return f"{COLOUR}, mean and extremes"
    if encoder == COLOUR:
        return COLOUR
    if encoder.startswith(SHUFFLED):
        return encoder.replace(SHUFFLED, "its shuffled copy, permutation")
    return f"`{encoder}`"


def counts(counter: Counter[str]) -> str:
    """Return what was chosen, the most frequent first."""
    return ", ".join(f"{name} ({number}×)" for name, number in counter.most_common())


def report_features(sets: Mapping[str, ProbeSet], results: Results) -> list[str]:
    """Return the table of all features on all sets."""
    lines = [
        f"| features of blocks | length | inner AUC, all sets | {' | '.join(sets)} |",
        "| --- | --- | --- |" + " --- |" * len(sets),
    ]
    for features, chosen in FEATURES.items():
        cells = []
        for name, data in sets.items():
            rows = tested(data)
            found = probe(data, results, name, ENCODER, features)
            areas = [auc(data.labels[rows], row[rows]) for row in found.logits]
            cells.append(f"{np.mean(areas):.3f}")
        inner = inner_auc(results, features)
        lines.append(f"| {features} | {len(chosen)} | {inner:.4f} | {' | '.join(cells)} |")
    return lines


def inner_auc(results: Results, features: str) -> float:
    """Return the mean AUC of features on all inner folds of all sets, sets counted alike."""
    of_sets = []
    for (_, encoder), repeats in results.items():
        if encoder == ENCODER:
            best = [
                max(area for choice, area in result.inner.items() if choice.features == features)
                for of_repeat in repeats
                for result in of_repeat
            ]
            of_sets.append(np.mean(best))
    return float(np.mean(of_sets))


if __name__ == "__main__":
    main()
