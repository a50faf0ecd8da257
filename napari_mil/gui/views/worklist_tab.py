"""The Worklist tab: slides as rows, run in the background."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtGui import QDragEnterEvent, QDropEvent
from qtpy.QtWidgets import QFormLayout, QLineEdit, QPushButton, QStackedWidget, QWidget

from napari_mil.gui.model.snapshots.choices import Choice, Choices
from napari_mil.gui.model.snapshots.worklist import (
    EMPTY,
    EVERY_STATE,
    StateWord,
    WorklistSnapshot,
    row_remark,
)
from napari_mil.gui.model.worklist import Phase
from napari_mil.gui.views.dropping import dropped_source
from napari_mil.gui.views.widgets import (
    ChoiceBox,
    PrimaryButton,
    TonedLabel,
    caution,
    column,
    elided,
    row,
    secondary,
    set_words,
)
from napari_mil.gui.views.worklist_table import WorklistTable

RUN_TEXT = "Run all"
PAUSE_TEXT = "Pause"
GO_ON_TEXT = "Go on"
STOP_TEXT = "Stop"
STOPPING_TEXT = "Stopping…"


class WorklistTab(QWidget):
    """Tells what the user did, shows a snapshot."""

    folder_requested = Signal()
    table_requested = Signal()
    path_dropped = Signal(str)
    """A folder or a table was dropped onto the tab."""
    out_requested = Signal()
    slides_folder_requested = Signal()
    """The folder of slides whose place is not known."""
    classifier_chosen = Signal(str)
    run_requested = Signal()
    pause_requested = Signal()
    go_on_requested = Signal()
    stop_requested = Signal()
    save_requested = Signal()
    """The table is to be written."""

    def __init__(self) -> None:
        super().__init__()
        self.table = WorklistTable()
        self.folder_button = PrimaryButton("Open a folder…")
        self.table_button = QPushButton("Open a table…")
        self.message = caution()
        self._empty_message = caution()
        self._reading = secondary()
        self._pages = QStackedWidget()
        self._pages.addWidget(self._make_empty_page())
        self._pages.addWidget(self._make_list_page())
        self.setLayout(column(self._pages, stretch=False, margin=0))
        self.setAcceptDrops(True)
        self._phase = Phase.IDLE
        self._noted: int | None = None
        """Number of the row whose note is edited."""
        self._connect()

    def _make_empty_page(self) -> QWidget:
        page = QWidget()
        page.setLayout(
            column(
                secondary(EMPTY),
                self.folder_button,
                self.table_button,
                self._reading,
                self._empty_message,
            )
        )
        return page

    def _make_list_page(self) -> QWidget:
        self.source_line = elided("")
        self.out_line = elided("")
        self.open_folder_button = QPushButton("Folder…")
        self.open_table_button = QPushButton("Table…")
        self.out_button = QPushButton("Change…")
        self.classifier_box = ChoiceBox("classifier of the worklist")
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow(
            "List",
            row(self.source_line, self.open_folder_button, self.open_table_button, stretched=0),
        )
        form.addRow("Results", row(self.out_line, self.out_button, stretched=0))
        form.addRow("Classifier", self.classifier_box)
        self.button = PrimaryButton(RUN_TEXT)
        self.pause_button = QPushButton(PAUSE_TEXT)
        self.pause_button.setMinimumHeight(32)
        self.save_button = QPushButton("Save CSV")
        self.save_button.setToolTip("Write worklist.csv into the folder of results")
        self.remark = caution()
        self.note_edit = QLineEdit()
        self.note_edit.setPlaceholderText("Note on the chosen row")
        self.note_edit.setAccessibleName("note on the chosen row")
        self.locate_button = QPushButton("Find the slides…")
        self.locate_button.setToolTip("Choose the folder in which the slides of these results lie")
        self.progress_text = secondary()
        self.summary = TonedLabel("secondary")
        self.filter_text = QLineEdit()
        self.filter_text.setPlaceholderText("Filter by name, class, note…")
        self.filter_text.setClearButtonEnabled(True)
        self.filter_text.setAccessibleName("text that rows hold")
        self.state_box = ChoiceBox("state of the rows")
        states = (Choice("", EVERY_STATE), *(Choice(str(word), str(word)) for word in StateWord))
        self.state_box.render(Choices(states, ""))
        page = QWidget()
        page.setLayout(
            column(
                form,
                row(self.button, self.pause_button, stretched=0),
                self.progress_text,
                self.message,
                row(self.filter_text, self.state_box, stretched=0),
                self.table,
                self.remark,
                self.note_edit,
                row(self.summary, self.locate_button, self.save_button, stretched=0),
                stretch=False,
            )
        )
        layout = page.layout()
        layout.setStretchFactor(self.table, 1)
        return page

    def _connect(self) -> None:
        for button in (self.folder_button, self.open_folder_button):
            button.clicked.connect(lambda: self.folder_requested.emit())
        for button in (self.table_button, self.open_table_button):
            button.clicked.connect(lambda: self.table_requested.emit())
        self.out_button.clicked.connect(lambda: self.out_requested.emit())
        self.locate_button.clicked.connect(lambda: self.slides_folder_requested.emit())
        self.classifier_box.chosen.connect(self.classifier_chosen.emit)
        self.button.clicked.connect(self._on_button)
        self.pause_button.clicked.connect(self._on_pause)
        self.save_button.clicked.connect(lambda: self.save_requested.emit())
        self.table.selectionModel().currentRowChanged.connect(lambda *_: self._render_row())
        self.note_edit.editingFinished.connect(self._on_note)
        self.filter_text.textChanged.connect(lambda: self._filter())
        self.state_box.currentIndexChanged.connect(lambda: self._filter())

    def render(self, snapshot: WorklistSnapshot) -> None:
        """Show a snapshot."""
        self._pages.setCurrentIndex(1 if snapshot.has_list else 0)
        reading = f"Listing {snapshot.reading}…" if snapshot.reading else ""
        set_words(self._reading, reading)
        set_words(self._empty_message, snapshot.message)
        if not snapshot.has_list:
            return
        self._phase = snapshot.phase
        for line, text in ((self.source_line, snapshot.source), (self.out_line, snapshot.out)):
            if line.toolTip() != text:
                line.setText(Path(text).name)
                line.setToolTip(text)
        self.classifier_box.render(snapshot.classifiers)
        self.table.render(snapshot.rows, snapshot.columns)
        self._render_row()
        self._render_buttons(snapshot)
        set_words(self.progress_text, reading or snapshot.progress)
        self.message.set_tone("caution" if snapshot.cautions else "secondary")
        set_words(self.message, snapshot.message)
        set_words(self.summary, snapshot.summary)
        self.locate_button.setVisible(snapshot.lacks_slides)

    def _render_buttons(self, snapshot: WorklistSnapshot) -> None:
        phase = snapshot.phase
        is_idle = phase is Phase.IDLE
        texts = {Phase.IDLE: RUN_TEXT, Phase.STOPPING: STOPPING_TEXT}
        self.button.setText(texts.get(phase, STOP_TEXT))
        can_press = not snapshot.reason if is_idle else phase is not Phase.STOPPING
        self.button.setEnabled(can_press)
        self.button.setToolTip(snapshot.reason if is_idle else "")
        self.pause_button.setVisible(phase in (Phase.RUNNING, Phase.PAUSED))
        self.pause_button.setText(GO_ON_TEXT if phase is Phase.PAUSED else PAUSE_TEXT)
        for button in (
            self.open_folder_button,
            self.open_table_button,
            self.out_button,
            self.locate_button,
        ):
            button.setEnabled(is_idle)

    def _render_row(self) -> None:
        """Show the note of the current row, and what is wrong with it."""
        number = self.table.current_number
        row = self.table.current_row
        set_words(self.remark, "" if row is None else row_remark(row))
        self.note_edit.setEnabled(row is not None)
        is_other = number != self._noted
        if row is not None and (is_other or not self.note_edit.hasFocus()):
            self.note_edit.setText(row.note)
        elif row is None:
            self.note_edit.clear()
        self._noted = number

    def _on_note(self) -> None:
        row = self.table.current_row
        note = self.note_edit.text().strip()
        if self._noted is not None and row is not None and note != row.note:
            self.table.note_written.emit(self._noted, note)

    def _filter(self) -> None:
        self.table.filter_by(self.filter_text.text().strip(), str(self._state_chosen()))

    def _state_chosen(self) -> str:
        place = self.state_box.currentIndex()
        entries = self.state_box.choices.entries
        return str(entries[place].key) if 0 <= place < len(entries) else ""

    def _on_button(self) -> None:
        if self._phase is Phase.IDLE:
            self.run_requested.emit()
        else:
            self.stop_requested.emit()

    def _on_pause(self) -> None:
        if self._phase is Phase.PAUSED:
            self.go_on_requested.emit()
        else:
            self.pause_requested.emit()

    def dragEnterEvent(self, event: QDragEnterEvent | None) -> None:
        """Take a folder or a table, unless a run is under way."""
        if event is not None and dropped_source(event) and self._phase is Phase.IDLE:
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent | None) -> None:
        """Tell which folder or table it was."""
        if event is not None and (path := dropped_source(event)):
            event.acceptProposedAction()
            self.path_dropped.emit(path)
