"""What the Train tab shows: set-up, run, watched bag and result."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from napari_mil.aggregators.cards import AGGREGATORS
from napari_mil.aggregators.mining.cards import STRATEGIES
from napari_mil.encoders.cards import ENCODERS
from napari_mil.exports.glyphs import MASK_GLYPHS, Glyph
from napari_mil.findings import Finding, FindingKind
from napari_mil.gui.model.session import SessionState
from napari_mil.gui.model.snapshots.adapt import AdaptSnapshot, adapt_snapshot
from napari_mil.gui.model.snapshots.choices import Choice, Choices
from napari_mil.gui.model.subjects import SubjectKind
from napari_mil.gui.model.training import Phase, Training, loss_of
from napari_mil.gui.model.training_form import PLAIN, Form, shown_rows
from napari_mil.gui.model.words import count, time_left
from napari_mil.inference.card import FEATURES, FEW_PATIENTS, IMAGES, TILES
from napari_mil.networks.cards import BACKBONES
from napari_mil.training.cohorts.cohort import IMAGES as IMAGE_FOLDERS
from napari_mil.training.cohorts.cohort import SLIDES, Cohort
from napari_mil.training.recipes import STAGES

EMPTY = (
    "Choose a folder, or drop it here: one folder per class; in each, slides, folders of images, "
    "or feature files (.h5, .pt, .safetensors). Or a table labels.csv: slide,label,patient."
)
LONGEST_LIST = 400
"""Slides that are offered to watch."""
MOST_LINES = 6
"""Sentences of a look ahead that are shown outside the details."""
FOLDS = (0, 5, 10)
BUTTONS = {
    Phase.IDLE: "Start",
    Phase.RUNNING: "Pause",
    Phase.PAUSED: "Go on",
    Phase.STOPPING: "Stopping…",
    Phase.INTERRUPTED: "Resume",
    Phase.DONE: "Set up another run",
}
BUSY = "Training runs; cancel it to change this. The last checkpoint is kept."


@dataclass(frozen=True)
class FoundSnapshot:
    """What a folder holds."""

    facts: str = ""
    """Bags, patients and instances in one line; empty before anything was chosen."""
    classes: str = EMPTY
    remark: str = ""
    """What was skipped or is odd, in one line."""
    has_details: bool = False
    patients: str = ""
    """What to do about unknown patients; empty where they are known."""
    pattern: str = ""
    """Pattern on names that is offered."""
    looking: str = ""


@dataclass(frozen=True)
class SetupSnapshot:
    """The form of a run."""

    visible: bool = False
    form: Form = field(default_factory=Form)
    starts: Choices = field(default_factory=Choices)
    encoders: Choices = field(default_factory=Choices)
    aggregators: Choices = field(default_factory=Choices)
    strategies: Choices = field(default_factory=Choices)
    positives: Choices = field(default_factory=Choices)
    folds: Choices = field(default_factory=Choices)
    needs_scale: bool = False
    asks_patients: bool = False
    asks_regions: bool = False
    check: str = ""
    """What a look ahead found, one sentence a line."""
    check_button: str = ""
    """Text of the button that looks ahead; empty hides it."""
    epochs: int = 1
    rate: str = ""
    recipe: str = ""
    rows: tuple[str, ...] = ()
    """Rows below the fold that the method has."""
    settled: tuple[tuple[str, str], ...] = ()
    """(row, why it cannot be changed)."""
    n_changed: int = 0
    wrong_row: str = ""
    out: str = ""


@dataclass(frozen=True)
class RunSnapshot:
    """A run, and what can be done about it."""

    phase: Phase = Phase.IDLE
    button: str = ""
    """Text of the first button; empty hides it."""
    can_press: bool = True
    second: str = ""
    """Text of the second button; empty hides it."""
    second_tip: str = ""
    summary: str = ""
    """What runs, in words, while the form makes room."""
    progress: str = ""
    done: int = 0
    total: int = 0
    has_curves: bool = False
    message: str = ""
    cautions: bool = True
    has_details: bool = False


@dataclass(frozen=True)
class WatchSnapshot:
    """The bag that is watched while a model learns."""

    visible: bool = False
    bags: Choices = field(default_factory=Choices)
    first: int = 0
    last: int = 0
    shown: int = 0
    """Epochs that can be shown and the one that is; 0 for none."""
    facts: str = ""
    masks: tuple[tuple[str, Glyph, int], ...] = ()


@dataclass(frozen=True)
class RegionsSnapshot:
    """Drawn shapes that become regions of a class."""

    visible: bool = False
    line: str = ""
    classes: Choices = field(default_factory=Choices)


@dataclass(frozen=True)
class ResultSnapshot:
    """The classifier that a run came to."""

    name: str = ""
    """Empty while there is none."""
    line: str = ""
    use_tip: str = ""


@dataclass(frozen=True, eq=False)
class HistorySnapshot:
    """Figures of the epochs, for the curves."""

    rows: tuple[Mapping[str, float | None], ...] = ()
    epochs: int = 0
    cursor: int | None = None
    run: str = ""
    """Name of the run."""

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, HistorySnapshot):
            return NotImplemented
        same = (self.epochs, self.cursor, self.run) == (other.epochs, other.cursor, other.run)
        return same and self.rows is other.rows

    __hash__ = None  # type: ignore[assignment]


@dataclass(frozen=True)
class TrainSnapshot:
    """What the Train tab shows."""

    found: FoundSnapshot
    setup: SetupSnapshot
    adapt: AdaptSnapshot
    run: RunSnapshot
    watch: WatchSnapshot
    regions: RegionsSnapshot
    result: ResultSnapshot


def train_snapshot(state: SessionState) -> TrainSnapshot:
    """Return what the Train tab shows."""
    training = state.training
    setup = _setup(state, training)
    return TrainSnapshot(
        found=_found(training),
        setup=setup,
        adapt=adapt_snapshot(state),
        run=_run(training, setup),
        watch=_watch(state, training),
        regions=_regions(state, training),
        result=_result(training),
    )


def history_snapshot(state: SessionState) -> HistorySnapshot:
    """Return what the curves show."""
    training = state.training
    run = "" if training.out is None else training.out.name
    return HistorySnapshot(training.rows, training.epochs, training.cursor, run)


def _found(training: Training) -> FoundSnapshot:
    cohort = training.cohort
    if cohort is None:
        return FoundSnapshot(looking=training.looking)
    facts = [f"{cohort.root.name}: {count(len(cohort), 'bag')}"]
    if cohort.patients_known and cohort.n_patients != len(cohort):
        facts.append(f"{cohort.n_patients} patients")
    known = [bag.n for bag in cohort.bags if bag.n is not None]
    if known:
        facts.append(count(sum(known), "instance"))
    if cohort.skipped:
        facts.append(f"{_number_of(cohort.skipped)} skipped")
    pattern = training.suggested_pattern
    if training.form.patient_pattern:
        pattern = ""
    return FoundSnapshot(
        facts=" · ".join(facts),
        classes=_class_words(cohort),
        remark=findings_words(cohort),
        has_details=bool(cohort.skipped or cohort.warnings or _found_ahead(training)),
        patients=_patient_words(training, cohort),
        pattern=pattern,
        looking=training.looking,
    )


def _class_words(cohort: Cohort) -> str:
    if not cohort.bags:
        return ""
    words = [", ".join(cohort.kinds)]
    words += [f"{name} {number}" for name, number in cohort.counts.items()]
    annotated = sum(bool(bag.annotations) for bag in cohort.bags)
    if annotated:
        words.append(f"{annotated} annotated")
    return " · ".join(words)


def _patient_words(training: Training, cohort: Cohort) -> str:
    if training.pattern is not None:
        n = cohort.with_patients(training.pattern).n_patients
        return f"Patients from names: {n}."
    if cohort.patients_known or not cohort.bags:
        return ""
    if training.suggested_pattern:
        n = cohort.with_patients(training.suggested_pattern).n_patients
        return f"Patients unknown. The names split evenly into {n}:"
    return "Patients unknown: each bag counts as one. A column 'patient' in a table names them."


def findings_words(cohort: Cohort) -> str:
    """Return one line about what was skipped or is odd; all of it stands in the details."""
    parts = []
    if cohort.skipped:
        n_more = _number_of(cohort.skipped) - 1
        more = f" and {n_more} more" if n_more else ""
        parts.append(f"Skipped: {cohort.skipped[0].path.name}{more}.")
    by_kind: dict[FindingKind, list[Finding]] = defaultdict(list)
    for finding in cohort.warnings:
        by_kind[finding.kind].append(finding)
    copies = _number_of(by_kind.pop(FindingKind.COPY, []))
    conflicts = _number_of(by_kind.pop(FindingKind.PATIENT_CONFLICT, []))
    others = sum(map(len, by_kind.values()))
    words = []
    if copies:
        words.append(f"{copies} {'copy' if copies == 1 else 'copies'} of other bags")
    if conflicts:
        words.append(f"{count(conflicts, 'patient')} with several labels or splits")
    if others:
        alone = f"{count(others, 'note')}, see Details"
        words.append(count(others, "other note") if words else alone)
    if words:
        parts.append(f"Odd: {', '.join(words)}.")
    return " ".join(parts)


def _number_of(findings: Iterable[Finding]) -> int:
    return sum(finding.number for finding in findings)


def _setup(state: SessionState, training: Training) -> SetupSnapshot:
    form = training.form
    cohort = training.cohort
    recipe = form.recipe
    positives: tuple[str, ...] = ()
    if cohort is not None and len(cohort.classes) == 2 and not cohort.multi_label:
        positives = cohort.classes
    rows = shown_rows(form)
    settled = training.settled
    n_changed = sum(name in rows and name not in settled for name in form.advanced)
    return SetupSnapshot(
        visible=training.is_trainable and training.phase is Phase.IDLE,
        form=form,
        starts=_start_choices(state, training),
        encoders=_encoder_choices(training, state.adapting.encoders),
        aggregators=Choices(
            tuple(Choice(name, name) for name in AGGREGATORS),
            form.aggregator,
            training.start_reason,
        ),
        strategies=_strategy_choices(form),
        positives=Choices(
            tuple(Choice(name, name) for name in positives),
            form.positive_class or (positives[-1] if positives else None),
        ),
        folds=_fold_choices(training),
        needs_scale=cohort is not None and cohort.without_scale > 0,
        asks_patients=cohort is not None and not cohort.patients_known,
        asks_regions=training.is_annotated,
        check=check_words(training),
        check_button="Cancel the check" if _is_checking(training) else "Check",
        epochs=form.epochs or recipe.epochs,
        rate=form.learning_rate or f"{recipe.learning_rate:g}",
        recipe=f"Recipe: {recipe.source}.",
        rows=rows,
        settled=tuple(settled.items()),
        n_changed=n_changed,
        wrong_row=training.wrong_row,
        out="" if training.out is None else str(training.out),
    )


def check_words(training: Training) -> str:
    """Return what a look ahead found, and whether the settings changed since."""
    check = training.check
    if check is None:
        return ""
    if check.is_running:
        return "Looking ahead: annotations, scales, widths, one bag of each kind…"
    lines = list(check.lines[:MOST_LINES])
    if len(check.lines) > MOST_LINES:
        lines.append(f"{len(check.lines) - MOST_LINES} more in Details….")
    if dict(check.fields) != training.fields:
        lines.append("The settings changed since: check again.")
    return "\n".join(lines or ["Nothing to object."])


def _found_ahead(training: Training) -> bool:
    return training.check is not None and bool(training.check.lines)


def _is_checking(training: Training) -> bool:
    return training.check is not None and training.check.is_running


def _start_choices(state: SessionState, training: Training) -> Choices:
    takes: tuple[str, ...] = (TILES, IMAGES, FEATURES)
    if training.cohort is not None and training.cohort.kinds == (SLIDES,):
        takes = (TILES,)
    elif training.cohort is not None and training.cohort.kinds == (IMAGE_FOLDERS,):
        takes = (IMAGES,)
    entries = [Choice("", "fresh weights")]
    entries += [
        Choice(card.name, card.name)
        for card in state.cards
        if card.instances in takes and card.checkpoint is None
    ]
    start = training.form.start_from
    if start and all(entry.key != start for entry in entries):
        name = start if training.start is None else training.start.name
        entries.append(Choice(start, name))
    return Choices(tuple(entries), start)


def _encoder_choices(training: Training, own: Sequence[str]) -> Choices:
    reason = training.encoder_reason
    start = training.start
    if reason:
        words = "in the files"
        if start is not None and start.encoder is not None:
            words = f"{start.encoder.name}, of {start.name}"
        return Choices((Choice("", words),), "", reason)
    default = next(iter(ENCODERS))
    entries = [Choice("", f"by the bags ({default})")]
    entries += [Choice(card.name, card.name) for card in ENCODERS.values()]
    entries += [Choice(name, f"{name}, adapted") for name in own]
    entries += [Choice(card.name, f"{card.title}, trained with it") for card in BACKBONES.values()]
    chosen = training.form.encoder
    if all(entry.key != chosen for entry in entries):
        # That of an earlier run, by name or folder.
        entries.append(Choice(chosen, Path(chosen).name))
    return Choices(tuple(entries), chosen)


def _strategy_choices(form: Form) -> Choices:
    entries = [Choice(PLAIN, "none")]
    if not AGGREGATORS[form.aggregator].can_be_mined:
        return Choices(
            tuple(entries), PLAIN, "Masked mining needs attention MIL, DSMIL or TransMIL."
        )
    entries += [Choice(card.name, card.title) for card in STRATEGIES.values()]
    return Choices(tuple(entries), form.strategy)


def _fold_choices(training: Training) -> Choices:
    unit = "patient"
    cohort = training.cohort
    if cohort is not None:
        unit = cohort.unit_with(training.pattern)
    entries = [
        Choice(number, f"afterwards, {number} folds by {unit}" if number else "no")
        for number in FOLDS
    ]
    return Choices(tuple(entries), training.form.folds)


def _run(training: Training, setup: SetupSnapshot) -> RunSnapshot:
    phase = training.phase
    form = phase is Phase.IDLE
    another = phase is not Phase.DONE or training.is_trainable
    shown = training.is_trainable or phase is Phase.DONE
    return RunSnapshot(
        phase=phase,
        button=BUTTONS[phase] if shown and another else "",
        can_press=phase is not Phase.STOPPING,
        second=_second_button(training),
        second_tip="Cross-validate the way in which it was trained." if phase is Phase.DONE else "",
        summary="" if form or not training.is_trainable else method_words(training, setup),
        progress=_progress(training),
        done=training.done,
        total=training.total,
        has_curves=bool(training.rows) or phase.is_busy,
        message=training.message or remarks_words(training),
        cautions=training.cautions if training.message else False,
        has_details=bool(training.remarks),
    )


def _second_button(training: Training) -> str:
    phase = training.phase
    if phase.is_busy:
        return "Cancel"
    if phase is Phase.INTERRUPTED:
        return "Start afresh…"
    result = training.result
    if phase is Phase.DONE and result is not None and result.evaluable:
        return "Evaluate"
    return ""


def remarks_words(training: Training) -> str:
    """Return the last remarks of a run; all of them stand in the details."""
    remarks = training.remarks
    lines = list(remarks[-3:])
    if len(remarks) > 3:
        lines.insert(0, f"{len(remarks) - 3} more in Details…")
    return "\n".join(lines)


def method_words(training: Training, setup: SetupSnapshot) -> str:
    """Return what runs, in one line."""
    form = training.form
    words = []
    for choices in (setup.starts, setup.encoders):
        first = choices.entries[0].key if choices.entries else None
        if choices.current != first:
            words += [entry.text for entry in choices.entries if entry.key == choices.current]
    words.append(form.aggregator)
    if form.strategy != PLAIN:
        words.append(STRATEGIES[form.strategy].title)
    words += [f"{setup.epochs} epochs", f"learning rate {setup.rate}", f"in {setup.out}"]
    return " · ".join(words)


def _progress(training: Training) -> str:
    if not training.phase.is_busy:
        return ""
    if training.starting or not training.what:
        return "Starting…"
    left = time_left(training.eta)
    if training.what == "epochs":
        if not training.rows:
            return f"Epoch 1 of {training.total}…"
        row = training.rows[-1]
        words = [f"Epoch {training.done} of {training.total}"]
        stage = int(row.get("stage") or 0)
        if stage:
            words.append(STAGES[stage - 1])
        loss = loss_of(row)
        if loss is not None:
            words.append(f"loss {loss:.3g}")
        area = row.get("validation_auc")
        if area is not None:
            words.append(f"validation AUC {area:.2f}")
        return " · ".join(words) + left
    verb = "Evaluating" if training.what == "folds" else "Encoding"
    unit = training.what.rstrip("s")
    number = min(training.done + 1, training.total)
    return f"{verb}: {unit} {number} of {training.total}{left or '…'}"


def _watch(state: SessionState, training: Training) -> WatchSnapshot:
    if not training.of_slides or not training.is_trainable:
        return WatchSnapshot()
    watch = training.watch
    epochs = () if watch is None else tuple(epoch for epoch, _ in watch.epochs)
    facts, masks = _watch_words(training)
    return WatchSnapshot(
        visible=True,
        bags=_watch_choices(state, training),
        first=epochs[0] if epochs else 0,
        last=epochs[-1] if epochs else 0,
        shown=0 if watch is None else watch.shown or 0,
        facts=facts,
        masks=masks,
    )


def _watch_choices(state: SessionState, training: Training) -> Choices:
    paths: dict[str, str] = {"": "none"}
    for subject in state.subjects:
        if subject.kind is SubjectKind.SLIDE:
            paths[str(subject.path)] = subject.name
    assert training.cohort is not None
    for bag in training.cohort.bags[:LONGEST_LIST]:
        paths.setdefault(str(bag.path), f"{bag.path.name} ({', '.join(bag.labels)})")
    entries = tuple(Choice(path, text) for path, text in paths.items())
    current = training.watch_path if training.watch_path in paths else ""
    return Choices(entries, current, BUSY if training.phase.is_busy else "")


def _watch_words(training: Training) -> tuple[str, tuple[tuple[str, Glyph, int], ...]]:
    watch = training.watch
    if watch is None:
        return "", ()
    watched = watch.watched
    if watched is None:
        return "Its overlay comes with the first epoch.", ()
    names = watch.classes[1:] if len(watched.probabilities) == 1 else watch.classes
    pairs = zip(names, watched.probabilities, strict=False)
    words = ", ".join(f"{name} {float(p):.2f}" for name, p in pairs)
    part = watch.part
    if part in ("training", "validation", "test"):
        part = f"a {part} bag"
    facts = f"{part} · {words}"
    if watched.masks:
        n = int(np.any(list(watched.masks.values()), axis=0).sum())
        facts += f" · {n} of {len(watched.values)} tiles masked"
    overlaps = ((watch.mask_overlap, "the masked"), (watch.top_overlap, "the top tenth"))
    same = [f"{100 * share:.0f} % of {what}" for share, what in overlaps if share is not None]
    if same:
        facts += f" · {' and '.join(same)} as in the epoch before"
    masks = tuple(
        (kind, MASK_GLYPHS[kind], int(mask.sum())) for kind, mask in watched.masks.items()
    )
    return facts, masks


def _regions(state: SessionState, training: Training) -> RegionsSnapshot:
    if not training.of_slides or not training.is_trainable or training.phase is not Phase.IDLE:
        return RegionsSnapshot()
    subject = state.current_subject
    where = "over an open slide" if subject is None else f"over {subject.name}"
    assert training.cohort is not None
    return RegionsSnapshot(
        visible=True,
        line=f"Shapes of the chosen layer, drawn {where}, become regions of a class beside the "
        "slide: they teach or score the tiles.",
        classes=Choices(
            tuple(Choice(name, name) for name in training.cohort.classes), training.region_class
        ),
    )


def _result(training: Training) -> ResultSnapshot:
    result = training.result
    if result is None or training.phase.is_busy:
        return ResultSnapshot()
    card = result.card
    facts = card.training
    words = [f"epoch {facts.epoch_kept} of {facts.epochs_trained}"]
    headline: Any = card.evaluation.get("headline")
    if headline:
        words.append(str(headline))
    line = "\n".join([" · ".join(words), *card.evaluation.get(FEW_PATIENTS, ())])
    tip = "Choose it in the Classify tab."
    if card.instances != TILES:
        tip = f"It takes {card.takes}: the first bag of the folder is opened with it."
    return ResultSnapshot(result.installed or card.name, line, tip)


def details_text(training: Training) -> str:
    """Return everything that was skipped, is odd or was said by the run, as Markdown."""
    cohort = training.cohort
    if cohort is None:
        return ""
    lines = [f"# {cohort.root.name}", ""]
    for title, findings in (("Skipped", cohort.skipped), ("Used, but odd", cohort.warnings)):
        if findings:
            lines += [f"## {title}", ""]
            lines += [f"- **{finding.path.name}**: {finding.text}" for finding in findings]
            lines.append("")
    if training.check is not None and training.check.lines:
        lines += ["## Looked ahead", "", *(f"- {line}" for line in training.check.lines), ""]
    if training.remarks:
        lines += ["## Said by the run", "", *(f"- {remark}" for remark in training.remarks)]
    return "\n".join(lines)
