"""The Train tab: what there is to train on, how, and how it goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from qtpy.QtCore import QElapsedTimer, Qt, Signal
from qtpy.QtGui import QDragEnterEvent, QDropEvent, QKeySequence
from qtpy.QtWidgets import (
    QApplication,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QShortcut,
    QSlider,
    QSpinBox,
    QWidget,
)

from napari_mil.gui.glyphs import MASK_GLYPHS
from napari_mil.gui.views.advanced_form import (
    ABOVE_0,
    AdvancedForm,
    complaint,
    number_text,
    read_number,
)
from napari_mil.gui.views.inspect_tab import GroupLegend
from napari_mil.gui.views.widgets import (
    CAUTION,
    Card,
    Fold,
    PrimaryButton,
    column,
    combo,
    elided,
    elided_middle,
    fill,
    grey_line,
    scrolling,
)

IDLE, RUNNING, PAUSED, STOPPING, INTERRUPTED, DONE = (
    "idle",
    "running",
    "paused",
    "stopping",
    "interrupted",
    "done",
)
BUTTON_TEXTS = {
    IDLE: "Start",
    RUNNING: "Pause",
    PAUSED: "Go on",
    STOPPING: "Stopping…",
    INTERRUPTED: "Resume",
    DONE: "Set up another run",
}
EMPTY = (
    "Choose a folder, or drop it here: one folder per class; in each, slides, folders of images, or feature files (.h5, .pt, .safetensors). "
    "Or a table labels.csv: slide,label,patient."
)
FRESH = ""
LONGEST_RUN = 10_000
TABLE_ENDINGS = (".csv", ".tsv")


class TrainTab(QWidget):
    """Emits what the user did, shows what it is told."""

    path_dropped = Signal(str)
    """A folder or a table was dropped onto the tab."""
    folder_requested = Signal()
    table_requested = Signal()
    run_requested = Signal()
    """An earlier run is to be opened."""
    out_requested = Signal()
    details_requested = Signal()
    method_changed = Signal()
    start_requested = Signal()
    resume_requested = Signal()
    pause_requested = Signal()
    go_on_requested = Signal()
    cancel_requested = Signal()
    epoch_chosen = Signal(int)
    watch_changed = Signal()
    regions_requested = Signal(str)
    """Keep the drawn shapes as regions of a class."""
    curves_requested = Signal()
    use_requested = Signal()
    about_requested = Signal()
    evaluate_requested = Signal()
    """Judge the way in which a finished run was trained."""

    def __init__(self) -> None:
        super().__init__()
        self.folder_button, self.table_button, self.run_button = (
            QPushButton("Folder…"),
            QPushButton("Table…"),
            QPushButton("Open a run…"),
        )
        self.facts, self.classes, self.remark = QLabel(), grey_line(EMPTY), grey_line()
        self.facts.setWordWrap(True)
        self.facts.setStyleSheet("QLabel { font-weight: bold; }")
        self.details_button = QPushButton("Details…")
        (
            self.encoder_box,
            self.aggregator_box,
            self.strategy_box,
            self.start_box,
            self.positive_box,
        ) = (combo() for _ in range(5))
        self.epochs_box = QSpinBox()
        self.epochs_box.setRange(1, LONGEST_RUN)
        self.rate_edit, self.scale_edit = QLineEdit(), QLineEdit()
        self.scale_edit.setPlaceholderText("µm per pixel")
        self._own_epochs = self._own_rate = False
        self.recipe = grey_line()
        self.folds_box = combo()
        self.out_label, self.out_button = elided(""), QPushButton("Change…")
        self.button, self.cancel_button = PrimaryButton(BUTTON_TEXTS[IDLE]), QPushButton("Cancel")
        self.bar, self.progress_text, self.message = QProgressBar(), grey_line(), QLabel()
        self.bar.setTextVisible(False)
        self.bar.setMaximumHeight(6)
        self.message.setWordWrap(True)
        self.watch_box, self.epoch_slider, self.epoch_label = (
            combo(),
            QSlider(Qt.Orientation.Horizontal),
            QLabel(),
        )
        self.watch_facts, self.mask_legend = grey_line(), GroupLegend()
        self.curves_button = QPushButton("Curves")
        self.curves_button.setToolTip("Show or hide the curves of the run below the canvas.")
        self.regions_line = grey_line()
        self.region_box, self.region_button = combo(), QPushButton("Keep drawn shapes")
        self.result_title, self.result_line = elided(""), grey_line()
        self.use_button, self.about_button = QPushButton("Use in Classify"), QPushButton("About…")
        self._state, self._needs_scale, self._slides, self._can_evaluate = IDLE, 0, False, False
        self._since = QElapsedTimer()
        self._complains = False
        self.advanced = AdvancedForm()
        for box, name in (
            (self.encoder_box, "encoder"),
            (self.aggregator_box, "aggregator"),
            (self.strategy_box, "mining strategy"),
            (self.start_box, "start from"),
            (self.positive_box, "positive class"),
            (self.epochs_box, "epochs"),
            (self.rate_edit, "learning rate"),
            (self.scale_edit, "micrometres per pixel of slides that do not say it"),
            (self.watch_box, "watched slide"),
            (self.epoch_slider, "epoch of the overlay"),
            (self.folds_box, "evaluation afterwards"),
            (self.region_box, "class of drawn shapes"),
        ):
            box.setAccessibleName(name)
        self.bar.setAccessibleName("progress")
        self.out_button.setAccessibleName("change the run folder")
        self._lay_out()
        self._connect()
        self.set_epochs(0, 0, 0)
        self.setAcceptDrops(True)
        for edit in self.findChildren(QLineEdit):
            edit.setAcceptDrops(False)  # it would take the folder's name as its text
        self.set_empty()

    def _lay_out(self) -> None:
        self._found = Card()
        self._found.setLayout(
            column(self.facts, self.classes, self.remark, self.details_button, stretch=False)
        )
        form = QFormLayout()
        form.setContentsMargins(0, 0, 0, 0)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        for label, widget in (
            ("Slides' µm/px", self.scale_edit),
            ("Start from", self.start_box),
            ("Encoder", self.encoder_box),
            ("Aggregator", self.aggregator_box),
            ("Mining", self.strategy_box),
            ("Epochs", self.epochs_box),
            ("Learning rate", self.rate_edit),
            ("Evaluate", self.folds_box),
            ("Positive", self.positive_box),
        ):
            form.addRow(label, widget)
        self._form = form
        self._fold = Fold("Advanced")
        self._fold.addWidget(self.advanced)
        self._summary = grey_line()
        self._method = QWidget()
        self._method.setLayout(
            column(
                form,
                self.recipe,
                self._fold,
                _row(QLabel("Run folder"), self.out_label, self.out_button, stretched=1),
                stretch=False,
            )
        )
        self._method.layout().setContentsMargins(0, 0, 0, 0)
        self._watch = Card()
        title = QLabel("Watched slide")
        title.setStyleSheet("QLabel { font-weight: bold; }")
        self._watch.setLayout(
            column(
                _row(title, self.watch_box, stretched=1),
                _row(QLabel("Epoch"), self.epoch_slider, self.epoch_label, stretched=1),
                self.watch_facts,
                self.mask_legend,
                stretch=False,
            )
        )
        self._regions = Card()
        self._regions.setLayout(
            column(
                self.regions_line,
                _row(self.region_box, self.region_button, stretched=0),
                stretch=False,
            )
        )
        self._result = Card()
        self._result.setLayout(
            column(
                self.result_title,
                self.result_line,
                _row(self.use_button, self.about_button, stretched=0),
                stretch=False,
            )
        )
        self._looking, stop_button, self._looking_text = (
            QWidget(),
            QPushButton("Cancel"),
            elided(""),
        )
        stop_button.clicked.connect(lambda: self.cancel_requested.emit())
        stop_button.setAccessibleName("stop looking at the folder")
        self._looking.setLayout(_row(self._looking_text, stop_button, stretched=0))
        self._looking.layout().setContentsMargins(0, 0, 0, 0)
        self._looking.hide()
        self._rest = QWidget()
        self._rest.setLayout(
            column(
                self._found,
                self._result,
                self._method,
                self._summary,
                _row(self.button, self.cancel_button, stretched=0),
                self.bar,
                _row(self.progress_text, self.curves_button, stretched=0),
                self.message,
                self._watch,
                self._regions,
                stretch=False,
            )
        )
        self._rest.layout().setContentsMargins(0, 0, 0, 0)
        content = QWidget()
        content.setLayout(
            column(
                _row(self.folder_button, self.table_button, self.run_button),
                self._looking,
                self._rest,
            )
        )
        self._area = scrolling(content)
        self.setLayout(column(self._area, stretch=False))
        self.layout().setContentsMargins(0, 0, 0, 0)

    def _connect(self) -> None:
        self.folder_button.clicked.connect(lambda: self.folder_requested.emit())
        self.table_button.clicked.connect(lambda: self.table_requested.emit())
        self.run_button.clicked.connect(lambda: self.run_requested.emit())
        self.out_button.clicked.connect(lambda: self.out_requested.emit())
        self.details_button.clicked.connect(lambda: self.details_requested.emit())
        self.button.clicked.connect(self._on_button)
        self.cancel_button.clicked.connect(self._on_second_button)
        self.curves_button.clicked.connect(lambda: self.curves_requested.emit())
        self.epochs_box.valueChanged.connect(lambda _: setattr(self, "_own_epochs", True))
        self.advanced.changed.connect(self._after_edit)
        for edit in (self.rate_edit, self.scale_edit):
            edit.textEdited.connect(lambda _: self._after_edit())
        self.rate_edit.textEdited.connect(lambda _: setattr(self, "_own_rate", True))
        self.advanced.changed.connect(self._count_changes)
        for keys, act in (
            ("Ctrl+Return", self._on_button),
            ("Alt+Left", lambda: self._step(-1)),
            ("Alt+Right", lambda: self._step(1)),
        ):
            shortcut = QShortcut(QKeySequence(keys), self)
            shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            shortcut.activated.connect(act)
        self.button.setToolTip("Ctrl+Return")
        self.epoch_slider.setToolTip("Alt+Left and Alt+Right: the epoch before and after")
        for box in (self.aggregator_box, self.strategy_box, self.start_box):
            box.currentIndexChanged.connect(lambda _: self.method_changed.emit())
        self.epoch_slider.valueChanged.connect(self.epoch_chosen.emit)
        self.watch_box.currentIndexChanged.connect(lambda _: self.watch_changed.emit())
        self.region_button.clicked.connect(
            lambda: self.regions_requested.emit(str(self.region_box.currentData() or ""))
        )
        self.use_button.clicked.connect(lambda: self.use_requested.emit())
        self.about_button.clicked.connect(lambda: self.about_requested.emit())

    def dragEnterEvent(self, event: QDragEnterEvent | None) -> None:
        """Take a folder or a table, unless one is being trained on."""
        if event is not None and _dropped(event) and self.folder_button.isEnabled():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent | None) -> None:
        """Tell which folder or table it was."""
        if event is not None and (path := _dropped(event)):
            event.acceptProposedAction()
            self.path_dropped.emit(path)

    @property
    def state(self) -> str:
        """What the buttons stand for."""
        return self._state

    @property
    def fields(self) -> dict[str, Any]:
        """What the user set, as fields of a `TrainingConfig`; what is empty, or disabled, is left to recipe, encoder and start."""
        given: dict[str, Any] = {
            "aggregator": self.aggregator_box.currentData(),
            "strategy": self.strategy_box.currentData(),
            "encoder": (self.encoder_box.currentData() or None)
            if self.encoder_box.isEnabled()
            else None,
            "start_from": self.start_box.currentData() or None,
            "positive_class": (self.positive_box.currentData() or None)
            if self.positive_box.count()
            else None,
            "epochs": self.epochs_box.value(),
            "learning_rate": read_number(self.rate_edit.text(), ABOVE_0),
            "slide_mpp": read_number(self.scale_edit.text(), ABOVE_0)
            if self._needs_scale
            else None,
        }
        return {
            name: value for name, value in given.items() if value is not None
        } | self.advanced.fields

    @property
    def problem(self) -> str:
        """What is wrong with a number, in one sentence, or nothing."""
        fields = self.fields
        missing = (
            f"{self._needs_scale} slides do not say their scale; enter their µm per pixel above."
        )
        return (
            complaint("Learning rate", fields.get("learning_rate"), ABOVE_0)
            or complaint("Slides' µm/px", fields.get("slide_mpp"), ABOVE_0)
            or self.advanced.problem
            or (missing if self._needs_scale and "slide_mpp" not in fields else "")
        )

    def set_fields(self, fields: Mapping[str, Any]) -> None:
        """Show the configuration of a run; what it leaves open stays with the recipe."""
        start = fields.get("start_from") or ""
        if start and self.start_box.findData(start) < 0:
            self.start_box.addItem(elided_middle(Path(start).name), start)
            self.start_box.setItemData(
                self.start_box.count() - 1, start, Qt.ItemDataRole.ToolTipRole
            )
        self._own_epochs = self._own_rate = False
        for name, box in (
            ("start_from", self.start_box),
            ("encoder", self.encoder_box),
            ("aggregator", self.aggregator_box),
            ("strategy", self.strategy_box),
        ):
            box.setCurrentIndex(max(0, box.findData(fields.get(name) or "")))
        self.positive_box.setCurrentIndex(
            max(0, self.positive_box.findData(fields.get("positive_class") or ""))
        )
        self.method_changed.emit()  # its recipe, also where the boxes showed it already
        if fields.get("epochs") is not None:
            self.epochs_box.setValue(int(fields["epochs"]))
        if fields.get("learning_rate") is not None:
            self.rate_edit.setText(number_text(fields["learning_rate"]))
        self._own_epochs, self._own_rate = (
            fields.get("epochs") is not None,
            fields.get("learning_rate") is not None,
        )
        self.scale_edit.setText(number_text(fields.get("slide_mpp")))
        self.advanced.set_fields(fields)

    def set_start(self, aggregator: str | None, why: str) -> None:
        """Take the method from a classifier to start from, or let it be chosen."""
        if aggregator is not None:
            self.aggregator_box.blockSignals(True)
            self.aggregator_box.setCurrentIndex(self.aggregator_box.findData(aggregator))
            self.aggregator_box.blockSignals(False)
        self.aggregator_box.setEnabled(aggregator is None)
        self.aggregator_box.setToolTip(why)

    def forget_edits(self) -> None:
        """Leave everything to recipe, encoder and start again: another folder is another question."""
        self._own_epochs = self._own_rate = False
        self.scale_edit.setText("")
        self.advanced.set_fields({})

    def set_encoders(self, choices: Sequence[tuple[str, str]], why: str) -> None:
        """Offer encoders (key, text), or show the one there is and say why it cannot be chosen."""
        fill(self.encoder_box, choices, self.encoder_box.currentData())
        self.encoder_box.setEnabled(not why)
        self.encoder_box.setToolTip(why)

    @property
    def watched(self) -> str:
        """Path of the slide to watch, or nothing."""
        return str(self.watch_box.currentData() or "")

    @property
    def folds(self) -> int:
        """Folds to evaluate with afterwards; 0 for none."""
        return int(self.folds_box.currentData() or 0)

    def set_empty(self, message: str = "") -> None:
        """Say what to do first, and why there is nothing."""
        self.facts.hide()
        self.classes.setText(EMPTY)
        self._hide_the_rest()
        self.set_message(message)

    def set_looking(self, text: str) -> None:
        """Say that a folder is being looked at; what is set up waits."""
        self._looking_text.setText(text)
        self._looking.show()
        self._rest.setEnabled(False)

    def stop_looking(self) -> None:
        """Go on with what was set up."""
        self._looking.hide()
        self._rest.setEnabled(True)

    def _hide_the_rest(self) -> None:
        """Leave only what was found."""
        self._state = IDLE
        several = (
            self.remark,
            self.details_button,
            self._method,
            self._summary,
            self.button,
            self.cancel_button,
            self.bar,
            self.progress_text,
        )
        for part in (
            *several,
            self.curves_button,
            self.message,
            self._watch,
            self._regions,
            self._result,
        ):
            part.hide()

    def set_cohort(
        self,
        facts: str,
        classes: str,
        remark: str,
        details: bool,
        positive: Sequence[str],
        without_scale: int,
        slides: bool,
    ) -> None:
        """Show what was found, before anything runs."""
        self._hide_the_rest()
        self.facts.setText(facts)
        self.classes.setText(classes)
        self.remark.setText(remark)
        self.facts.show()
        self.remark.setVisible(bool(remark))
        self.details_button.setVisible(details)
        fill(
            self.positive_box,
            [(name, name) for name in positive],
            positive[-1] if positive else None,
        )
        self._needs_scale, self._slides = without_scale, slides
        for field, shown in (
            (self.positive_box, bool(positive)),
            (self.scale_edit, bool(without_scale)),
        ):
            for widget in (field, self._form.labelForField(field)):
                widget.setVisible(shown)

    def set_trainable(self) -> None:
        """Offer to start."""
        self.button.show()
        self._watch.setVisible(self._slides)
        self.set_state(IDLE)

    def set_choices(
        self, box: Any, choices: Sequence[tuple[str, str]], current: str | None
    ) -> None:
        """Offer entries (key, text) in one of the boxes."""
        fill(box, choices, current)

    def set_recipe(self, text: str, epochs: int, rate: float) -> None:
        """Show the published way to train; numbers that the user set stay."""
        self.recipe.setText(text)
        self.advanced.forget_method()
        if not self._own_epochs:
            self.epochs_box.blockSignals(True)
            self.epochs_box.setValue(epochs)
            self.epochs_box.blockSignals(False)
        if not self._own_rate:
            self.rate_edit.setText(f"{rate:g}")

    def set_out(self, path: str) -> None:
        """Show where the run will be."""
        self.out_label.setText(path)
        self.out_label.setToolTip(path)

    def set_state(self, state: str, text: str = "") -> None:
        """Turn the buttons into what can be done now."""
        going_on = state == RUNNING and self._state == PAUSED
        self._state = state
        self._since.start()
        busy = state in (RUNNING, PAUSED, STOPPING)
        self.button.setText(BUTTON_TEXTS[state])
        self.button.setEnabled(state != STOPPING)
        self.cancel_button.setText(
            {INTERRUPTED: "Start afresh…", DONE: "Evaluate"}.get(state, "Cancel")
        )
        self.cancel_button.setToolTip(
            "Cross-validate the way in which it was trained." if state == DONE else ""
        )
        self.cancel_button.setVisible(
            busy or state == INTERRUPTED or (state == DONE and self._can_evaluate)
        )
        self.cancel_button.setEnabled(state != STOPPING)
        form = state == IDLE
        self._method.setVisible(form)
        self._regions.setVisible(form and self._slides)
        self._summary.setVisible(not form)
        self._summary.setText(self._method_in_words())
        for widget in (self.folder_button, self.table_button, self.run_button):
            widget.setEnabled(not busy)
            widget.setToolTip(
                "Training runs; cancel it to change this. The last checkpoint is kept."
                if busy
                else ""
            )
        self.watch_box.setEnabled(not busy)
        self.bar.setVisible(busy)
        self.curves_button.setVisible(not form)
        self.progress_text.setVisible(bool(text) or busy)
        if text or not busy:
            self.progress_text.setText(text)
        if state == RUNNING and not going_on:
            self.message.hide()
        if busy:
            self._result.hide()

    def set_progress(self, done: int, total: int, text: str) -> None:
        """Show how far the work is."""
        self.bar.setRange(0, total)
        self.bar.setValue(done)
        self.progress_text.setText(text)

    def complain(self) -> bool:
        """Say what is wrong with a number, where it can be seen, until it is mended; return whether anything is."""
        problem = self.problem
        if problem and self.advanced.problem == problem:
            self._fold.expand(animate=False)
        self.set_message(problem)
        self._complains = bool(problem)
        return self._complains

    def set_message(self, text: str, caution: bool = True) -> None:
        """Say a sentence or several."""
        self._complains = False
        self.message.setStyleSheet(f"QLabel {{ color: {CAUTION}; }}" if caution else "")
        self.message.setText(text)
        self.message.setVisible(bool(text))
        if text and caution:
            content = self._area.widget()
            self._rest.layout().activate()  # the fold may have moved everything below it
            content.layout().activate()
            content.adjustSize()
            self._area.ensureWidgetVisible(self.message)

    def set_epochs(self, first: int, last: int, shown: int) -> None:
        """Say which epochs of the watched slide there are, and which is shown."""
        self.epoch_slider.blockSignals(True)
        self.epoch_slider.setRange(first, last)
        self.epoch_slider.setValue(shown)
        self.epoch_slider.setEnabled(last > first)
        self.epoch_slider.blockSignals(False)
        self.epoch_label.setText(str(shown) if last else "–")

    def set_watched(self, text: str, masks: Mapping[str, int]) -> None:
        """Say what the model thinks of the watched slide in the epoch that is shown."""
        self.watch_facts.setText(text)
        self.mask_legend.set_groups(
            [(kind, MASK_GLYPHS[kind], count) for kind, count in masks.items()]
        )

    def show_result(
        self, name: str, line: str, refused: str = "", evaluable: bool = False, another: bool = True
    ) -> None:
        """Show the classifier that came out.

        Parameters
        ----------
        name, line
            What it is called, and how good it is.
        refused
            Why slides cannot be classified with it.
        evaluable
            Whether it can be judged by cross-validation, and has not been.
        another
            Whether there are bags for another run.
        """
        self._can_evaluate = evaluable
        self.set_state(DONE)
        self.button.setVisible(another)
        self.result_title.setText(name)
        self.result_title.setToolTip(name)
        self.result_title.setStyleSheet("QLabel { font-weight: bold; }")
        self.result_line.setText(line)
        self.use_button.setEnabled(not refused)
        self.use_button.setToolTip(refused)
        self._result.show()

    def _method_in_words(self) -> str:
        """Return what runs, while the form makes room for how it goes."""
        boxes = (self.start_box, self.encoder_box, self.aggregator_box, self.strategy_box)
        words = [
            box.currentText()
            for box in boxes
            if box.currentIndex() > 0 or box is self.aggregator_box
        ]
        return " · ".join(
            [
                *words,
                f"{self.epochs_box.value()} epochs",
                f"learning rate {self.rate_edit.text()}",
                f"in {self.out_label.text()}",
            ]
        )

    def _on_button(self) -> None:
        if not self.button.isVisible() or not self.button.isEnabled():
            return  # the key, not the button
        if self._state == RUNNING and self._since.elapsed() < QApplication.doubleClickInterval():
            return  # the second click of a double one
        if self._state == DONE:
            self._result.hide()
            self.message.hide()
            self.set_state(IDLE)
            return
        {
            IDLE: self.start_requested,
            RUNNING: self.pause_requested,
            PAUSED: self.go_on_requested,
            INTERRUPTED: self.resume_requested,
        }[self._state].emit()

    def _on_second_button(self) -> None:
        if self._state == INTERRUPTED:
            self.message.hide()
            self.set_state(IDLE)
        elif self._state == DONE:
            self.evaluate_requested.emit()
        else:
            self.cancel_requested.emit()

    def _step(self, by: int) -> None:
        if self.epoch_slider.isEnabled() and self.epoch_slider.isVisible():
            self.epoch_slider.setValue(self.epoch_slider.value() + by)

    def _after_edit(self) -> None:
        if self._complains:
            self.complain()

    def _count_changes(self) -> None:
        changed = self.advanced.n_changed
        self._fold.setText(f"Advanced ({changed} changed)" if changed else "Advanced")


def _dropped(event: QDropEvent) -> str:
    """Return the folder or table that is dropped, or nothing."""
    data = event.mimeData()
    paths = [url.toLocalFile() for url in data.urls()] if data is not None else []
    usable = len(paths) == 1 and (
        Path(paths[0]).is_dir() or paths[0].lower().endswith(TABLE_ENDINGS)
    )
    return paths[0] if usable else ""


def _row(*widgets: QWidget, stretched: int | None = None) -> QHBoxLayout:
    layout = QHBoxLayout()
    layout.setSpacing(6)
    for k, widget in enumerate(widgets):
        layout.addWidget(widget, 1 if stretched in (None, k) else 0)
    return layout
