"""One page that holds everything it shows."""

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from napari_mil.bags import open_image_bag
from napari_mil.exports.exporting import export_prediction
from napari_mil.exports.report_content import NO_SLIDE, TOP
from napari_mil.exports.source import ExportChoices
from tests.exports.answers import answer, answer_on, images_answer

VOID = {"meta", "img", "br"}


class Page(HTMLParser):
    """Texts and pictures of a page; checks that every tag is closed."""

    def __init__(self, text):
        super().__init__()
        self.open = []
        self.texts = []
        self.pictures = {}
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        facts = dict(attrs)
        assert "href" not in facts
        if tag == "img":
            assert facts["src"].startswith("data:image/")
            self.pictures[facts["alt"]] = facts["src"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.texts.append(data.strip())

    @property
    def text(self):
        return " ".join(filter(None, self.texts))

    def picture(self, alt):
        content = base64.b64decode(self.pictures[alt].split(",", 1)[1])
        return Image.open(io.BytesIO(content))


def written(prediction, folder, *, pixels=None, **choices):
    """Export and return the page and the remarks."""
    path = folder / "a.html"
    chosen = ExportChoices(**choices)
    remarks = export_prediction(prediction, "html", path, pixels=pixels, choices=chosen)
    return Page(path.read_text(encoding="utf-8")), remarks


@pytest.fixture
def painted(paint, noise):
    return paint(noise, downsamples=(1, 2))


def test_a_report_says_what_was_found_how_sure_and_from_what(tmp_path, painted):
    prediction = answer_on(painted)
    odd = {**prediction.provenance, "fallbacks": ["The scale is a guess."]}
    page, remarks = written(answer_on(painted, provenance=odd), tmp_path, pixels=painted)
    assert remarks == ()
    for words in (
        "painted",
        "tumour (0.67)",
        "normal 0.33",
        "Calibrated (temperature 1.25).",
        "The scale is a guess.",
        "research use only",
        painted.fingerprint,
        "c" * 32,
        "e" * 32,
        "a" * 32,
    ):
        assert words in page.text


def test_slide_overlay_legend_and_top_tiles_are_pictures_in_the_page(tmp_path, painted):
    prediction = answer_on(painted)
    page, _ = written(prediction, tmp_path, pixels=painted)
    assert page.picture("Slide").size == (373, 480)
    assert page.picture("score: tumour over the tiles").width > 600
    assert "legend of score: tumour" in page.pictures
    best = np.argsort(-prediction.instance_scores[:, 1], kind="stable")[:TOP]
    shown = [alt for alt in page.pictures if alt.startswith("tile ")]
    assert [int(alt.split()[1]) for alt in shown] == best.tolist()


def test_a_top_tile_shows_its_own_pixels(tmp_path, paint):
    pixels = np.full((256, 256, 3), 255, np.uint8)
    pixels[64:128, 128:192] = (200, 30, 90)
    slide = paint(pixels)
    scores = np.zeros((16, 2), np.float32)
    scores[6] = (0, 1)
    page, _ = written(answer_on(slide, instance_scores=scores), tmp_path, pixels=slide)
    tile = np.asarray(page.picture("tile 6 at x 128, y 64")).astype(int)
    assert np.abs(tile - (200, 30, 90)).max() < 12


def test_the_page_loads_nothing_from_elsewhere(tmp_path, painted):
    written(answer_on(painted), tmp_path, pixels=painted)
    text = (tmp_path / "a.html").read_text()
    assert "default-src 'none'" in text
    assert not re.search(r"https?://|<script|@import|url\(", text)


def test_names_are_shown_as_they_are_and_never_as_markup(tmp_path):
    classes = ("a & b", "<script>alert(1)</script>")
    page, _ = written(answer(classes=classes), tmp_path)
    assert "<script>alert(1)</script>" in page.text
    assert "<script" not in (tmp_path / "a.html").read_text()


def test_label_and_macro_are_shown_only_when_asked_for(tmp_path, painted, monkeypatch):
    pictures = {"label": np.full((900, 600, 3), 9, np.uint8), "thumbnail": np.zeros((5, 5, 3))}
    monkeypatch.setattr(painted._backend, "associated_images", pictures)
    prediction = answer_on(painted)
    page, _ = written(prediction, tmp_path, pixels=painted)
    assert "Label" not in page.pictures
    page, _ = written(prediction, tmp_path, pixels=painted, with_label=True)
    assert page.picture("Label").size == (320, 480)
    assert "Macro" not in page.pictures


def test_no_entry_of_the_slides_file_is_in_the_page(tmp_path, painted, monkeypatch):
    secret = {"aperio.Patient": "Jane Doe"}
    monkeypatch.setattr(painted._backend, "properties", secret)
    written(answer_on(painted), tmp_path, pixels=painted)
    assert "Jane" not in (tmp_path / "a.html").read_text()


def test_without_the_slide_tiles_are_drawn_alone_and_that_is_said(tmp_path):
    page, remarks = written(answer(), tmp_path)
    assert remarks == (NO_SLIDE,)
    assert "Slide" not in page.pictures
    assert "score: tumour over the tiles" in page.pictures


def test_a_bag_of_images_shows_its_top_images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for k in range(3):
        Image.new("RGB", (30 + k, 20), (40 * k, 0, 0)).save(folder / f"{k}.png")
    images = open_image_bag(folder)
    facts = {"name": "images", "fingerprint": images.fingerprint}
    prediction = images_answer(3, slide=facts, names=images.names)
    page, remarks = written(prediction, tmp_path, pixels=images)
    assert remarks == ()
    assert page.picture("2.png").size == (32, 20)
    assert "no positions on a slide" in page.text


def test_an_uncalibrated_answer_says_so(tmp_path):
    classifier = {"name": "c", "temperature": 1.0}
    page, _ = written(answer(classifier=classifier), tmp_path)
    assert "Not calibrated." in page.text
