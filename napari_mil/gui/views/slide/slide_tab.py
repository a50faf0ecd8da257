"""The Slide tab: what the subject is, its scale, its tissue."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QFormLayout, QListWidget, QPushButton, QWidget

from napari_mil.gui.model.snapshots.slide import SlideSnapshot
from napari_mil.gui.views.slide.channels_card import ChannelsCard
from napari_mil.gui.views.slide.navigator import Navigator
from napari_mil.gui.views.slide.scale_card import ScaleCard
from napari_mil.gui.views.widgets import (
    Card,
    ChoiceBox,
    caution,
    column,
    elided,
    row,
    scrolling,
    secondary,
    set_words,
)
from napari_mil.slides.rendition import Rendition


class SlideTab(QWidget):
    """Tells what the user did, shows a snapshot."""

    open_requested = Signal()
    folder_requested = Signal()
    subject_chosen = Signal(int)
    close_requested = Signal()
    rendition_chosen = Signal(int, object)
    """(key of a subject, the `Rendition` of it that a person wants to see)."""
    tissue_requested = Signal()
    properties_requested = Signal()
    instance_chosen = Signal(int)
    """Number of an image in the list."""

    def __init__(self) -> None:
        super().__init__()
        self.subject_box = ChoiceBox("what is shown")
        self.open_button = QPushButton("Open…")
        self.folder_button = QPushButton("Folder…")
        self.close_button = QPushButton("Close")
        self.open_button.setToolTip("Slides, pictures, features, classifiers, annotations")
        self.folder_button.setToolTip("Images, a slide in several files, an earlier run, cohorts")
        self.close_button.setToolTip("Close what is shown; the file stays")
        self.navigator = Navigator()
        self.navigator.hide()
        self._facts = QFormLayout()
        facts_card = Card()
        facts_card.setLayout(self._facts)
        self.properties_button = QPushButton("Properties…")
        self.properties_button.setToolTip("Entries of the file; its label and macro on request")
        self._remarks = caution()
        self._remarks.hide()
        self.names = QListWidget()
        self.names.setAccessibleName("images")
        self.names.setMaximumHeight(220)
        self.names.hide()

        self.scale = ScaleCard()
        self.channels = ChannelsCard()
        self.channels.hide()
        self.profile_box = QCheckBox("Colours by the file's ICC profile")
        self.profile_box.setToolTip(
            "Shows the scanner's colours in sRGB; classifiers read the colours of the file."
        )
        self.profile_box.hide()
        self._make_tissue()
        content = QWidget()
        content.setLayout(
            column(
                row(self.open_button, self.folder_button, self.close_button),
                self.subject_box,
                self.navigator,
                self._remarks,
                self.names,
                self.channels,
                self.profile_box,
                self.scale,
                self._tissue,
                facts_card,
                self.properties_button,
            )
        )
        self.setLayout(column(scrolling(content), stretch=False, margin=0))
        self._subject: int | None = None
        self._shown_facts: tuple[tuple[str, str], ...] = ()
        self._shown_names: tuple[str, ...] = ()
        self._connect()

    def _make_tissue(self) -> None:
        self.tissue_button = QPushButton("Detect tissue")
        self.tissue_button.setToolTip(
            "Adds a layer that can be painted on and erased before classifying."
        )
        self.tissue_line = secondary()
        self._tissue = Card()
        self._tissue.setLayout(column(self.tissue_button, self.tissue_line, stretch=False))

    def _connect(self) -> None:
        self.open_button.clicked.connect(lambda: self.open_requested.emit())
        self.folder_button.clicked.connect(lambda: self.folder_requested.emit())
        self.close_button.clicked.connect(lambda: self.close_requested.emit())
        self.subject_box.chosen.connect(self.subject_chosen.emit)
        self.channels.changed.connect(
            lambda key, channels: self.rendition_chosen.emit(key, Rendition(channels=channels))
        )
        self.profile_box.clicked.connect(self._on_profile)
        self.tissue_button.clicked.connect(lambda: self.tissue_requested.emit())
        self.properties_button.clicked.connect(lambda: self.properties_requested.emit())
        self.names.currentRowChanged.connect(
            lambda place: self.instance_chosen.emit(place) if place >= 0 else None
        )

    def render(self, snapshot: SlideSnapshot) -> None:
        """Show a snapshot."""
        self.subject_box.render(snapshot.subjects)
        if snapshot.facts != self._shown_facts:
            self._shown_facts = snapshot.facts
            while self._facts.rowCount():
                self._facts.removeRow(0)
            for name, value in snapshot.facts:
                self._facts.addRow(name, elided(value))
        set_words(self._remarks, "\n".join(snapshot.remarks))
        self._render_names(snapshot)
        self.scale.render(snapshot)
        self._subject = snapshot.key
        self.channels.render(snapshot.key, snapshot.channels)
        self.profile_box.setVisible(snapshot.has_profile)
        self.profile_box.setChecked(snapshot.uses_profile)
        self.properties_button.setVisible(snapshot.has_scale)
        self._tissue.setVisible(snapshot.has_scale)
        words = "Looking for tissue…" if snapshot.detects_tissue else snapshot.tissue
        set_words(self.tissue_line, words)
        self.tissue_button.setEnabled(not snapshot.detects_tissue)

    def _on_profile(self, checked: bool) -> None:
        if self._subject is not None:
            self.rendition_chosen.emit(self._subject, Rendition(uses_profile=checked))

    def _render_names(self, snapshot: SlideSnapshot) -> None:
        if snapshot.names == self._shown_names:
            return
        self._shown_names = snapshot.names
        self.names.blockSignals(True)
        self.names.clear()
        self.names.addItems(snapshot.names)
        self.names.blockSignals(False)
        self.names.setVisible(bool(snapshot.names))
