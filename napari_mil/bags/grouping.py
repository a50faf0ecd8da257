"""Which pages and files of a folder are one instance, and the findings that say so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from napari_mil.bags.channel_names import ChannelFile, ChannelNames, find_channels
from napari_mil.bags.instances import ImageInstance, ImageSource
from napari_mil.bags.stacks import Stack, read_stack
from napari_mil.findings import Finding, FindingKind
from napari_mil.slides.tiff.header import read_header

TIFF_ENDINGS = (".tif", ".tiff")
DEEP_ENDINGS = (*TIFF_ENDINGS, ".png")
"""Endings of files that may have more than 8 bits a sample."""
MOST_NAMED = 3
"""Files that a finding names."""
MIXED_DEPTHS = (
    "Images of 8 and of more bits lie side by side; each is divided by the depth of its camera, "
    "none is stretched to its own brightest pixel."
)


def group_images(
    folder: Path, files: Sequence[Path]
) -> tuple[tuple[ImageInstance, ...], tuple[Finding, ...]]:
    """Say which instances the image files of a folder hold.

    Of TIFF files the first directory is read; only where it hints at more, the others are.

    Parameters
    ----------
    folder
        The folder, which findings about several files name.
    files
        Its image files in order.

    Returns
    -------
    images, findings
        Instances in the order of the files, and why they are not one a file.

    Raises
    ------
    OSError
        If a file cannot be read.
    """
    images: list[ImageInstance] = []
    stacks: dict[Path, Stack] = {}
    taken: set[Path] = set()
    depths: set[bool] = set()
    for file in files:
        if file in taken:
            continue
        header = read_header(file) if file.suffix.lower() in TIFF_ENDINGS else None
        if header is not None or file.suffix.lower() not in DEEP_ENDINGS:
            depths.add(header is not None and header.bits > 8)
        if header is None or header.is_plain:
            size = None if header is None else header.size
            images.append(ImageInstance(file.name, (ImageSource(file),), size))
            continue
        stack = stacks[file] = read_stack(file)
        # OME-TIFF may spread an image over several files.
        taken |= stack.files
        images += stack.images
    findings = list(_stack_findings(folder, stacks))
    if len(images) == len(files):
        images, joined = _join_channels(folder, images)
        findings += joined
    if len(depths) > 1:
        findings.append(Finding(FindingKind.DEPTH, folder, MIXED_DEPTHS))
    return tuple(images), tuple(findings)


def _join_channels(
    folder: Path, images: list[ImageInstance]
) -> tuple[list[ImageInstance], list[Finding]]:
    """Make one instance of the files of each field, where their names say so."""
    by_file = {image.sources[0].file: image for image in images}
    if len(by_file) < len(images) or any(len(image.sources) > 1 for image in images):
        return images, []
    names = find_channels(list(by_file))
    if names is None:
        return images, []
    if not names.fields or not _have_one_size(names, by_file):
        text = (
            f"File names look like channels ({', '.join(names.tokens)}), but fields do not all "
            "have the same ones in one size: each file counts as an image."
        )
        return images, [Finding(FindingKind.GROUPING, folder, text)]
    joined = [_field(name, files, by_file) for name, files in names.fields.items()]
    text = (
        f"{len(images)} files are {len(joined)} image{'' if len(joined) == 1 else 's'}: those that "
        f"differ in the channel alone ({', '.join(names.tokens)}) are shown together in colours."
    )
    return joined, [Finding(FindingKind.GROUPING, folder, text)]


def _field(
    name: str, files: tuple[ChannelFile, ...], by_file: dict[Path, ImageInstance]
) -> ImageInstance:
    """Return the channels of one field as an instance."""
    sources = tuple(
        ImageSource(each.file, by_file[each.file].sources[0].pages, each.colour) for each in files
    )
    return ImageInstance(name, sources, by_file[files[0].file].size)


def _have_one_size(names: ChannelNames, by_file: dict[Path, ImageInstance]) -> bool:
    """Say whether the files of each field have one size, as far as headers were read."""
    return all(
        len({by_file[each.file].size for each in files}) == 1 for files in names.fields.values()
    )


def _stack_findings(folder: Path, stacks: dict[Path, Stack]) -> Iterator[Finding]:
    """Yield what is said of stacks, one sentence for all files that it is true of."""
    several = {file: stack for file, stack in stacks.items() if len(stack.images) > 1}
    if several:
        counts = {file: f"{len(stack.images)} pages" for file, stack in several.items()}
        text = "each page counts as an image"
        if any(stack.is_nameless for stack in several.values()):
            text += (
                "; where pages are depth, which the file does not say, "
                "save it with the axes ZYX to have them projected"
            )
        yield _finding(FindingKind.GROUPING, folder, counts, text)
    for is_projected, text in (
        (True, "planes of depth are projected by maximum"),
        (False, "of the planes of depth the middle one is taken"),
    ):
        counts = {
            file: f"{stack.n_planes} planes"
            for file, stack in stacks.items()
            if stack.n_planes > 1 and stack.is_projected is is_projected
        }
        if counts:
            yield _finding(FindingKind.GROUPING, folder, counts, text)
    names = {file: ", ".join(stack.channels) for file, stack in stacks.items() if stack.channels}
    if names:
        text = "the channels are one image, shown together in colours"
        yield _finding(FindingKind.GROUPING, folder, names, text)
    counts = {file: f"{s.n_left_out} planes" for file, s in stacks.items() if s.n_left_out}
    if counts:
        text = "planes that are in no page or file at hand are left out; the first page is taken"
        yield _finding(FindingKind.LEFT_OUT, folder, counts, text)


def _finding(kind: FindingKind, folder: Path, facts: dict[Path, str], text: str) -> Finding:
    """Return one finding about files, each with a fact of its own."""
    if len(facts) == 1:
        ((file, fact),) = facts.items()
        return Finding(kind, file, f"It has {fact}: {text}.")
    named = [f"{file.name} ({fact})" for file, fact in islice(facts.items(), MOST_NAMED)]
    if len(facts) > MOST_NAMED:
        named.append(f"{len(facts) - MOST_NAMED} more")
    return Finding(kind, folder, f"{', '.join(named[:-1])} and {named[-1]}: {text}.")
