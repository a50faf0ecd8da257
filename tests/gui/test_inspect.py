"""The Inspect tab on a real answer: clusters, streams, masks, similarity."""

import numpy as np
import pytest
from qtpy.QtWidgets import QScrollArea

from napari_mil.gui.glyphs import MASK_GLYPHS, cluster_glyph


def coloured(bench, title):
    """How many cells of a drawn layer show each colour."""
    image, (rows, columns) = (
        np.asarray(bench.overlays[title].data),
        bench.workbench.state.answer.grid.shape,
    )
    cell = image.shape[0] // rows
    cells = image.reshape(rows, cell, columns, cell, 4).swapaxes(1, 2).reshape(-1, cell * cell, 4)
    seen = {}
    for one in cells:
        inked = one[one[:, 3] > 0]
        if len(inked):
            colour = "#{:02X}{:02X}{:02X}".format(*inked[0, :3])
            seen[colour] = seen.get(colour, 0) + 1
    return seen


@pytest.fixture
def answered(bench, slide_path):
    def classify(classifier):
        bench.open(slide_path)
        bench.choose(classifier)
        return bench.classify()

    return classify


def ask_for_clusters(bench, n):
    bench.inspect_tab.cluster_box.setValue(n)
    bench.click(bench.inspect_tab.cluster_button)
    bench.wait_for_jobs()


def test_without_an_answer_nothing_can_be_asked_and_the_tab_says_why(bench):
    assert not bench.inspect_tab.cluster_button.isEnabled()
    assert "Classify a slide first" in bench.inspect_tab.facts.text()
    assert "Classify a slide first" in bench.inspect_tab.mask_button.toolTip()


def test_any_classifiers_bag_is_shown_as_clusters_of_its_tree(bench, answered):
    prediction = answered("breast-malignancy")
    ask_for_clusters(bench, 5)
    tree = bench.workbench.state.answer.prediction.tree
    counts = sorted(np.bincount(tree.cut(5)), reverse=True)
    assert sum(counts) == prediction.n_instances
    assert coloured(bench, "clusters") == {
        cluster_glyph(k).colour: count for k, count in enumerate(counts)
    }
    assert bench.viewer.canvas.overlays.text.text == "breast-malignancy · 5 clusters"


def test_another_number_of_clusters_cuts_the_same_tree_at_once(bench, answered):
    answered("breast-malignancy")
    ask_for_clusters(bench, 5)
    layer, tree = bench.overlays["clusters"], bench.workbench.state.answer.prediction.tree
    layer.opacity = 0.4
    bench.inspect_tab.cluster_box.setValue(9)
    bench.wait_for_jobs()
    assert len(coloured(bench, "clusters")) == 9
    assert bench.viewer.canvas.overlays.text.text == "breast-malignancy · 9 clusters"
    assert bench.workbench.state.answer.prediction.tree is tree
    assert bench.overlays["clusters"] is layer
    assert layer.opacity == 0.4


def test_a_tile_says_its_cluster(bench, answered):
    prediction = answered("breast-malignancy")
    ask_for_clusters(bench, 3)
    place = tuple((prediction.coords[7] + prediction.tile_size0 / 2)[::-1] * 0.499)
    text = bench.overlays["clusters"].get_status(place, world=True)["value"]
    assert text.startswith("cluster ")
    assert text.endswith("tile 7")


def test_drawn_cells_lie_on_the_tiles_they_stand_for(bench, answered):
    prediction = answered("breast-malignancy")
    ask_for_clusters(bench, 3)
    layer, overlay = bench.overlays["clusters"], bench.overlays["attention"]
    edges = [
        (
            one.extent.world[0] - np.asarray(one.scale) / 2,
            one.extent.world[0]
            - np.asarray(one.scale) / 2
            + np.asarray(one.data.shape[:2]) * one.scale,
        )
        for one in (layer, overlay)
    ]
    assert np.allclose(*edges)
    assert prediction.n_instances == sum(coloured(bench, "clusters").values())


