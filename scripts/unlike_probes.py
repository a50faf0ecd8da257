"""How often shipped classifiers say that pictures are unlike what they were trained on.

python -m scripts.unlike_probes DATA OUT

DATA holds breast/, colon/, ebhi/ and slides/; OUT is a Markdown page whose section between the
marks is written anew. Pictures go the way of the product: `classify` with the whole picture as
tissue. A picture is flagged where its bag lies beyond the limit that 5 % of left-out training
patients exceed.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from napari_mil import classify, load_classifier, open_slide
from napari_mil.bags import open_image_bag
from napari_mil.gui.samples import SLIDE, sample_path
from napari_mil.inference.card import IMAGES, TILES, ClassifierCard
from napari_mil.inference.classifier import Classifier
from napari_mil.inference.library import list_classifiers
from napari_mil.inference.prediction import Prediction
from scripts.shipped_classifiers import say

BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"
AT_MOST = 20
"""Pictures of each set."""
CROP_PX = 224
CROPS = 4
"""Images that are cut from a picture for a classifier of images."""
BREAST_MPP = 0.25
COLON_MPP = 0.55
BIOPSY_MPP = 1.0
"""Assumed: the biopsies store none."""
Alter = Callable[[Image.Image, np.random.Generator], Image.Image]


@dataclass(frozen=True)
class Pictures:
    """Pictures of one origin."""

    name: str
    paths: tuple[Path, ...]
    mpp: float


@dataclass(frozen=True)
class Row:
    """What a classifier says of one set."""

    name: str
    n: int
    flagged: float
    """Share of the pictures that are flagged."""
    tiles: float
    """Mean share of instances beyond their limit."""
    answer: str
    """Mean probability of the last class."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder with breast, colon, ebhi and slides")
    parser.add_argument("out", type=Path, help="page with a section between the marks")
    arguments = parser.parse_args()
    sections = []
    for card in list_classifiers().values():
        if not card.shipped:
            continue
        classifier = load_classifier(card)
        if classifier.likeness is None:
            continue
        say(card.name)
        sections.append(section(card, rows_of(classifier, arguments.data)))
    text = arguments.out.read_text(encoding="utf-8")
    head, rest = text.split(BEGIN)
    page = "\n".join(sections)
    arguments.out.write_text(f"{head}{BEGIN}\n{page}\n{END}{rest.split(END)[1]}", encoding="utf-8")


def section(card: ClassifierCard, rows: Sequence[Row]) -> str:
    """Return the table of one classifier."""
    answer_of = f"mean of p({card.classes[-1]})"
    lines = [
        f"### {card.name}",
        "",
        f"| pictures | number | called unlike | tiles beyond their limit | {answer_of} |",
        "| --- | --- | --- | --- | --- |",
        *(
            f"| {row.name} | {row.n} | {row.flagged:.0%} | {row.tiles:.0%} | {row.answer} |"
            for row in rows
        ),
        "",
    ]
    return "\n".join(lines)


def rows_of(classifier: Classifier, data: Path) -> Iterator[Row]:
    """Classify every set, as it is and altered."""
    random = np.random.default_rng(0)
    origins = origins_of(data)
    for pictures in origins:
        yield row(classifier, pictures.name, pictures, None, random)
    own = next(each for each in origins if each.name == own_origin(classifier.card.name))
    for name, alter in ALTERATIONS.items():
        yield row(classifier, f"{own.name}, {name}", own, alter, random)


def own_origin(classifier: str) -> str:
    """Return the origin that is nearest to what a classifier was trained on."""
    return {"breast": "breast fields", "lymph": "breast fields", "colon": "colon fields"}.get(
        classifier.split("-")[0], "biopsies"
    )


def origins_of(data: Path) -> list[Pictures]:
    """Return the pictures of every origin."""
    with (data / "ebhi/labels.csv").open(newline="") as file:
        biopsies = [data / "ebhi" / entry["file"] for entry in csv.DictReader(file)]
    return [
        Pictures("breast fields", _some(sorted((data / "breast").rglob("*.jpg"))), BREAST_MPP),
        Pictures("colon fields", _some(sorted((data / "colon").glob("*.jpg"))), COLON_MPP),
        Pictures("biopsies", _some(biopsies), BIOPSY_MPP),
        Pictures("skin (the sample slide)", (sample_path(SLIDE),), 0.499),
        Pictures("immunohistochemistry", (data / "slides/plain/ihc.png",), 0.5),
    ]


