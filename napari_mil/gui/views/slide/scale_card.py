"""The scale of a slide: where it comes from, and a field to correct it."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QDoubleSpinBox, QPushButton, QSizePolicy

from napari_mil.gui.model.scales import ScaleScope
from napari_mil.gui.model.snapshots.choices import Choices
from napari_mil.gui.model.snapshots.slide import SlideSnapshot
from napari_mil.gui.views.widgets import Card, ChoiceBox, column, row, secondary, set_words
from napari_mil.slides.resolution import LARGEST_MPP, SMALLEST_MPP, is_plausible


class ScaleCard(Card):
    """Shows µm per pixel of level 0, and tells another figure that a person enters."""

    mpp_entered = Signal(float, object)
    """(micrometres per pixel, the slides that it is for)."""
    own_scale_requested = Signal()
    """The file's own scale is wanted again."""

    def __init__(self) -> None:
        super().__init__()
        self.field = QDoubleSpinBox()
        self.field.setRange(0, LARGEST_MPP)
        self.field.setDecimals(4)
        self.field.setSingleStep(0.01)
        self.field.setSpecialValueText("unknown")
        self.field.setAccessibleName("micrometres per pixel of level 0")
        self.scope_box = ChoiceBox("slides that an entered scale is for")
        self.scope_box.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
        self.apply_button = QPushButton("Apply")
        self.own_button = QPushButton("Scale of the file")
        self.own_button.setToolTip("Forget the entered scale and take what the file says.")
        self.origin = secondary()
        self._scope = ScaleScope.FILE
        self._shown_mpp = -1.0
        self.setLayout(
            column(
                secondary("Scale of level 0, in µm per pixel"),
                row(self.field, self.scope_box, self.apply_button, stretched=0),
                self.origin,
                self.own_button,
                stretch=False,
            )
        )
        self.field.valueChanged.connect(lambda _: self._update_button())
        self.scope_box.chosen.connect(self._choose_scope)
        self.apply_button.clicked.connect(
            lambda: self.mpp_entered.emit(self.field.value(), self._scope)
        )
        self.own_button.clicked.connect(lambda: self.own_scale_requested.emit())

    def render(self, snapshot: SlideSnapshot) -> None:
        """Show the scale of a slide; hidden for everything else."""
        self.setVisible(snapshot.has_scale)
        offered = [choice.key for choice in snapshot.scopes if not choice.reason]
        if self._scope not in offered:
            self._scope = ScaleScope.FILE
        self.scope_box.render(Choices(snapshot.scopes, self._scope))
        mpp = snapshot.mpp or 0.0
        if mpp != self._shown_mpp:
            self._shown_mpp = mpp
            self.field.setValue(mpp)
        set_words(self.origin, snapshot.mpp_origin)
        self.own_button.setVisible(snapshot.is_entered)
        self._update_button()

    def _choose_scope(self, scope: ScaleScope) -> None:
        self._scope = scope
        self.scope_box.render(Choices(self.scope_box.choices.entries, scope))
        self._update_button()

    def _update_button(self) -> None:
        value = self.field.value()
        plausible = is_plausible(value)
        is_other = abs(value - self._shown_mpp) > 1e-9 or self._scope is ScaleScope.SCANNER
        self.apply_button.setEnabled(plausible and is_other)
        tip = f"Use this scale for {self._scope} from now on; tissue and answers stay."
        if not plausible:
            tip = f"A scale lies between {SMALLEST_MPP} and {LARGEST_MPP:g} µm per pixel."
        self.apply_button.setToolTip(tip)
