"""A report on one page of A4."""

import re
import zlib

import pytest
from matplotlib.figure import Figure

from napari_mil.events import CancellationToken
from napari_mil.exports.exporting import export_prediction
from napari_mil.exports.report_content import NO_SLIDE, report_of
from napari_mil.exports.report_pdf import draw_report
from napari_mil.exports.source import ExportChoices
from tests.exports.answers import answer, answer_on


def texts_of(figure):
    return [text.get_text() for text in figure.texts]


def test_the_page_is_one_of_a4_and_the_same_for_the_same_answer(tmp_path, slide_path):
    from napari_mil import open_slide

    with open_slide(slide_path) as slide:
        paths = [tmp_path / name for name in ("a.pdf", "b.pdf")]
        for path in paths:
            remarks = export_prediction(answer_on(slide), "pdf", path, pixels=slide)
    content = paths[0].read_bytes()
    assert content == paths[1].read_bytes()
    assert remarks == ()
    assert content.startswith(b"%PDF-")
    assert len(re.findall(rb"/Type /Page\b", content)) == 1
    width, height = re.search(rb"/MediaBox \[ 0 0 ([\d.]+) ([\d.]+) \]", content).groups()
    assert (float(width), float(height)) == pytest.approx((595, 842), abs=1)
    streams = [part.split(b"endstream")[0] for part in content.split(b"stream\n")[1:]]
    assert any(zlib.decompressobj().decompress(stream) for stream in streams if stream[:1] == b"x")


def test_answer_remarks_probabilities_and_provenance_are_written(source_of):
    source = source_of(answer())
    report = report_of(source, CancellationToken())
    figure = draw_report(report)
    assert isinstance(figure, Figure)
    words = texts_of(figure)
    assert report.answer in words
    for row in report.probabilities:
        assert row.name in words
        assert f"{row.value:.2f}" in words
    everything = " ".join(words)
    for fact in report.facts:
        assert fact.name in everything


def test_without_the_slide_that_is_said(tmp_path):
    assert NO_SLIDE in export_prediction(answer(), "pdf", tmp_path / "a.pdf")


def test_nothing_runs_off_the_page(source_of):
    source = source_of(answer())
    long = report_of(source, CancellationToken())
    figure = draw_report(long)
    for text in figure.texts:
        x, y = text.get_position()
        assert 0 < x < 1
        assert 0 < y < 1


@pytest.fixture
def source_of():
    from napari_mil.exports.source import make_source

    return lambda prediction: make_source(prediction, None, ExportChoices())
