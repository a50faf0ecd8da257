"""One pretraining, from slides to an adapted encoder.

Its state is safe on disk after every epoch.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from napari_mil.encoders.adapted import AdaptedEncoder, write_encoder
from napari_mil.encoders.adapted_cards import (
    BASES,
    AdaptationFacts,
    AdaptedEncoderCard,
    ProbeFigure,
    read_adapted_card,
)
from napari_mil.encoders.efficientnet_lite import EfficientNetLite0Encoder, released_trunk
from napari_mil.encoders.encoder import Encoder
from napari_mil.errors import OutputError, TrainingError
from napari_mil.events import (
    CancellationToken,
    EpochEnded,
    Fallback,
    Finished,
    OnEvent,
    Started,
    ignore,
)
from napari_mil.inference.devices import choose_device
from napari_mil.inference.embedding import Progress
from napari_mil.networks.efficientnet_lite import EfficientNetLite0Trunk
from napari_mil.settings import Settings
from napari_mil.training.cohorts.cohort import Cohort
from napari_mil.training.determinism import deterministic
from napari_mil.training.fitting import Row
from napari_mil.training.pretraining.config import PretrainingConfig
from napari_mil.training.pretraining.fitting import FIRST_TRAINED, Adaptation
from napari_mil.training.pretraining.layout import is_pretrained
from napari_mil.training.pretraining.probes import Vectors, probe
from napari_mil.training.pretraining.run_folder import PretrainingFolder
from napari_mil.training.pretraining.sources import with_pixels
from napari_mil.training.pretraining.tiles import TileDrawer, Tiles, default_tile_px

METHOD = f"contrastive (NT-Xent, Chen et al. 2020), blocks {FIRST_TRAINED} to 10"
ENCODED_AT_ONCE = 32
"""Tiles that are encoded between two looks at the token."""
NOT_PROBED = "Too little could be held out to tell whether adapting helped; give more slides."


@dataclass(frozen=True)
class PretrainingResult:
    """Files and figures of a finished pretraining."""

    folder: Path
    encoder: Path
    """Folder of the encoder."""
    probes: tuple[ProbeFigure, ...]
    """What the probes say, the deciding one first; none where too little was held out."""
    held_out: str
    """What they were made on, in words."""
    base: str
    """Embedded encoder that was adapted."""
    history: tuple[Row, ...] = ()
    """One row per epoch; empty where the run had finished before."""
    already_done: bool = False


def pretrain(
    cohort: Cohort,
    config: PretrainingConfig,
    *,
    out: str | os.PathLike[str],
    on_event: OnEvent | None = None,
    cancel: CancellationToken | None = None,
    resume: bool = False,
    settings: Settings | None = None,
) -> PretrainingResult:
    """Adapt an embedded encoder to slides, without labels.

    Parameters
    ----------
    cohort
        Slides and folders of images, as `find_sources` or `scan_annotated_folder` return them;
        labels serve the probe alone.
    config
        How to adapt.
    out
        Folder of the run: ``pretraining.json``, ``history.csv``, tiles and ``checkpoint.pt`` while
        it runs, ``encoder/`` when it is done.
    on_event
        Called with the progress: slides, tiles, then `EpochEnded` after each epoch is safe on disk.
    cancel
        Token that is looked at once per step; cancelling keeps the last epoch's checkpoint.
    resume
        Go on with the run in `out`; start where there is none; do nothing where it has finished.
    settings
        Folders and thread counts.

    Raises
    ------
    TrainingError
        If there is too little to learn from, the slides changed since the run began, the loss is no
        number, or another run is at work in the folder.
    NapariMilError
        If no slide can be read.
    OutputError
        If the folder cannot be written; the last checkpoint is whole.
    """
    settings = settings or Settings()
    on_event = on_event or ignore
    folder = PretrainingFolder(Path(out))
    with folder.locked():
        if resume and is_pretrained(folder.path):
            return finished_result(folder.path)
        cohort = with_pixels(cohort)
        asked = set(config.model_fields_set)
        config = folder.begin(_filled(config, cohort, settings), asked, cohort, resume=resume)
        device = choose_device(config.device, on_event)
        run = _Run(
            folder=folder,
            cohort=cohort,
            config=config,
            settings=settings,
            on_event=on_event,
            cancel=cancel or CancellationToken(),
            device=device,
        )
        with deterministic(config, device):
            return run.pretrain()


def finished_result(folder: Path) -> PretrainingResult:
    """Return the result of a run that has finished before.

    Raises
    ------
    CheckpointError
        If its encoder is damaged.
    """
    encoder = PretrainingFolder(folder).encoder
    card = read_adapted_card(encoder)
    return PretrainingResult(
        folder, encoder, card.probes, card.training.held_out, card.base, already_done=True
    )


def _filled(config: PretrainingConfig, cohort: Cohort, settings: Settings) -> PretrainingConfig:
    """Fill in open fields from the slides and the machine; the run's file then says all of it."""
    base = BASES[config.encoder]
    fields: dict[str, Any] = {
        "sources": tuple(str(Path(source).expanduser().absolute()) for source in config.sources),
        "threads": config.threads or settings.encoder_threads,
        "tile_px": config.tile_px or default_tile_px(cohort, config),
        "mpp": config.mpp or base.mpp,
    }
    return config.model_copy(update=fields)


