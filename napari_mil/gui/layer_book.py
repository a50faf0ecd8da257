"""The only writer of the viewer's layers: brings them in line with the scene."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from napari.layers import Image, Layer
from psygnal import Signal
from qtpy.QtCore import QObject, QTimer

from napari_mil.gui.camera import SubjectCamera
from napari_mil.gui.keys import CANVAS_KEYS
from napari_mil.gui.layer_making import FADING, fading_colormap, make_layer, must_be_remade
from napari_mil.gui.model.display import Look, Role
from napari_mil.gui.model.layer_specs import UNDERLAY, LayerSpec, LayerType, Legend, Scene
from napari_mil.gui.reader import SLIDE_KEY

BETWEEN_LAYERS_MS = 20
"""A new layer holds up the event loop for 0.1 s: not several in one go."""
THUMBNAILS_AFTER_MS = 400
"""Thumbnails of the layer list wait until values stop changing."""
TURN_S = 0.03
"""Time after which a turn of the event loop leaves the rest to the next one."""
STROKE_MS = 100
"""Pause after which what was painted is taken."""
FONT_SIZE = 12
CHARACTER_PX = 11.5
"""Width of a character of the title, in pixels of the canvas."""
MOUSE_SLOP_PX = 4
"""Movement between press and release that is still a click."""

COME_BACK = ("tissue", "annotations", "overlay", "curtain", "groups", "marks", "selection")
"""Keys of layers that are hidden, not removed, while the scene has none of them."""

NEVER_ACTIVE = (Role.SELECTION, Role.MARKS, Role.ANNOTATIONS, Role.CURTAIN, Role.UNDERLAY)
"""Roles of layers that do not become active when they are added."""

Key = tuple[str, ...]


class LayerBook:
    """Layers of one viewer by the keys of a scene."""

    look_changed = Signal(Role, Look)
    """A person changed a layer of a role by hand."""
    subject_closed = Signal(str)
    """A person removed the layer of a subject (its key)."""
    subject_shown = Signal(str)
    """A person made the hidden layer of a subject visible (its key)."""
    subject_renamed = Signal(str, str)
    """A person renamed the layer of a subject (key, name)."""
    layer_removed = Signal(LayerSpec)
    """A person removed another layer of the scene."""
    tissue_painted = Signal(np.ndarray)
    """A person painted on the tissue: bool (h, w)."""
    slide_layer_added = Signal(object)
    """Another reader of the viewer added the layer of a slide."""
    put_away = Signal(list)
    """Layers that are kept out of sight, after every change."""
    redrawn = Signal()
    """Pixels of a subject changed in their array."""
    clicked = Signal(tuple)
    """A person clicked at a position (…, y, x) of the canvas."""
    added = Signal(tuple)
    """A person clicked at a position with Shift held: what is there joins the selection."""
    boxed = Signal(tuple, tuple)
    """A person drags a box with Shift held: from a position to the one where the mouse is."""

    def __init__(
        self, viewer: Any, hover: Callable[[tuple[float, ...]], str], parent: QObject
    ) -> None:
        self._viewer = viewer
        self.camera = SubjectCamera(viewer)
        """The viewer's camera, which moves with the subject that is shown."""
        self._hover = hover
        self._layers: dict[Key, Layer] = {}
        self._specs: dict[Key, LayerSpec] = {}
        self._scene = Scene()
        self._applying = False
        self._painted: np.ndarray | None = None
        self._touched: Layer | None = None
        self._units: tuple[str, str] | None = None
        self._began = 0.0
        self._stopped = False
        self._background: str | None = None
        self._acts: Mapping[str, Callable[[], None]] = {}
        self._removed: list[tuple[Key, LayerSpec | None]] = []
        self._next = _single_shot(parent, BETWEEN_LAYERS_MS, self._step)
        self._after_removal = _single_shot(parent, 0, self._tell_removed)
        self._after_stroke = _single_shot(parent, STROKE_MS, self._tell_painted)
        self._thumbnails = _single_shot(parent, THUMBNAILS_AFTER_MS, self._renew_thumbnails)
        events = viewer.layers.events
        events.inserted.connect(self._on_inserted)
        events.removed.connect(self._on_removed)
        viewer.events.reset_view.connect(self._on_reset_view)
        viewer.mouse_drag_callbacks.append(self._on_press)

    def stop(self) -> None:
        """Forget what was to be done later: the window closes, and its layers go with it."""
        self._stopped = True
        self._next.stop()
        self._thumbnails.stop()
        self._after_removal.stop()
        self._after_stroke.stop()

    def disconnect(self) -> None:
        """Stop listening to the viewer and writing to it."""
        self.stop()
        events = self._viewer.layers.events
        events.inserted.disconnect(self._on_inserted)
        events.removed.disconnect(self._on_removed)
        self._viewer.events.reset_view.disconnect(self._on_reset_view)
        self.camera.disconnect()
        if self._on_press in self._viewer.mouse_drag_callbacks:
            self._viewer.mouse_drag_callbacks.remove(self._on_press)

    @property
    def busy(self) -> bool:
        """Whether layers are still to be added, or removed ones to be told."""
        timers = (self._next, self._after_removal, self._after_stroke)
        return any(timer.isActive() for timer in timers)

    @property
    def viewer(self) -> Any:
        """The napari viewer."""
        return self._viewer

    def layer(self, *key: str) -> Layer | None:
        """Return the layer of a key of the scene, if it is there."""
        return self._layers.get(key)

    def slide_layers(self) -> list[Layer]:
        """Return the layers of slides that are not in the scene."""
        known = set(map(id, self._layers.values()))
        return [
            layer
            for layer in self._viewer.layers
            if SLIDE_KEY in layer.metadata and id(layer) not in known
        ]

    def adopt(self, key: Key, layer: Layer) -> None:
        """Take a layer that is there for one of the scene."""
        self._layers[key] = layer
        self._listen(key, layer)

    def set_acts(self, acts: Mapping[str, Callable[[], None]]) -> None:
        """Say what the keys of the canvas do, by name."""
        self._acts = acts

    def chosen_shapes(self) -> Layer | None:
        """Return the shapes layer that is chosen, or the only one."""
        shapes = [layer for layer in self._viewer.layers if type(layer).__name__ == "Shapes"]
        active = self._viewer.layers.selection.active
        if active in shapes:
            return active
        return shapes[0] if len(shapes) == 1 else None

    def reconcile(self, scene: Scene) -> None:
        """Bring the layers in line with a scene; new ones follow one at a time."""
        self._scene = scene
        self._stopped = False
        if scene.subject != self.camera.subject:
            # No title of one subject over the layers of another.
            self._viewer.canvas.overlays.text.visible = False
        self._step()

    def _step(self) -> None:
        self._next.stop()
        self._applying = True
        self._began = time.monotonic()
        try:
            if self._change_something():
                self._next.start()
            else:
                self._order()
                self._dress_canvas()
            self.put_away.emit(self._put_away_layers())
        finally:
            self._applying = False

    def _change_something(self) -> bool:
        """Do what fits into one turn of the event loop; say whether more is left."""
        if self._remove_superfluous() and self._is_late:
            return True
        self._unify_units()
        # Before a new layer reads what the camera sees.
        self._move_camera()
        return self._update() or self._add_missing()

    @property
    def _is_late(self) -> bool:
        """Whether this turn of the event loop has done enough."""
        return time.monotonic() - self._began > TURN_S

    def _unify_units(self) -> None:
        """Give every layer the units of the scene: several are drawn without any."""
        units = self._scene.units
        if units is None or units == self._units:
            return
        self._units = units
        for layer in self._viewer.layers:
            if layer.ndim == 2 or layer in self._layers.values():
                layer.units = units

    def _remove_superfluous(self) -> bool:
        """Remove layers that the scene has not; those that come back soon are hidden instead.

        A layer costs 0.1 s to make; and freeing one that was just drawn while others are redrawn
        brings software drawing down.
        """
        wanted = {spec.key for spec in self._scene.layers}
        superfluous = [key for key in self._layers if key not in wanted]
        changed = False
        for key in superfluous:
            layer = self._layers[key]
            if key[0] in COME_BACK:
                changed |= self._put_away(key, layer)
                continue
            del self._layers[key]
            self._specs.pop(key, None)
            if layer in self._viewer.layers:
                self._viewer.layers.remove(layer)
                changed = True
        return changed

    def _put_away(self, key: Key, layer: Layer) -> bool:
        """Hide a layer until the scene has it again; say whether it was seen."""
        was_there = self._specs.pop(key, None) is not None
        if isinstance(layer, Image) and layer.colorbar.visible:
            layer.colorbar.visible = False
        if layer.visible:
            layer.visible = False
        return was_there

    def _put_away_layers(self) -> list[Layer]:
        """Return the layers that nobody is to see in a list.

        They are kept though the scene has none of their key, or belong to the one above.
        """
        return [
            layer
            for key, layer in self._layers.items()
            if key not in self._specs or key[0] == UNDERLAY
        ]

    def _update(self) -> bool:
        """Bring layers that are there in line; say whether some are left for the next turn."""
        for spec in self._wanted():
            layer = self._layers.get(spec.key)
            before = self._specs.get(spec.key)
            if layer is None or before is spec:
                continue
            if self._is_late:
                return True
            if before is not None and must_be_remade(before, spec):
                del self._layers[spec.key]
                self._viewer.layers.remove(layer)
                continue
            self._update_layer(layer, before, spec)
            self._specs[spec.key] = spec
            if before is None and spec.role in (Role.OVERLAY, Role.GROUPS):
                # It came back, as if it were new.
                self._viewer.layers.selection.active = layer
        return False

    def _add_missing(self) -> bool:
        """Add the first layer that is missing; say whether there was one."""
        # What is under a subject can wait for it.
        for spec in sorted(self._wanted(), key=lambda spec: spec.role is Role.UNDERLAY):
            is_seen = spec.visible or spec.role is Role.SUBJECT
            if is_seen and spec.key not in self._layers:
                if not self._is_late:
                    self._add(spec)
                return True
        return False

    def _wanted(self) -> list[LayerSpec]:
        """Return the layers of the scene but for those that a person just removed."""
        removed = {key for key, _ in self._removed}
        return [spec for spec in self._scene.layers if spec.key not in removed]

    def _add(self, spec: LayerSpec) -> None:
        active = self._viewer.layers.selection.active
        is_first = not self._viewer.layers
        layer = make_layer(spec)
        self._layers[spec.key] = layer
        self._specs[spec.key] = spec
        self._viewer.layers.append(layer)
        if is_first:
            # napari fits its first layer as a whole.
            self.camera.fit()
        self._listen(spec.key, layer)
        if spec.role in NEVER_ACTIVE and active is not None:
            # The status bar goes on to speak of what was chosen.
            self._viewer.layers.selection.active = active

    def _update_layer(self, layer: Layer, before: LayerSpec | None, spec: LayerSpec) -> None:
        if before is None or before.data is not spec.data:
            self._update_data(layer, before, spec)
        if layer.name != spec.name:
            layer.name = spec.name
        if tuple(layer.scale) != spec.affine.scale and spec.type is not LayerType.SQUARES:
            layer.scale = spec.affine.scale
        if tuple(layer.translate) != spec.affine.translate:
            layer.translate = spec.affine.translate
        if layer.visible != spec.visible:
            layer.visible = spec.visible
        if layer.opacity != spec.opacity:
            layer.opacity = spec.opacity
        if spec.type is LayerType.VALUES:
            if before is None or before.limits != spec.limits:
                layer.contrast_limits_range = spec.limits
                layer.contrast_limits = spec.limits
            if before is None or before.colormap != spec.colormap:
                layer.colormap = fading_colormap(spec.colormap)
        if spec.type is LayerType.SQUARES and (before is None or before.size != spec.size):
            layer.size = spec.size
        if spec.role is Role.CURTAIN and (before is None or before.size != spec.size):
            layer.edge_width = spec.size

    def _update_data(self, layer: Layer, before: LayerSpec | None, spec: LayerSpec) -> None:
        if spec.type is LayerType.IMAGE:
            if before is not None:
                layer.data = spec.data
            return
        if spec.type is LayerType.MASK:
            if spec.data is not self._painted:
                layer.data = spec.data.astype(np.uint8)
            return
        if spec.type in (LayerType.VALUES, LayerType.GROUPS):
            if layer.data.shape == spec.data.shape:
                # Nothing but the pixels is redone.
                layer.data[...] = spec.data
                layer.refresh(thumbnail=False, highlight=False, extent=False)
                self._thumbnails.start()
                return
            layer.data = spec.data.copy()
            return
        layer.data = spec.data

    def _order(self) -> None:
        """Sort the layers of the scene among the places they have."""
        layers = self._viewer.layers
        wanted = [self._layers[spec.key] for spec in self._scene.layers if spec.key in self._layers]
        places = sorted(layers.index(layer) for layer in wanted)
        for place, layer in zip(places, wanted, strict=True):
            at = layers.index(layer)
            if at != place:
                layers.move(at, place)

    def _dress_canvas(self) -> None:
        canvas = self._viewer.canvas
        if self._background != self._scene.background:
            self._background = self._scene.background
            canvas.background_color_override = self._background
        bar = canvas.overlays.scale_bar
        if bar.visible != self._scene.has_scale_bar:
            bar.box = True
            bar.visible = self._scene.has_scale_bar
        self._show_legend(self._scene.legend)

    def _show_legend(self, legend: Legend | None) -> None:
        overlay = self._layers.get(("overlay",))
        if isinstance(overlay, Image):
            shows_bar = legend is not None and legend.has_bar
            if overlay.colorbar.visible != shows_bar:
                overlay.colorbar.box = True
                # The title stands at the top, the scale bar at the bottom right.
                overlay.colorbar.position = "bottom_left"
                overlay.colorbar.visible = shows_bar
        text = self._viewer.canvas.overlays.text
        words = "" if legend is None else self._elided(legend.text)
        if words and text.text != words:
            text.text = words
            text.position = "top_left"
            text.font_size = FONT_SIZE
            text.box = True
        if text.visible != bool(words):
            text.visible = bool(words)

    def _elided(self, text: str) -> str:
        _, width = self._viewer.canvas.size
        most = max(24, int(width / CHARACTER_PX))
        if len(text) <= most:
            return text
        return f"{text[: most // 2 - 1]}…{text[-most // 2 + 1 :]}"

    def _move_camera(self) -> None:
        """Look at the subject of the scene."""
        key = self._scene.subject
        shown = self._layers.get(("subject", str(key)))
        if self.camera.show(key) and shown is not None:
            # Controls and status bar speak of what is shown.
            self._viewer.layers.selection.active = shown

    def redraw(self, key: int, coarsest: np.ndarray) -> None:
        """Show a subject anew, with other pixels of its coarsest level: uint8 (h, w, 3)."""
        layer = self._layers.get(("subject", str(key)))
        if layer is None:
            return
        held = layer.data[-1] if layer.multiscale else layer.data
        if isinstance(held, np.ndarray) and held.shape == coarsest.shape:
            held[...] = coarsest
        layer.refresh(highlight=False, extent=False)
        below = self._layers.get((UNDERLAY, str(key)))
        if below is not None:
            below.refresh(highlight=False, extent=False)
        self.redrawn.emit()

    def _renew_thumbnails(self) -> None:
        for key in (("overlay",), ("groups",)):
            layer = self._layers.get(key)
            if layer is not None and layer.visible:
                layer.refresh(thumbnail=True, highlight=False, extent=False)

    def _listen(self, key: Key, layer: Layer) -> None:
        """Hear what a person does to a layer, and let the status bar speak of instances."""
        if key[0] == UNDERLAY:
            return
        events = layer.events
        events.visible.connect(lambda _: self._on_look(key, Look(visible=layer.visible)))
        events.opacity.connect(lambda _: self._on_look(key, Look(opacity=layer.opacity)))
        if key[0] == "subject":
            events.name.connect(lambda _: self._on_name(key, layer.name))
        if key[0] == "overlay":
            events.colormap.connect(lambda _: self._on_colormap(layer))
        if key[0] == "tissue":
            # Painting, filling and undoing; the first two are told before they are done.
            for event in (events.paint, events.labels_update):
                event.connect(lambda _: self._on_paint(layer))
            events.data.connect(lambda _: self._on_paint(layer))
        if key[0] in ("overlay", "groups", "marks"):
            self._describe(layer)
        if key[0] in ("overlay", "groups", "marks", "subject", "selection"):
            self._bind_keys(layer)

    def _bind_keys(self, layer: Layer) -> None:
        """Let arrow keys walk through the instances while a layer of the scene is active."""
        for key in CANVAS_KEYS:
            layer.bind_key(key.keys, lambda _, name=key.name: self._acts[name](), overwrite=True)

    def _describe(self, layer: Layer) -> None:
        """Let the status bar say what lies under the mouse; asked by napari's status thread."""
        plain = layer.get_status

        def get_status(
            position: tuple[float, ...] | None = None, **arguments: Any
        ) -> dict[str, str]:
            status: dict[str, str] = plain(position, **arguments)
            if position is not None and arguments.get("world"):
                status["value"] = self._hover(tuple(position))
                status["coordinates"] = ": ".join((status["coords"], status["value"]))
            return status

        layer.get_status = get_status

    def _on_look(self, key: Key, look: Look) -> None:
        spec = self._specs.get(key)
        if self._applying or spec is None:
            return
        if spec.role is Role.SUBJECT and look.visible is not None:
            # Brought in line with the next scene: one subject is seen at a time.
            self._specs[key] = replace(spec, visible=look.visible)
            if look.visible and self._scene.subject != int(key[1]):
                self.subject_shown.emit(key[1])
            return
        self.look_changed.emit(spec.role, look)

    def _on_reset_view(self, event: Any) -> None:
        """Fit the shown subject: napari fits hidden layers too, those of other subjects."""
        if not self._applying:
            self.camera.fit()

    def _on_colormap(self, layer: Layer) -> None:
        name = str(layer.colormap.name)
        if not self._applying and not name.endswith(FADING):
            self.look_changed.emit(Role.OVERLAY, Look(colormap=name))

    def _on_name(self, key: Key, name: str) -> None:
        if not self._applying:
            self.subject_renamed.emit(key[1], name)

    def _on_paint(self, layer: Layer) -> None:
        if not self._applying:
            self._touched = layer
            self._after_stroke.start()

    def _tell_painted(self) -> None:
        """Tell the mask that was painted on, unless it is what the scene has."""
        layer = self._touched
        spec = self._specs.get(("tissue",))
        if layer is None or spec is None:
            return
        painted = np.asarray(layer.data) > 0
        if not np.array_equal(painted, spec.data):
            self._painted = painted
            self.tissue_painted.emit(painted)

    def _on_inserted(self, event: Any) -> None:
        layer = event.value
        if self._applying:
            return
        if SLIDE_KEY in layer.metadata:
            self.slide_layer_added.emit(layer)
        elif self._scene.units is not None and layer.ndim == 2:
            layer.units = self._scene.units

    def _on_removed(self, event: Any) -> None:
        """Note what a person removed; it is told in the next turn of the event loop.

        A viewer that closes removes every layer too, and is gone by then.
        """
        if self._applying or self._stopped:
            return
        layer = event.value
        key = next((key for key, known in self._layers.items() if known is layer), None)
        if key is not None:
            del self._layers[key]
            self._removed.append((key, self._specs.pop(key, None)))
            self._after_removal.start()

    def _tell_removed(self) -> None:
        removed = self._removed
        self._removed = []
        for key, spec in removed:
            if key[0] == "subject":
                self.subject_closed.emit(key[1])
            elif spec is not None and spec.role is not Role.UNDERLAY:
                self.layer_removed.emit(spec)

    def _on_press(self, viewer: Any, event: Any) -> Generator[None, None, None]:
        """Tell a click, or a box dragged with Shift, but no drag or stroke of another tool."""
        active = viewer.layers.selection.active
        if event.button != 1 or (active is not None and str(active.mode) != "pan_zoom"):
            return
        pressed = np.asarray(event.pos)
        position = tuple(event.position)
        # napari moves the view with the plain mouse alone.
        joins = "Shift" in event.modifiers
        yield
        while event.type == "mouse_move":
            if joins:
                self.boxed.emit(position, tuple(event.position))
            yield
        if np.abs(np.asarray(event.pos) - pressed).max() <= MOUSE_SLOP_PX:
            (self.added if joins else self.clicked).emit(position)


def _single_shot(parent: QObject, after_ms: int, call: Callable[[], None]) -> QTimer:
    """Return a timer that ends with its parent: nothing is told to views that are gone."""
    timer = QTimer(parent)
    timer.setSingleShot(True)
    timer.setInterval(after_ms)
    timer.timeout.connect(call)
    return timer
