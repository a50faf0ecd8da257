"""Tiles that an encoder is adapted to, drawn from slides and kept in the folder of the run."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from napari_mil.bags import ImageBag, TileGrid, TileSpec, open_image_bag
from napari_mil.encoders.adapted_cards import BASES
from napari_mil.errors import (
    CancelledError,
    NapariMilError,
    OutputError,
    TrainingError,
    short_cause,
)
from napari_mil.events import CancellationToken, Fallback, OnEvent, Started
from napari_mil.files import whole_or_nothing
from napari_mil.inference.embedding import Progress, at_least
from napari_mil.inference.planning import Mask, plan_tiles
from napari_mil.settings import Settings
from napari_mil.slides import Slide, open_slide
from napari_mil.training.cohorts.cohort import IMAGES, SLIDES, Cohort, CohortBag
from napari_mil.training.pretraining.config import PretrainingConfig
from napari_mil.training.pretraining.layout import DRAWN, TILES
from napari_mil.training.pretraining.splitting import (
    HeldOut,
    Lattice,
    even_shares,
    hold_out,
    neighbouring_pairs,
)
from napari_mil.training.tile_size import MOST_SLIDES_ASKED, fitting_tile_px
from napari_mil.training.work_folder import WorkFolder

LEARNED = -1
"""Pair of a tile that is learned from."""
MOST_PAIRS = 400
"""Pairs of neighbours that are held out at most."""
FEWEST_LEARNED = 16
"""Tiles below which nothing is learned."""
STEP_PX = 16
"""Sides of tiles that are chosen are multiples of it, the network's stride."""
READ_AT_ONCE = 16
"""Tiles of a slide that are read between two looks at the token."""
_COLUMNS = ("bag", "image", "row", "column", "pair", "place")
"""What is written of a tile."""


@dataclass(frozen=True, eq=False)
class Tiles:
    """Tiles of a run: where they come from, and their pixels on disk."""

    pixels: np.ndarray
    """uint8 (M, px, px, 3), mapped from the file."""
    rows: np.ndarray
    """int (N,): row of `pixels` of each tile."""
    bag: np.ndarray
    """int (N,): number of the bag in the cohort."""
    image: np.ndarray
    """int (N,): image of a bag of images; 0 of a slide."""
    cell: np.ndarray
    """int (N, 2): row and column of the tile in its slide or image."""
    pair: np.ndarray
    """int (N,): number of the pair of a held-out tile, or `LEARNED`."""
    held_out: str
    """What is held out, in words."""

    @property
    def learned(self) -> np.ndarray:
        """Numbers of the tiles that are learned from."""
        return np.flatnonzero(self.pair == LEARNED)

    @property
    def probed(self) -> np.ndarray:
        """Numbers of the held-out tiles, the two of a pair one after the other."""
        held = np.flatnonzero(self.pair != LEARNED)
        return held[np.argsort(self.pair[held], kind="stable")]

    def read(self, numbers: np.ndarray) -> np.ndarray:
        """Read the pixels of some tiles: uint8 (n, px, px, 3)."""
        return np.asarray(self.pixels[self.rows[numbers]])


def read_tiles(folder: Path) -> Tiles:
    """Read the tiles that a run has drawn.

    Raises
    ------
    TrainingError
        If their files are damaged.
    """
    try:
        facts = json.loads((folder / DRAWN).read_text(encoding="utf-8"))
        pixels = np.load(folder / TILES, mmap_mode="r")
        table = np.array(facts["tiles"], int).reshape(-1, len(_COLUMNS))
        bag, image, row, column, pair, rows = table.T
        if len(rows) and rows.max() >= len(pixels):
            raise ValueError("tiles are missing")
        cell = np.stack([row, column], 1)
        return Tiles(pixels, rows, bag, image, cell, pair, str(facts["held_out"]))
    except (OSError, ValueError, LookupError, TypeError, EOFError) as error:
        raise TrainingError(
            f"The tiles of {folder.name} cannot be read ({short_cause(error)}); "
            "choose another folder."
        ) from error


@dataclass(frozen=True, eq=False)
class _Chosen:
    """Tiles of a bag that are read, in the order of reading."""

    lattice: Lattice
    tiles: np.ndarray
    """int (n,): numbers in the lattice."""
    pair: np.ndarray
    """int (n,): number of each tile's pair, or `LEARNED`."""

    def entry(self, place: int, row: int) -> list[int]:
        """Return the line of `DRAWN` for a tile, in the order of `_COLUMNS`."""
        lattice = self.lattice
        i = self.tiles[place]
        cell = map(int, lattice.cells[i])
        return [lattice.bag, int(lattice.image[i]), *cell, int(self.pair[place]), row]