@dataclass
class _Run:
    """One pretraining in its folder."""

    folder: PretrainingFolder
    cohort: Cohort
    config: PretrainingConfig
    settings: Settings
    on_event: OnEvent
    cancel: CancellationToken
    device: torch.device

    def pretrain(self) -> PretrainingResult:
        """Draw tiles, learn epoch by epoch, probe, write the encoder."""
        drawer = TileDrawer(self.cohort, self.config, self.settings, self.on_event, self.cancel)
        tiles = drawer.draw(self.folder)
        adaptation = Adaptation(released_trunk(), tiles, self.config, self.device)
        self._load_checkpoint(adaptation)
        self._learn(adaptation)
        result = self._write_encoder(adaptation, tiles)
        self.on_event(Finished(result))
        return result

    def _load_checkpoint(self, adaptation: Adaptation) -> None:
        """Go on from the last checkpoint, where there is one."""
        state = self.folder.load()
        if state is None:
            return
        try:
            adaptation.load(state["fitting"])
        except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
            raise TrainingError(
                f"The checkpoint of {self.folder.path.name} does not fit its configuration "
                f"({type(error).__name__}); choose another folder."
            ) from error
        self.folder.write_history(adaptation.history)

    def _learn(self, adaptation: Adaptation) -> None:
        """Learn until all epochs are over, with a checkpoint after each."""
        self.on_event(Started(self.config.epochs, "epochs"))
        for row in adaptation.history:
            self.on_event(EpochEnded(int(row["epoch"] or 0), row))
        while not adaptation.finished:
            self.cancel.raise_if_cancelled()
            row = adaptation.advance(self.cancel)
            if not np.isfinite(row["loss"] or 0.0):
                raise TrainingError(
                    f"The loss of {self.folder.path.name} is no number any more; "
                    "take a smaller learning rate in another folder."
                )
            self.folder.save({"fitting": adaptation.state()})
            self.on_event(EpochEnded(adaptation.epoch, row))

    def _write_encoder(self, adaptation: Adaptation, tiles: Tiles) -> PretrainingResult:
        """Probe the adapted network and write it as an encoder."""
        trunk = adaptation.trunk
        before = self._vectors(self._encoder(released_trunk()), tiles)
        adapted = self._encoder(trunk)
        figures = probe(self.cohort, tiles, before, self._vectors(adapted, tiles))
        if not figures:
            self.on_event(Fallback(NOT_PROBED))
        assert self.config.tile_px is not None
        assert self.config.mpp is not None
        card = AdaptedEncoderCard(
            name=self.folder.path.name,
            base=self.config.encoder,
            fingerprint=adapted.fingerprint,
            tile_px=self.config.tile_px,
            mpp=self.config.mpp,
            training=AdaptationFacts(
                method=METHOD,
                slides=len(np.unique(tiles.bag[tiles.learned])),
                held_out=tiles.held_out,
                tiles=len(tiles.learned),
                epochs=adaptation.epoch,
                content=self.cohort.fingerprint,
                settings=self.config.settings(),
                torch=torch.__version__,
            ),
            probes=figures,
        )
        try:
            write_encoder(card, trunk, self.folder.encoder)
        except OutputError as error:
            raise OutputError(f"{error} Then resume: the last checkpoint is whole.") from error
        self.folder.remove_leftovers()
        return PretrainingResult(
            self.folder.path,
            self.folder.encoder,
            figures,
            tiles.held_out,
            self.config.encoder,
            tuple(adaptation.history),
        )

    def _encoder(self, trunk: EfficientNetLite0Trunk) -> EfficientNetLite0Encoder:
        """Make an encoder of a network, in float32, so that every machine probes alike."""
        card = BASES[self.config.encoder]
        return AdaptedEncoder(card, trunk, self.device, self.config.threads, precision="float32")

    def _vectors(self, encoder: Encoder, tiles: Tiles) -> Vectors:
        """Encode all tiles of the run."""
        parts = []
        total = len(tiles.learned) + len(tiles.probed)
        self.on_event(Started(total, "tiles"))
        progress = Progress(total)
        for numbers in (tiles.learned, tiles.probed):
            rows = [np.empty((0, encoder.dim), np.float32)]
            for start in range(0, len(numbers), ENCODED_AT_ONCE):
                self.cancel.raise_if_cancelled()
                some = numbers[start : start + ENCODED_AT_ONCE]
                rows.append(encoder.encode(tiles.read(some)))
                self.on_event(progress.advance(len(some)))
            parts.append(np.concatenate(rows))
        return Vectors(*parts)