def test_the_two_streams_of_dsmil_are_two_layers_with_the_critical_instance_marked(bench, answered):
    prediction = answered("colon-epithelium")
    assert {"attention", "score: epithelium", "critical"} <= set(bench.overlays)
    marks = bench.overlays["critical"]
    expected = (prediction.coords[prediction.critical] + (prediction.tile_size0 - 1) / 2)[
        :, ::-1
    ] * 0.499
    assert np.allclose(marks.data, expected)
    assert prediction.critical[0] == prediction.instance_scores[:, 1].argmax()
    assert bench.viewer.layers[-1] is marks
    assert bench.viewer.layers.selection.active is not marks
    assert f"critical tile {prediction.critical[0]} (epithelium)" in bench.inspect_tab.facts.text()
    place = tuple(expected[0])
    assert (
        marks.get_status(place, world=True)["value"]
        == f"critical: epithelium · tile {prediction.critical[0]}"
    )


@pytest.mark.parametrize(
    ("strategy", "kinds"),
    [
        ("ham", {"high"}),
        ("l-ham", {"high", "low"}),
        ("r-ham", {"high", "random"}),
        ("lr-ham", {"high", "low", "random"}),
    ],
)
def test_the_masks_of_a_mining_strategy_are_shown_by_kind(bench, answered, strategy, kinds):
    answered("breast-malignancy")
    box = bench.inspect_tab.strategy_box
    box.setCurrentIndex(box.findData(strategy))
    bench.click(bench.inspect_tab.mask_button)
    bench.wait_for_jobs()
    masks = bench.workbench.state.answer.prediction.masks
    assert set(masks) == kinds
    for kind, mask in masks.items():
        assert coloured(bench, f"masked: {kind}") == {MASK_GLYPHS[kind].colour: mask.sum()}


def test_kinds_that_another_strategy_has_not_are_taken_away(bench, answered):
    answered("breast-malignancy")
    box = bench.inspect_tab.strategy_box
    for strategy in ("lr-ham", "ham"):
        box.setCurrentIndex(box.findData(strategy))
        bench.click(bench.inspect_tab.mask_button)
        bench.wait_for_jobs()
    assert {name for name in bench.overlays if name.startswith("masked")} == {"masked: high"}
    assert bench.viewer.canvas.overlays.text.text == "breast-malignancy · masked by HAM"


def test_closing_the_slide_leaves_nothing_to_ask(bench, answered):
    answered("breast-malignancy")
    ask_for_clusters(bench, 4)
    bench.viewer.layers.remove("CMU-1-Small-Region")
    assert bench.workbench.state.answer is None
    assert not bench.inspect_tab.cluster_button.isEnabled()


def test_a_hamil_classifier_brings_its_own_tree_and_similarity(bench, slide_path, tmp_path):
    import torch

    from napari_mil.aggregators import create_aggregator
    from napari_mil.inference.classifier import Classifier, load_classifier
    from napari_mil.inference.library import find_card

    torch.manual_seed(0)
    shipped = load_classifier("breast-malignancy")
    from dataclasses import replace

    card = replace(
        shipped.card,
        name="hamil-test",
        link="softmax",
        aggregator={"name": "hamil", "options": {"kernel": 3}},
    )
    hamil = create_aggregator("hamil", card.in_dim, 2, kernel=3)
    Classifier(card, hamil.eval(), shipped.mean, shipped.scale).save(
        tmp_path / "hamil-test", "made for a test"
    )
    bench.open(slide_path)
    controller = bench.workbench.classification
    controller._cards["hamil-test"] = find_card(tmp_path / "hamil-test")
    bench.tab.classifier_box.addItem("hamil-test", "hamil-test")
    try:
        bench.choose("hamil-test")
        prediction = bench.classify()
        assert "similarity" in bench.overlays
        assert bench.overlays["similarity"].visible
        assert len(prediction.tree.triplets) == prediction.n_instances - 1
        assert "hamil-test uses hamil" in bench.inspect_tab.mask_button.toolTip()
        ask_for_clusters(bench, 4)
        assert bench.workbench.state.answer.prediction.tree is prediction.tree
    finally:
        del controller._cards["hamil-test"]
        bench.tab.classifier_box.removeItem(bench.tab.classifier_box.findData("hamil-test"))


def test_a_question_asked_while_another_is_answered_replaces_it(bench, answered):
    answered("breast-malignancy")
    tab = bench.inspect_tab
    bench.click(tab.cluster_button)
    bench.click(tab.mask_button)
    assert [tab.cluster_button.text(), tab.mask_button.text()] == ["Show clusters", "Cancel"]
    bench.wait_for_jobs()
    assert "clusters" not in bench.overlays
    assert "masked: high" in bench.overlays
    bench.click(tab.mask_button)
    bench.click(tab.cluster_button)
    bench.wait_for_jobs()
    assert "clusters" in bench.overlays
    assert [tab.cluster_button.text(), tab.mask_button.text()] == ["Show clusters", "Show masks"]


