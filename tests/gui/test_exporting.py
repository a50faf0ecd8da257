"""An answer leaves the real window by its button."""

import gzip
import json

import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLineEdit


@pytest.mark.parametrize("place", ["card", "inspect"])
def test_an_answer_is_exported_as_it_is_shown(bench, slide_path, tmp_path, place):
    bench.open(slide_path)
    prediction = bench.classify("breast-malignancy")
    card = bench.classify_tab.card
    line = card.export_line if place == "card" else bench.inspect_tab.export_line
    bench.click(line.button)
    dialog = bench.workbench.exporting.dialog
    assert dialog.isVisible()
    target = tmp_path / "tiles.geojson.gz"
    path = dialog.findChild(QLineEdit)
    path.clear()
    bench.qtbot.keyClicks(path, str(target))
    bench.qtbot.mouseClick(dialog.export_button, Qt.MouseButton.LeftButton)
    bench.wait()
    assert bench.notices == []
    assert line.words.text() == f"Written to {target}."
    features = json.loads(gzip.decompress(target.read_bytes()))["features"]
    assert len(features) == prediction.n_instances
    shown = [each["properties"]["measurements"]["attention"] for each in features]
    assert shown == pytest.approx(prediction.attention[:, 0].tolist(), rel=1e-6)


def test_a_report_of_the_shown_map_is_written(bench, slide_path, tmp_path):
    bench.open(slide_path)
    bench.classify("breast-malignancy")
    bench.inspect_tab.kind_box.choose("unlike")
    bench.click(bench.inspect_tab.export_line.button)
    dialog = bench.workbench.exporting.dialog
    dialog.format_box.choose("html")
    dialog.path.setText(str(tmp_path / "report.html"))
    bench.qtbot.mouseClick(dialog.export_button, Qt.MouseButton.LeftButton)
    bench.wait()
    text = (tmp_path / "report.html").read_text()
    assert "Highest unlike" in text
    assert "CMU-1-Small-Region" in text


def test_before_an_answer_there_is_nothing_to_export(bench, slide_path):
    bench.open(slide_path)
    assert not bench.inspect_tab.export_line.isVisibleTo(bench.inspect_tab)
    assert not bench.classify_tab.card.export_line.button.isEnabled()