class TileDrawer:
    """Draws the tiles of a run.

    Parameters
    ----------
    cohort
        Bags with pixels.
    config
        How many tiles of which size.
    settings
        Threads that read.
    on_event, cancel
        Told of progress; asked between slides and between groups of tiles.
    """

    def __init__(
        self,
        cohort: Cohort,
        config: PretrainingConfig,
        settings: Settings,
        on_event: OnEvent,
        cancel: CancellationToken,
    ) -> None:
        self._cohort = cohort
        self._config = config
        self._settings = settings
        self._on_event = on_event
        self._cancel = cancel

    def draw(self, folder: WorkFolder) -> Tiles:
        """Draw tiles into the folder of the run, or find them there.

        Raises
        ------
        NapariMilError
            If no bag can be read, or there are too few tiles to learn from.
        OutputError
            If they cannot be written.
        """
        if not (folder.path / DRAWN).is_file():
            lattices = self._lattices()
            held = hold_out(self._cohort, lattices, self._config.held_out, self._config.seed)
            self._write(folder, lattices, held)
        return read_tiles(folder.path)

    def _lattices(self) -> list[Lattice]:
        """Lay tiles over every bag; bags that cannot be read are left out and said to be."""
        lattices: list[Lattice] = []
        first_error: NapariMilError | None = None
        bags = self._cohort.bags
        self._on_event(Started(len(bags), "slides"))
        progress = Progress(len(bags))
        for number, bag in enumerate(bags):
            self._cancel.raise_if_cancelled()
            try:
                lattices.append(self._lattice(number, bag))
            except CancelledError:
                raise
            except NapariMilError as error:
                first_error = first_error or error
                if len(bags) > 1:
                    reason = str(error).removeprefix(f"{bag.path.name} ")
                    self._on_event(Fallback(f"{bag.path.name} is left out: {reason}"))
            self._on_event(progress.advance(1))
        if not lattices:
            assert first_error is not None
            raise first_error
        return lattices

    def _lattice(self, number: int, bag: CohortBag) -> Lattice:
        """Lay tiles over one bag."""
        px = self._side
        if bag.kind == IMAGES:
            images = open_image_bag(bag.path)
            shapes = [_shape(images, i, px) for i in range(len(images))]
            cells = [np.argwhere(np.ones(shape, bool)) for shape in shapes]
            image = np.repeat(np.arange(len(images)), [len(each) for each in cells])
            return Lattice(number, image, np.concatenate(cells))
        with self._open(bag) as slide:
            if slide.channels:
                text = "is a fluorescence slide: its channels are rendered to RGB."
                self._on_event(Fallback(f"{bag.path.name} {text}"))
            grid = self._grid(slide)
        return Lattice(number, np.zeros(len(grid), int), grid.cells)

    @property
    def _side(self) -> int:
        """Side of a tile in pixels."""
        assert self._config.tile_px is not None
        return self._config.tile_px

    def _open(self, bag: CohortBag) -> Slide:
        """Open a slide, with the given scale where it says none."""
        given = self._config.slide_mpp if bag.mpp is None else None
        return open_slide(bag.path, given, settings=self._settings)

    def _grid(self, slide: Slide) -> TileGrid:
        """Lay tiles over the tissue of a slide."""
        assert self._config.mpp is not None
        spec = TileSpec(self._side, self._config.mpp, level=self._config.level)
        mask: Mask = "auto" if self._config.mask == "auto" else None
        return plan_tiles(slide, spec, mask, cancel=self._cancel).grid

    def _choose(self, lattices: Sequence[Lattice], held: HeldOut) -> list[_Chosen]:
        """Choose tiles of every bag: those to learn from, then pairs of held-out neighbours."""
        seed = self._config.seed
        randoms = [np.random.default_rng((seed, 1 + lattice.bag)) for lattice in lattices]
        candidates = [random.permutation(held.learned(k)) for k, random in enumerate(randoms)]
        shares = even_shares([len(each) for each in candidates], self._config.tiles)
        pairs = [
            neighbouring_pairs(lattice, mask, random)
            for lattice, mask, random in zip(lattices, held.masks, randoms, strict=True)
        ]
        most = min(MOST_PAIRS, max(1, sum(shares) // 4))
        pair_shares = even_shares([len(each) for each in pairs], most)
        chosen = []
        first = 0
        for k, lattice in enumerate(lattices):
            kept = pairs[k][: pair_shares[k]]
            tiles = np.concatenate([candidates[k][: shares[k]], np.ravel(kept).astype(int)])
            numbers = np.repeat(first + np.arange(len(kept)), 2)
            pair = np.concatenate([np.full(shares[k], LEARNED), numbers])
            first += len(kept)
            order = np.argsort(tiles, kind="stable")
            chosen.append(_Chosen(lattice, tiles[order], pair[order]))
        return chosen

    def _write(self, folder: WorkFolder, lattices: Sequence[Lattice], held: HeldOut) -> None:
        """Read the chosen tiles and write them, whole or not at all."""
        chosen = self._choose(lattices, held)
        total = sum(len(each.tiles) for each in chosen)
        self._on_event(Started(total, "tiles"))
        progress = Progress(total)
        entries: list[list[int]] = []
        try:
            with whole_or_nothing(folder.path / TILES) as part:
                shape = (total, self._side, self._side, 3)
                array = np.lib.format.open_memmap(part, mode="w+", dtype=np.uint8, shape=shape)
                for each in chosen:
                    for place, pixels in self._read(each):
                        array[len(entries)] = pixels
                        entries.append(each.entry(place, len(entries)))
                        self._on_event(progress.advance(1))
                array.flush()
                del array
        except OSError as error:
            raise OutputError(
                f"{TILES} cannot be written to {folder.path} ({error.strerror or error}); "
                "make room, or ask for fewer tiles."
            ) from error
        entries = _whole_pairs(entries)
        learned = sum(entry[_COLUMNS.index("pair")] == LEARNED for entry in entries)
        if learned < FEWEST_LEARNED:
            raise TrainingError(
                f"There are {learned} tiles to learn from, too few; "
                "give more slides, or smaller tiles."
            )
        facts = {"held_out": held.words, "tiles": entries}
        folder.write(DRAWN, json.dumps(facts) + "\n")

    def _read(self, chosen: _Chosen) -> Iterator[tuple[int, np.ndarray]]:
        """Yield place and pixels of the chosen tiles of a bag that can be read."""
        bag = self._cohort.bags[chosen.lattice.bag]
        reading = self._read_images if bag.kind == IMAGES else self._read_slide
        return reading(bag, chosen)

    def _read_slide(self, bag: CohortBag, chosen: _Chosen) -> Iterator[tuple[int, np.ndarray]]:
        with (
            self._open(bag) as slide,
            ThreadPoolExecutor(self._settings.reader_threads) as pool,
        ):
            grid = self._grid(slide)
            ahead = self._settings.read_ahead
            batches = grid.read_batches(slide, chosen.tiles, READ_AT_ONCE, pool, ahead)
            place = 0
            for numbers, tiles in batches:
                self._cancel.raise_if_cancelled()
                readable = np.ones(len(numbers), bool)
                if slide.damage:
                    readable = grid.subset(numbers).is_readable(slide)
                for pixels, is_whole in zip(tiles, readable, strict=True):
                    if is_whole:
                        yield place, pixels
                    place += 1

    def _read_images(self, bag: CohortBag, chosen: _Chosen) -> Iterator[tuple[int, np.ndarray]]:
        images = open_image_bag(bag.path)
        px = self._side
        last = -1
        pixels = np.empty((0, 0, 3), np.uint8)
        for place, i in enumerate(chosen.tiles):
            self._cancel.raise_if_cancelled()
            number = int(chosen.lattice.image[i])
            if number != last:
                pixels = at_least(images.read(number), px)
                last = number
            # The lattice lies in the middle of the image.
            rows, columns = (side // px for side in pixels.shape[:2])
            row, column = chosen.lattice.cells[i]
            top = (pixels.shape[0] - rows * px) // 2 + row * px
            left = (pixels.shape[1] - columns * px) // 2 + column * px
            yield place, pixels[top : top + px, left : left + px]


def _whole_pairs(entries: list[list[int]]) -> list[list[int]]:
    """Leave out held-out tiles whose neighbour could not be read."""
    pair = _COLUMNS.index("pair")
    members = Counter(entry[pair] for entry in entries)
    return [entry for entry in entries if entry[pair] == LEARNED or members[entry[pair]] == 2]


def _shape(images: ImageBag, i: int, px: int) -> tuple[int, int]:
    """Return rows and columns of the tiles of an image, at least one of each."""
    width, height = images.size(i)
    return max(1, height // px), max(1, width // px)


def default_tile_px(cohort: Cohort, config: PretrainingConfig) -> int:
    """Return the side of tiles of which slides hold sixteen and images four, or more."""
    base = BASES[config.encoder]
    px = base.tile_px
    slides = [bag.path for bag in cohort.bags if bag.kind == SLIDES]
    if slides and config.level is None:
        mpp = config.mpp or base.mpp
        px = fitting_tile_px(slides, px, mpp, base.smallest_tile, config.slide_mpp)
    sides = [_side_of_image(bag) / 2 for bag in cohort.bags if bag.kind == IMAGES]
    if config.level is not None:
        sides += [side / 4 for side in _sides_of_level(slides, config.level)]
    if sides:
        px = min(px, int(median(sides)) // STEP_PX * STEP_PX)
    return max(px, base.smallest_tile)


def _side_of_image(bag: CohortBag) -> int:
    """Return the shorter side of the first image of a bag, in pixels."""
    return min(open_image_bag(bag.path).size(0))


def _sides_of_level(slides: Sequence[Path], level: int) -> list[int]:
    """Return the shorter side of a level of some slides, in its pixels."""
    sides = []
    for path in slides[:: max(1, len(slides) // MOST_SLIDES_ASKED)]:
        with open_slide(path) as slide:
            if level < slide.level_count:
                sides.append(min(slide.level_dimensions[level]))
    return sides
