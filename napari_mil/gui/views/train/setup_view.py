"""The form of a run."""

from __future__ import annotations

from dataclasses import replace

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFormLayout, QLabel, QLineEdit, QPushButton, QSpinBox, QWidget

from napari_mil.gui.model.snapshots.train import SetupSnapshot
from napari_mil.gui.model.training_form import Form
from napari_mil.gui.views.train.advanced_view import AdvancedView
from napari_mil.gui.views.widgets import ChoiceBox, Fold, column, elided, row, secondary, set_words

LONGEST_RUN = 10_000


class SetupView(QWidget):
    """Tells what a person entered, as a whole form."""

    form_changed = Signal(object)
    """`Form` with one value changed."""
    start_chosen = Signal(str)
    """Name or folder of a classifier to start from; empty for fresh weights."""
    out_requested = Signal()
    check_requested = Signal()
    """Look ahead, or stop looking."""

    def __init__(self) -> None:
        super().__init__()
        self.start_box = ChoiceBox("start from")
        self.encoder_box = ChoiceBox("encoder")
        self.aggregator_box = ChoiceBox("aggregator")
        self.strategy_box = ChoiceBox("mining strategy")
        self.positive_box = ChoiceBox("positive class")
        self.folds_box = ChoiceBox("evaluation afterwards")
        self.epochs_box = QSpinBox()
        self.epochs_box.setRange(1, LONGEST_RUN)
        self.epochs_box.setAccessibleName("epochs")
        self.rate_edit = QLineEdit()
        self.rate_edit.setAccessibleName("learning rate")
        self.scale_edit = QLineEdit()
        self.scale_edit.setPlaceholderText("µm per pixel")
        self.scale_edit.setAccessibleName("micrometres per pixel of slides that do not say it")
        self.patients_edit = QLineEdit()
        self.patients_edit.setPlaceholderText("pattern on the names")
        self.patients_edit.setToolTip(
            "A regular expression: what it matches at the start of a name is the patient."
        )
        self.patients_edit.setAccessibleName("pattern on names that gives the patient")
        self.regions_edit = QLineEdit()
        self.regions_edit.setPlaceholderText("Tumor=malignant, Stroma=benign")
        self.regions_edit.setToolTip(
            "Classes that the names of annotated regions stand for; a name without a class "
            "(Frame=) is left out. What stands for no class teaches nothing."
        )
        self.regions_edit.setAccessibleName("classes of names of regions")
        self.check_button = QPushButton()
        self.check_button.setToolTip(
            "Read one bag of each kind, every annotation file, scale and width, and say what the "
            "run would stumble over."
        )
        self.check_line = secondary()
        self.recipe = secondary()
        self.advanced = AdvancedView()
        self.fold = Fold("Advanced")
        self.fold.addWidget(self.advanced)
        self.out_label = elided("")
        self.out_button = QPushButton("Change…")
        self.out_button.setAccessibleName("change the run folder")
        self._form_layout = QFormLayout()
        self._form_layout.setContentsMargins(0, 0, 0, 0)
        self._form_layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        for label, widget in (
            ("Slides' µm/px", self.scale_edit),
            ("Patients", self.patients_edit),
            ("Regions", self.regions_edit),
            ("Start from", self.start_box),
            ("Encoder", self.encoder_box),
            ("Aggregator", self.aggregator_box),
            ("Mining", self.strategy_box),
            ("Epochs", self.epochs_box),
            ("Learning rate", self.rate_edit),
            ("Evaluate", self.folds_box),
            ("Positive", self.positive_box),
        ):
            self._form_layout.addRow(label, widget)
        out_row = row(QLabel("Run folder"), self.out_label, self.out_button, stretched=1)
        self.setLayout(
            column(
                self._form_layout,
                self.recipe,
                self.fold,
                out_row,
                row(self.check_button, stretched=None),
                self.check_line,
                stretch=False,
                margin=0,
            )
        )
        self._form = Form()
        self._rendering = False
        self._connect()

    def _connect(self) -> None:
        self.start_box.chosen.connect(self.start_chosen.emit)
        self.encoder_box.chosen.connect(lambda key: self._tell(replace(self._form, encoder=key)))
        self.aggregator_box.chosen.connect(
            lambda key: self._tell(self._form.with_method(aggregator=key))
        )
        self.strategy_box.chosen.connect(
            lambda key: self._tell(self._form.with_method(strategy=key))
        )
        self.positive_box.chosen.connect(
            lambda key: self._tell(replace(self._form, positive_class=key))
        )
        self.folds_box.chosen.connect(lambda key: self._tell(replace(self._form, folds=key)))
        self.epochs_box.valueChanged.connect(
            lambda value: self._tell(replace(self._form, epochs=value))
        )
        self.rate_edit.textEdited.connect(
            lambda text: self._tell(replace(self._form, learning_rate=text))
        )
        self.scale_edit.textEdited.connect(
            lambda text: self._tell(replace(self._form, slide_mpp=text))
        )
        self.patients_edit.editingFinished.connect(self._on_patients)
        self.regions_edit.editingFinished.connect(self._on_regions)
        self.check_button.clicked.connect(lambda: self.check_requested.emit())
        self.advanced.changed.connect(
            lambda name, value: self._tell(self._form.with_advanced(name, value))
        )
        self.out_button.clicked.connect(lambda: self.out_requested.emit())
        for edit in (self.rate_edit, self.scale_edit, self.patients_edit, self.regions_edit):
            edit.setAcceptDrops(False)

    def render(self, snapshot: SetupSnapshot) -> None:
        """Show a snapshot."""
        self._rendering = True
        form = snapshot.form
        self._form = form
        self.setVisible(snapshot.visible)
        self.start_box.render(snapshot.starts)
        self.encoder_box.render(snapshot.encoders)
        self.aggregator_box.render(snapshot.aggregators)
        self.strategy_box.render(snapshot.strategies)
        self.positive_box.render(snapshot.positives)
        self.folds_box.render(snapshot.folds)
        self.epochs_box.setValue(snapshot.epochs)
        for edit, text in (
            (self.rate_edit, snapshot.rate),
            (self.scale_edit, form.slide_mpp),
            (self.patients_edit, form.patient_pattern),
            (self.regions_edit, form.region_classes),
        ):
            if edit.text() != text and not edit.hasFocus():
                edit.setText(text)
        for widget, shown in (
            (self.scale_edit, snapshot.needs_scale),
            (self.patients_edit, snapshot.asks_patients),
            (self.regions_edit, snapshot.asks_regions),
            (self.positive_box, bool(snapshot.positives.entries)),
        ):
            widget.setVisible(shown)
            self._form_layout.labelForField(widget).setVisible(shown)
        set_words(self.recipe, snapshot.recipe)
        self.check_button.setText(snapshot.check_button)
        set_words(self.check_line, snapshot.check)
        self.advanced.render(snapshot)
        changed = snapshot.n_changed
        self.fold.setText(f"Advanced ({changed} changed)" if changed else "Advanced")
        if snapshot.wrong_row and not self.fold.isExpanded():
            self.fold.expand(animate=False)
        self.out_label.setText(snapshot.out)
        self.out_label.setToolTip(snapshot.out)
        self._rendering = False

    def _on_patients(self) -> None:
        text = self.patients_edit.text().strip()
        if text != self._form.patient_pattern:
            self._tell(replace(self._form, patient_pattern=text))

    def _on_regions(self) -> None:
        text = self.regions_edit.text().strip()
        if text != self._form.region_classes:
            self._tell(replace(self._form, region_classes=text))

    def _tell(self, form: Form) -> None:
        if not self._rendering:
            self.form_changed.emit(form)
