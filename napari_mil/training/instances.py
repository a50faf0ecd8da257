"""Encoder and tiles of a cohort."""

from __future__ import annotations

from dataclasses import dataclass, replace

from napari_mil.encoders import Encoder, create_encoder
from napari_mil.encoders.cards import DEFAULT_ENCODER
from napari_mil.encoders.catalogue import find_encoder_card
from napari_mil.errors import OptionError
from napari_mil.events import Fallback, OnEvent
from napari_mil.inference import card as cards
from napari_mil.inference.card import ClassifierCard
from napari_mil.inference.classifier import Classifier
from napari_mil.inference.devices import choose_device
from napari_mil.networks.cards import BACKBONES
from napari_mil.training.cohorts.cohort import FEATURES, SLIDES, Cohort
from napari_mil.training.config import TrainingConfig
from napari_mil.training.tile_size import FEWEST_TILES, SMALLEST_DEFAULT_TILE, fitting_tile_px

DEFAULT_MPP = 0.5
"""Micrometres per pixel of tiles for a trained network."""


@dataclass(frozen=True)
class Instances:
    """Kind of a cohort's instances, and how they are made."""

    kind: str
    """``tiles``, ``images`` or ``features``."""
    encoder: str | None
    """Name of the encoder or network; None for bare features."""
    fingerprint: str = ""
    """Fingerprint of a frozen encoder."""
    tile_px: int | None = None
    """Side of a tile or image in pixels."""
    mpp: float | None = None
    """Micrometres per pixel of a tile."""
    mpp_assumed: bool = False
    """Whether the scale of a slide was assumed."""
    overlap: float = 0.0
    """Share of a tile that its neighbour repeats."""
    trained: bool = False
    """Whether the encoder is trained; instances are images then."""
    adapted_from: str = ""
    """Embedded encoder that the frozen one was adapted from, or an empty string."""

    @property
    def words(self) -> str:
        """What an instance is, in words."""
        words = self.kind
        if self.tile_px is not None:
            words += f" of {self.tile_px} px"
        if self.mpp is not None:
            words += f" at {self.mpp:g} µm per pixel"
        if self.encoder is not None:
            words += f", {'trained' if self.trained else 'seen'} through {self.encoder}"
        return words


def choose_instances(
    cohort: Cohort, config: TrainingConfig, start: Classifier | None, on_event: OnEvent
) -> tuple[Instances, Encoder | None]:
    """Decide what an instance of a cohort is.

    Parameters
    ----------
    cohort
        Bags of one kind.
    config
        Encoder, tile size and scale, where they are wanted.
    start
        Classifier to start from, whose encoder and tiling are used.
    on_event
        Called with a `Fallback` where the default tile size does not fit.

    Returns
    -------
    instances : Instances
    encoder : Encoder or None
        The frozen encoder; None for features, and for a network that is trained.

    Raises
    ------
    OptionError
        If the configuration contradicts the cohort or the start.
    """
    if cohort.kinds[0] == FEATURES:
        return _from_features(cohort, config, start), None
    card = None if start is None else start.card
    if card is not None:
        _check_start(cohort, config, card)
    name = config.encoder or DEFAULT_ENCODER
    if card is not None and card.encoder is not None:
        name = card.encoder.name
    if card is not None and config.encoder is not None and name != _name_of(config.encoder):
        raise OptionError(
            f"The classifier {card.name} was trained on the encoder {name}, not {config.encoder}; "
            "leave the encoder out, or start fresh."
        )
    if name in BACKBONES:
        return _of_trained_network(name, cohort, config, card, on_event), None
    device = choose_device(config.device, on_event)
    if start is not None:
        encoder = start.create_encoder(device, config.threads)
    else:
        encoder = create_encoder(name, device=device, threads=config.threads)
    return _of_frozen_encoder(encoder, cohort, config, card, on_event), encoder


def _name_of(encoder: str) -> str:
    """Return the name of an encoder that may be given by its folder."""
    return encoder if encoder in BACKBONES else find_encoder_card(encoder).name