def test_a_number_changed_while_the_tree_grows_is_the_one_that_is_shown(bench, answered):
    answered("breast-malignancy")
    bench.inspect_tab.cluster_box.setValue(5)
    bench.click(bench.inspect_tab.cluster_button)
    bench.inspect_tab.cluster_box.setValue(8)
    bench.wait_for_jobs()
    assert len(coloured(bench, "clusters")) == 8
    assert bench.viewer.canvas.overlays.text.text == "breast-malignancy · 8 clusters"


@pytest.mark.parametrize("which", ["cluster_button", "mask_button"])
def test_a_cancelled_question_draws_nothing(bench, answered, which):
    answered("breast-malignancy")
    button = getattr(bench.inspect_tab, which)
    bench.click(button)
    bench.click(button)
    bench.wait_for_jobs()
    assert set(bench.overlays) == {"attention"}
    assert bench.inspect_tab.cluster_button.text() == "Show clusters"


def test_another_answer_takes_away_what_was_drawn_for_the_one_before(bench, answered):
    answered("breast-malignancy")
    ask_for_clusters(bench, 5)
    box = bench.tab.tiles_box
    box.setCurrentIndex(box.findData("0"))
    bench.classify()
    assert "clusters" not in bench.overlays
    assert bench.workbench.state.answer.prediction.tree is None


def test_renaming_the_slide_leaves_one_layer_of_each_kind(bench, answered):
    answered("breast-malignancy")
    ask_for_clusters(bench, 5)
    bench.viewer.layers["CMU-1-Small-Region"].name = "renamed"
    ask_for_clusters(bench, 6)
    assert len([layer for layer in bench.viewer.layers if layer.name.endswith("clusters")]) == 1
    assert bench.inspect_tab.subject.text() == "renamed"


def test_clusters_deleted_by_hand_do_not_come_back_by_themselves(bench, answered):
    answered("breast-malignancy")
    ask_for_clusters(bench, 5)
    bench.viewer.layers.remove(bench.overlays["clusters"])
    assert not bench.inspect_tab.cluster_legend.isVisibleTo(bench.inspect_tab)
    bench.inspect_tab.cluster_box.setValue(7)
    bench.wait_for_jobs()
    assert "clusters" not in bench.overlays


def test_running_again_keeps_what_was_done_to_the_critical_mark(bench, answered):
    answered("colon-epithelium")
    marks = bench.overlays["critical"]
    marks.visible, marks.opacity = False, 0.3
    bench.classify()
    assert bench.overlays["critical"] is marks
    assert (marks.visible, marks.opacity) == (False, 0.3)


def test_a_long_name_and_many_clusters_fit_the_dock(bench, answered):
    answered("breast-malignancy")
    bench.workbench.tabs.setCurrentWidget(bench.inspect_tab)
    bench.viewer.layers[
        "CMU-1-Small-Region"
    ].name = "TCGA-AA-0000-01Z-00-DX1_with_a_name_that_has_no_spaces_and_does_not_end_soon_enough"
    ask_for_clusters(bench, 48)
    area = bench.inspect_tab.findChild(QScrollArea)
    assert area.widget().minimumSizeHint().width() <= area.viewport().width()


def test_an_answer_that_comes_after_its_slide_was_closed_is_dropped(bench, answered):
    prediction = answered("colon-epithelium")
    controller = bench.workbench.classification
    run = controller._run
    bench.viewer.layers.clear()
    assert bench.workbench.state.answer is None
    controller._on_succeeded(run, prediction)
    assert bench.workbench.state.answer is None
    assert list(bench.viewer.layers) == []


def test_cutting_a_tree_again_loads_no_classifier(bench, answered, monkeypatch):
    answered("breast-malignancy")
    ask_for_clusters(bench, 5)

    def refuse(*arguments, **options):
        raise AssertionError("the classifier was loaded again")

    monkeypatch.setattr("napari_mil.inference.classifier.load_classifier", refuse)
    bench.inspect_tab.cluster_box.setValue(6)
    bench.wait_for_jobs()
    assert len(coloured(bench, "clusters")) == 6
