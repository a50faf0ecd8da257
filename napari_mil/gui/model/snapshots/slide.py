"""What the Slide tab shows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_mil.gui.model.scales import ScaleScope
from napari_mil.gui.model.session import SessionState
from napari_mil.gui.model.snapshots.choices import Choice, Choices
from napari_mil.gui.model.subjects import Subject, SubjectKind
from napari_mil.slides import Channel, Slide
from napari_mil.slides.rendition import Rendition, ShownChannel
from napari_mil.slides.resolution import ScaleSource

ORIGINS = {
    ScaleSource.OPENSLIDE: "From the file.",
    ScaleSource.VENDOR: "From the file.",
    ScaleSource.DICOM: "From the file.",
    ScaleSource.OME: "From the file's OME metadata.",
    ScaleSource.TIFF: "From the file's TIFF resolution tag.",
    ScaleSource.USER: "Entered by you, for this slide alone.",
    ScaleSource.CLASSIFIER: "Assumed by the classifier.",
}
CONTRAST_ROOM = 3.0
"""By how many times its width a range of contrast can be raised."""
MOST_NAMES = 200


@dataclass(frozen=True, slots=True)
class ChannelRow:
    """A channel, and what it can be shown as."""

    shown: ShownChannel
    limits: tuple[float, float]
    """Values that the contrast can run between."""

    @property
    def name(self) -> str:
        """Name of the channel."""
        return self.shown.channel.name

    @property
    def smallest_width(self) -> float:
        """Width that a range keeps, in values of the channel."""
        return (self.limits[1] - self.limits[0]) / 1000


@dataclass(frozen=True)
class SlideSnapshot:
    """What the Slide tab shows."""

    subjects: Choices
    """Everything that is open."""
    key: int | None = None
    """Key of the subject that is shown."""
    facts: tuple[tuple[str, str], ...] = ()
    """(name, value) pairs."""
    names: tuple[str, ...] = ()
    """Names of the images of a bag."""
    has_scale: bool = False
    """Whether it is a slide, whose scale can be entered."""
    mpp: float | None = None
    mpp_origin: str = ""
    """Where the scale comes from, or what to do without one."""
    channels: tuple[ChannelRow, ...] = ()
    """Channels of a fluorescence slide."""
    has_profile: bool = False
    """Whether the file has a colour profile that can be used."""
    uses_profile: bool = False
    scopes: tuple[Choice, ...] = ()
    """Slides that an entered scale can be for."""
    is_entered: bool = False
    """Whether a person entered the scale, and can go back to that of the file."""
    tissue: str = ""
    """What is known about tissue."""
    detects_tissue: bool = False
    """Whether tissue is being detected."""
    remarks: tuple[str, ...] = ()


def slide_snapshot(state: SessionState) -> SlideSnapshot:
    """Return what the Slide tab shows."""
    subjects = subject_choices(state)
    subject = state.current_subject
    if subject is None:
        return SlideSnapshot(subjects)
    is_slide = subject.kind is SubjectKind.SLIDE
    slide = subject.slide
    images = subject.images
    return SlideSnapshot(
        subjects=subjects,
        key=subject.key,
        facts=subject_facts(subject),
        names=() if images is None else images.names[:MOST_NAMES],
        has_scale=is_slide,
        mpp=None if slide is None else slide.mpp,
        mpp_origin="" if slide is None else scale_origin(slide, subject.entered),
        channels=() if slide is None else channel_rows(slide, subject.rendition),
        has_profile=slide is not None and slide.has_profile,
        uses_profile=subject.rendition is not None and subject.rendition.uses_profile,
        scopes=() if slide is None else scale_scopes(slide),
        is_entered=slide is not None and slide.scale.source is ScaleSource.USER,
        tissue=_tissue_words(subject) if is_slide else "",
        detects_tissue=state.detecting == subject.key,
        remarks=subject.remarks,
    )


def subject_choices(state: SessionState) -> Choices:
    """Return the open subjects as entries of a box."""
    entries = tuple(Choice(subject.key, subject.name) for subject in state.subjects)
    return Choices(entries, state.current)


def subject_facts(subject: Subject) -> tuple[tuple[str, str], ...]:
    """Return what is said about a subject, as (name, value) pairs."""
    if subject.kind is SubjectKind.IMAGES and subject.images is not None:
        folder = subject.images.folder
        return (("Folder", folder.name), ("Images", str(len(subject.images))))
    if subject.kind is SubjectKind.FEATURES and subject.bag is not None:
        shape = " × ".join(map(str, subject.bag.features.shape[1:]))
        where = "no coordinates: arranged side by side"
        if subject.slide is not None:
            where = f"on {subject.slide.path.name}"
        elif subject.bag.coords is not None:
            where = "at their coordinates; the slide is not at hand"
        return (
            ("File", subject.path.name),
            ("Instances", f"{len(subject.bag)}, with {shape} values each"),
            ("Place", where),
        )
    assert subject.slide is not None
    return slide_facts(subject.slide)


def slide_facts(slide: Slide) -> tuple[tuple[str, str], ...]:
    """Return what is said about a slide, as (name, value) pairs."""
    width, height = slide.dimensions
    levels = f"{slide.level_count} stored"
    if slide.level_count > 1:
        downsamples = ", ".join(f"{value:.4g}" for value in slide.level_downsamples[1:])
        levels += f" (1 : {downsamples})"
    tile = slide.tile_sizes[0]
    facts = [
        ("Name", slide.path.name),
        ("Size", f"{width} × {height} px"),
        ("Levels", levels),
        ("File tiles", "none" if tile is None else f"{tile[0]} × {tile[1]} px"),
        ("Format", slide.vendor),
    ]
    mpp = slide.scale.mpp_x
    if mpp is not None:
        height_mm = height * mpp * slide.scale.aspect / 1000
        facts.insert(2, ("", f"{width * mpp / 1000:.2f} × {height_mm:.2f} mm"))
    if slide.channels:
        facts.append(("Channels", ", ".join(channel.name for channel in slide.channels)))
    return tuple(facts)


def channel_rows(slide: Slide, rendition: Rendition | None) -> tuple[ChannelRow, ...]:
    """Return the channels of a slide as they are shown."""
    shown = () if rendition is None else rendition.channels
    if not shown:
        shown = tuple(ShownChannel(channel) for channel in slide.channels)
    return tuple(
        ChannelRow(each, _contrast_limits(channel))
        for each, channel in zip(shown, slide.channels, strict=True)
    )


def _contrast_limits(channel: Channel) -> tuple[float, float]:
    """Return what the contrast of a channel can run between: what its type holds bounds it."""
    low, high = channel.range
    top = high + (high - low) * CONTRAST_ROOM
    dtype = np.dtype(channel.dtype)
    if np.issubdtype(dtype, np.integer):
        return min(0.0, low), min(float(np.iinfo(dtype).max), top)
    return min(0.0, low), top


def scale_scopes(slide: Slide) -> tuple[Choice, ...]:
    """Return what an entered scale of a slide can be for."""
    reason = "" if slide.scanner else "The file does not name its scanner."
    return (
        Choice(ScaleScope.FILE, "this file"),
        Choice(ScaleScope.SCANNER, "this scanner", reason),
    )


def scale_origin(slide: Slide, entered: ScaleScope | None = None) -> str:
    """Return where the scale comes from, or what to do without one."""
    scale = slide.scale
    if entered is ScaleScope.FILE:
        return "Entered by you for this file, and remembered."
    if entered is ScaleScope.SCANNER:
        return f"Entered by you for slides of the scanner {slide.scanner}, and remembered."
    if scale.mpp is not None:
        origin = ORIGINS[scale.source]
        if scale.aspect != 1 and scale.xy is not None:
            x, y = scale.xy
            return f"{origin} Pixels are {x:.4g} × {y:.4g} µm; this is their mean."
        return origin
    if scale.implausible is not None:
        return (
            f"The file's figure is not plausible ({scale.implausible:.4g} µm per pixel); "
            "enter the right one to classify at a scale."
        )
    return "The file does not say; enter µm per pixel to classify at a scale."


def _tissue_words(subject: Subject) -> str:
    if subject.tissue is None:
        return ""
    mask = subject.tissue.mask
    if not mask.mask.any():
        return "No tissue found; paint it in the layer."
    how = "painted" if subject.tissue.painted else "outlined"
    words = f"{mask.fraction:.0%} of the slide, {how}; paint and erase in its layer."
    return " ".join([words, *(finding.text for finding in mask.findings)])
