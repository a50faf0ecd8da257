"""The dock in a real window: one slide, one bag, two classifiers."""

from napari_mil.gui.samples import BAG, sample_path


def test_with_nothing_open_there_is_one_sentence_and_what_can_be_done(bench):
    assert bench.workbench.start_page.isVisible()
    assert not bench.workbench.tabs.isVisible()


def test_one_click_classifies_and_shows_where_the_model_looked(bench, slide_path):
    bench.open(slide_path)
    prediction = bench.classify()
    assert prediction.label in " ".join(bench.classify_tab.card.texts)
    assert bench.layer("attention").visible


def test_every_subject_keeps_its_own_answer(bench, slide_path):
    bench.open(slide_path)
    prediction = bench.classify()
    slide = bench.state.current
    bench.open(sample_path(BAG))
    assert bench.state.shown_answer is None
    bench.classify_tab.subject_box.choose(slide)
    bench.wait()
    assert bench.state.shown_answer.prediction is prediction