def _some(paths: Sequence[Path]) -> tuple[Path, ...]:
    """Return pictures spread over all."""
    places = np.linspace(0, len(paths) - 1, min(AT_MOST, len(paths))).astype(int)
    return tuple(paths[place] for place in places)


def row(
    classifier: Classifier,
    name: str,
    pictures: Pictures,
    alter: Alter | None,
    random: np.random.Generator,
) -> Row:
    """Classify the pictures of a set."""
    found = [answer(classifier, path, pictures.mpp, alter, random) for path in pictures.paths]
    unlike = [each.unlikeness for each in found if each.unlikeness is not None]
    return Row(
        name,
        len(found),
        float(np.mean([each.is_unlike for each in unlike])),
        float(np.mean([each.share for each in unlike])),
        f"{np.mean([each.probabilities[-1] for each in found]):.2f}",
    )


def answer(
    classifier: Classifier,
    path: Path,
    mpp: float,
    alter: Alter | None,
    random: np.random.Generator,
) -> Prediction:
    """Classify one picture: its tiles, or crops of it where images are wanted."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        if alter is None and classifier.card.instances == TILES:
            with open_slide(path, mpp) as slide:
                return classify(slide, classifier, device="cpu", mask=None)
        with open_slide(path) as slide:
            image = Image.fromarray(slide.read_region((0, 0), 0, slide.dimensions))
        if alter is not None:
            image = alter(image, random)
        if classifier.card.instances == IMAGES:
            cut_crops(image, folder)
            return classify(open_image_bag(folder), classifier, device="cpu")
        image.save(folder / "altered.png")
        with open_slide(folder / "altered.png", mpp) as slide:
            return classify(slide, classifier, device="cpu", mask=None)


def cut_crops(image: Image.Image, folder: Path) -> None:
    """Write crops of a picture along its diagonal."""
    width, height = image.size
    for k in range(CROPS if min(width, height) > CROP_PX else 1):
        share = k / max(1, CROPS - 1)
        left = round(share * max(0, width - CROP_PX))
        top = round(share * max(0, height - CROP_PX))
        image.crop((left, top, left + CROP_PX, top + CROP_PX)).save(folder / f"{k}.png")


def _blurred(image: Image.Image, random: np.random.Generator) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(4))


def _grey(image: Image.Image, random: np.random.Generator) -> Image.Image:
    return image.convert("L").convert("RGB")


def _halved(image: Image.Image, random: np.random.Generator) -> Image.Image:
    """Return the picture at half its scale, tiled so that its size stays."""
    small = image.resize((image.width // 2, image.height // 2), Image.Resampling.BOX)
    whole = Image.new("RGB", image.size)
    for x in (0, small.width):
        for y in (0, small.height):
            whole.paste(small, (x, y))
    return whole


def _pen(image: Image.Image, random: np.random.Generator) -> Image.Image:
    drawn = image.copy()
    width, height = image.size
    points = [tuple(point) for point in (random.random((6, 2)) * (width, height)).tolist()]
    ImageDraw.Draw(drawn).line(points, fill=(20, 40, 150), width=max(width, height) // 6)
    return drawn


def _glass(image: Image.Image, random: np.random.Generator) -> Image.Image:
    noise = random.normal((241, 240, 243), 2, (image.height, image.width, 3))
    return Image.fromarray(np.clip(noise, 0, 255).astype(np.uint8))


def _fluorescence(image: Image.Image, random: np.random.Generator) -> Image.Image:
    """Return dark ground with green light where the tissue is dark."""
    light = 255 - np.asarray(image.convert("L"), np.float32)
    green = np.zeros((image.height, image.width, 3), np.uint8)
    green[..., 1] = np.clip((light - 60) * 1.5, 0, 255)
    return Image.fromarray(green)


ALTERATIONS: dict[str, Alter] = {
    "blurred (4 px)": _blurred,
    "grey": _grey,
    "at half the scale": _halved,
    "under a broad pen": _pen,
    "as glass": _glass,
    "as fluorescence": _fluorescence,
}


if __name__ == "__main__":
    main()