def _from_features(cohort: Cohort, config: TrainingConfig, start: Classifier | None) -> Instances:
    """Return the instances of files whose features were extracted already."""
    if config.encoder is not None:
        raise OptionError(
            f"The bags of {cohort.root.name} are features already; "
            f"leave out the encoder {config.encoder}."
        )
    if start is None or start.card.instances == cards.FEATURES:
        return Instances(cards.FEATURES, None)
    card = start.card
    if card.encoder is None or start.backbone is not None:
        return Instances(cards.FEATURES, None)
    # Features of the encoder whose classifier goes on learning.
    return Instances(
        card.instances,
        card.encoder.name,
        card.encoder.fingerprint,
        card.tile_px,
        card.mpp,
        card.mpp_assumed,
        card.overlap,
        adapted_from=card.encoder.adapted_from,
    )


def _check_start(cohort: Cohort, config: TrainingConfig, card: ClassifierCard) -> None:
    """Refuse a start that takes other bags, tiles or scales."""
    bags = cohort.kinds[0]
    if card.instances != _kind_of_instances(cohort):
        raise OptionError(
            f"The classifier {card.name} takes {card.takes}, not {bags}; "
            "start from another one, or fresh."
        )
    if config.tile_px not in (None, card.tile_px) or config.mpp not in (None, card.mpp):
        raise OptionError(
            f"The classifier {card.name} takes {card.takes}; "
            "leave tile size and scale out, or start fresh."
        )


def _of_trained_network(
    name: str,
    cohort: Cohort,
    config: TrainingConfig,
    card: ClassifierCard | None,
    on_event: OnEvent,
) -> Instances:
    """Return the images or tiles that a trained network takes."""
    if card is not None:
        px = card.tile_px
        mpp = card.mpp
        overlap = card.overlap
    else:
        px = config.tile_px or BACKBONES[name].tile_px
        mpp = None
        overlap = config.overlap
        if _is_tiled(cohort):
            mpp = config.mpp or DEFAULT_MPP
            if config.tile_px is None:
                px = _default_tile_px(cohort, config, px, mpp, SMALLEST_DEFAULT_TILE, on_event)
    return Instances(
        _kind_of_instances(cohort),
        name,
        tile_px=px,
        mpp=mpp,
        mpp_assumed=_is_scale_assumed(config, card),
        overlap=overlap,
        trained=True,
    )


def _of_frozen_encoder(
    encoder: Encoder,
    cohort: Cohort,
    config: TrainingConfig,
    card: ClassifierCard | None,
    on_event: OnEvent,
) -> Instances:
    """Return the features that a frozen encoder makes of images or tiles."""
    made = Instances(
        _kind_of_instances(cohort),
        encoder.name,
        encoder.fingerprint,
        adapted_from=encoder.card.base,
    )
    if not _is_tiled(cohort):
        return made
    if card is not None:
        px = card.tile_px
        mpp = card.mpp
        overlap = card.overlap
    else:
        mpp = config.mpp or encoder.mpp
        overlap = config.overlap
        px = config.tile_px or _default_tile_px(
            cohort, config, encoder.tile_px, mpp, encoder.smallest_tile, on_event
        )
        if px < encoder.smallest_tile:
            raise OptionError(
                f"Tiles of {px} px are too small for the encoder {encoder.name}; "
                f"it needs {encoder.smallest_tile}."
            )
    return replace(
        made,
        tile_px=px,
        mpp=mpp,
        mpp_assumed=_is_scale_assumed(config, card),
        overlap=overlap,
    )


def _default_tile_px(
    cohort: Cohort, config: TrainingConfig, px: int, mpp: float, smallest: int, on_event: OnEvent
) -> int:
    """Return the largest tile of which the median slide holds enough."""
    paths = [bag.path for bag in cohort.bags]
    fitting = fitting_tile_px(paths, px, mpp, smallest, config.slide_mpp)
    if fitting != px:
        on_event(
            Fallback(
                f"Tiles of {fitting} px instead of {px}: "
                f"of those the median slide has fewer than {FEWEST_TILES}."
            )
        )
    return fitting


def _is_tiled(cohort: Cohort) -> bool:
    return cohort.kinds[0] == SLIDES


def _kind_of_instances(cohort: Cohort) -> str:
    return cards.TILES if _is_tiled(cohort) else cards.IMAGES


def _is_scale_assumed(config: TrainingConfig, card: ClassifierCard | None) -> bool:
    return config.slide_mpp is not None or (card is not None and card.mpp_assumed)
