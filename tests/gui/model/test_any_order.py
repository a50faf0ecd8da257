"""Whatever a person and the jobs do, in any order, the window tells one truth."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from napari_mil.events import EpochEnded, Watched
from napari_mil.exports.maps import ScaleMode
from napari_mil.gui.model import actions, comparing
from napari_mil.gui.model import training as training_actions
from napari_mil.gui.model.answers import Inquiry, Linkage
from napari_mil.gui.model.compared import (
    answer_question,
    canvas_view,
    compared_map,
    question_of,
)
from napari_mil.gui.model.comparing import CompareView
from napari_mil.gui.model.display import Kind, Look, Role
from napari_mil.gui.model.hovering import hover_words
from napari_mil.gui.model.inputs import UNDETECTED, inputs_now, reason_not_to_fit
from napari_mil.gui.model.mining import Mining
from napari_mil.gui.model.panels import Panel
from napari_mil.gui.model.scene import scene
from napari_mil.gui.model.session import Closeup, Session
from napari_mil.gui.model.snapshots.classify import classify_snapshot
from napari_mil.gui.model.snapshots.compare import compare_snapshot
from napari_mil.gui.model.snapshots.embedding import embedding_snapshot
from napari_mil.gui.model.snapshots.inspect import inspect_snapshot
from napari_mil.gui.model.snapshots.slide import slide_snapshot
from napari_mil.gui.model.snapshots.train import history_snapshot, train_snapshot
from napari_mil.gui.model.snapshots.window import window_snapshot
from napari_mil.gui.model.subjects import AnnotationLayer, SubjectKind
from napari_mil.gui.model.training import Watch
from napari_mil.inference.card import FEATURES, IMAGES
from napari_mil.inference.projections import Method, Projection
from tests.gui.model import builders as build

OVERLAYS = (Role.OVERLAY, Role.GROUPS, Role.MARKS)
CARDS = (
    build.card(),
    build.card("grade", classes=("low", "middle", "high"), link="softmax"),
    build.card("dsmil", aggregator="dsmil"),
    build.card("hamil", aggregator="hamil"),
    build.card("polyps", instances=IMAGES),
    build.card("bare", instances=FEATURES),
)
NAMES = [card.name for card in CARDS]
STRATEGIES = ("ham", "lr-ham")
KINDS = ("high", "low", "random")
some = st.integers(0, 7)
step = st.sampled_from((-1, 1))


class Window(RuleBasedStateMachine):
    """One session under actions in any order."""

    def __init__(self):
        super().__init__()
        self.session = Session(build.state_of(cards=CARDS))
        self.told = self.session.state
        self.session.changed.connect(self.hear)
        self.old_runs = []
        self.tissues = {}
        self.made_from = {}

    def hear(self, before, after):
        assert before is self.told
        self.told = after

    @property
    def state(self):
        return self.session.state

    @property
    def subject(self):
        return self.state.current_subject

    def key(self, number):
        keys = [subject.key for subject in self.state.subjects]
        return keys[number % len(keys)]

    def apply(self, action, *arguments, loses=(), replaces=(), **options):
        before = self.state
        self.session.apply(action, *arguments, **options)
        kept = {(a.subject, a.classifier): a.prediction for a in self.state.answers}
        for said in before.answers:
            pair = (said.subject, said.classifier)
            if said.subject in loses:
                assert pair not in kept
            elif pair not in replaces:
                assert kept[pair] is said.prediction
        if not replaces:
            assert len(kept) <= len(before.answers)

    # What is open

    @initialize(n=st.integers(0, 2))
    def open_slides(self, n):
        for _ in range(n):
            self.open(SubjectKind.SLIDE, 0.5, 1)

    @rule(kind=st.sampled_from(SubjectKind), mpp=st.sampled_from((None, 0.25, 0.5)), many=some)
    def open(self, kind, mpp, many):
        key = self.state.next_key
        if kind is SubjectKind.SLIDE:
            subject = build.slide_subject(key, f"{many}.svs", mpp=mpp)
        elif kind is SubjectKind.IMAGES:
            subject = build.images_subject(key, f"{many}", n=many + 1)
        else:
            slide = None if mpp is None else build.FakeSlide().at(mpp)
            subject = build.features_subject(key, f"{many}.h5", n=many + 1, slide=slide)
        self.apply(actions.add_subject, subject)
        assert self.subject.key == key

    @precondition(lambda self: self.state.subjects)
    @rule(number=some)
    def close(self, number):
        key = self.key(number)
        self.apply(actions.close_subject, key, loses=(key,))
        assert self.state.subject(key) is None

    @precondition(lambda self: self.state.subjects)
    @rule(number=some)
    def choose_subject(self, number):
        key = self.key(number)
        before = self.state.answer(key, self.state.subject(key).shown_classifier)
        self.apply(actions.choose_subject, key)
        assert self.state.shown_answer is before

    @rule(by=step)
    def step_subject(self, by):
        self.apply(actions.step_subject, by)

    @precondition(lambda self: self.subject and self.subject.slide)
    @rule(mpp=st.sampled_from((0.25, 0.5, 1.0)))
    def enter_scale(self, mpp):
        before = scene(self.state)
        old = self.subject.placement.unit
        self.apply(actions.set_slide, self.subject.key, self.subject.slide.at(mpp))
        after = scene(self.state)
        assert [layer.key for layer in before.layers] == [layer.key for layer in after.layers]
        self.moved_together(before, after, mpp / old)

    def moved_together(self, before, after, ratio):
        others = {("subject", str(s.key)) for s in self.state.subjects if s is not self.subject}
        for one, other in zip(before.layers, after.layers, strict=True):
            if one.key in others:
                continue
            if other.role in (Role.MARKS, Role.SELECTION):
                np.testing.assert_allclose(other.data, one.data * ratio)
                np.testing.assert_allclose(other.size, one.size * ratio)
            elif other.role is Role.ANNOTATIONS:
                np.testing.assert_allclose(other.data, one.data * ratio)
            else:
                np.testing.assert_allclose(
                    [other.affine.scale, other.affine.translate],
                    np.multiply([one.affine.scale, one.affine.translate], ratio),
                )

    @precondition(lambda self: self.subject and self.subject.kind is SubjectKind.SLIDE)
    @rule(fraction=st.sampled_from((0.0, 0.3, 0.9)), painted=st.booleans())
    def change_tissue(self, fraction, painted):
        mask = build.mask(fraction)
        self.apply(actions.set_tissue, self.subject.key, mask, painted=painted)
        assert self.subject.tissue.mask is mask

    @precondition(lambda self: self.subject)
    @rule()
    def remove_tissue(self):
        self.apply(actions.remove_tissue, self.subject.key)

    @rule(number=some)
    def choose_tissue(self, number):
        offered = classify_snapshot(self.state).tissue.entries
        self.apply(actions.set_tissue_choice, offered[number % len(offered)].key)

    @rule(level=st.sampled_from((None, 0, 1)))
    def choose_level(self, level):
        self.apply(actions.set_level, level)

    @precondition(lambda self: self.subject and self.subject.kind is SubjectKind.SLIDE)
    @rule(name=st.sampled_from(("a.geojson", "b.xml")))
    def annotate(self, name):
        outlines = np.arange(8, dtype=float).reshape(2, 2, 2)
        layer = AnnotationLayer(name, outlines, ("tumour",), 1)
        self.apply(actions.add_annotations, self.subject.key, layer)

    # Classifiers and runs

    @rule(number=some)
    def choose_classifier(self, number):
        name = self.state.cards[number % len(self.state.cards)].name
        self.apply(actions.choose_classifier, name)
        assert self.state.classifier == name
        if self.subject and self.state.answer(self.subject.key, name) is not None:
            assert self.state.shown_answer.classifier == name

    @rule(seed=some)
    def replace_card(self, seed):
        name = NAMES[seed % len(NAMES)]
        new = replace(CARDS[seed % len(NAMES)], temperature=1.0 + seed)
        self.apply(actions.add_card, new)
        assert self.state.card is new
        assert self.state.classifier == name

    @rule(gone=st.sampled_from(NAMES))
    def list_cards(self, gone):
        cards = [card for card in CARDS if card.name != gone]
        self.apply(actions.set_cards, cards)
        assert self.state.card is not None

    def _fits(self):
        subject = self.subject
        card = self.state.card
        return subject and card and not reason_not_to_fit(card, subject)

    @precondition(_fits)
    @rule()
    def start_run(self):
        if self.state.run is not None:
            self.old_runs.append(self.state.run)
        number = self.state.next_key
        self.apply(actions.start_run, build.run(self.subject, self.state.card, number))
        assert self.state.run.number == number

    @precondition(lambda self: self.state.run and self.state.run.layout is None)
    @rule(rows=st.integers(1, 3), size=st.sampled_from((200.0, 500.0)), detects=st.booleans())
    def count_tiles(self, rows, size, detects):
        run = self.state.run
        layout = self.state.subject(run.subject).layout
        if layout is None:
            layout = build.grid_layout(rows, 2, size=size)
        self.apply(actions.update_run, run.number, layout=layout, total=len(layout))
        if detects and run.inputs.tissue == UNDETECTED:
            self.apply(actions.keep_detected_tissue, run.number, build.mask())

    @precondition(lambda self: self.state.run and self.state.run.layout is not None)
    @rule(done=st.integers(0, 4))
    def some_values_come(self, done):
        run = self.state.run
        values = build.values(len(run.layout), done)
        values[done:] = np.nan
        last = run.inputs.classifier.classes[-1]
        columns = {"attention": values, f"score_{last}": values}
        self.apply(actions.update_run, run.number, done=done, columns=columns)
        self.apply(actions.add_run_remark, run.number, "One tile is enlarged.")

    @precondition(lambda self: self.state.run and self.state.run.layout is not None)
    @rule(seed=some)
    def finish_run(self, seed):
        run = self.state.run
        self.old_runs.append(run)
        card = run.inputs.classifier
        answer = build.answer(
            self.state.subject(run.subject),
            card,
            layout=run.layout,
            inputs=run.inputs,
            seed=seed,
            critical=card.name == "dsmil",
            remarks=run.remarks,
        )
        pair = (run.subject, card.name)
        self.made_from[pair] = self.tissue_of(run)
        self.apply(actions.finish_run, run.number, answer, replaces=(pair,))
        assert self.state.answer(*pair) is answer
        assert self.state.run is None
        if run.subject == self.state.current:
            assert self.state.shown_answer is answer

    def tissue_of(self, run):
        tissue = self.state.subject(run.subject).tissue
        if tissue is None or run.inputs.tissue != tissue.version:
            return None
        return tissue.mask

    @precondition(lambda self: self.state.run)
    @rule(message=st.sampled_from(("", "There is no tissue.")))
    def end_run(self, message):
        self.old_runs.append(self.state.run)
        self.apply(actions.end_run, self.state.run.number, message)
        assert self.state.run is None

    @precondition(lambda self: self.old_runs)
    @rule(number=some)
    def a_late_event_of_an_ended_run(self, number):
        old = self.old_runs[number % len(self.old_runs)]
        before = self.state
        layout = old.layout or build.grid_layout(1, 1)
        subject = build.slide_subject(old.subject)
        late = build.answer(subject, old.inputs.classifier, layout=layout)
        self.apply(actions.update_run, old.number, done=3, layout=layout)
        self.apply(actions.add_run_remark, old.number, "late")
        self.apply(actions.keep_detected_tissue, old.number, build.mask())
        self.apply(actions.finish_run, old.number, late)
        self.apply(actions.end_run, old.number, "late")
        assert self.state is before

    @precondition(_fits)
    @rule(rows=st.integers(1, 3), size=st.sampled_from((200.0, 500.0)), seed=some)
    def classify(self, rows, size, seed):
        self.start_run()
        self.count_tiles(rows, size, detects=True)
        self.some_values_come(2)
        self.finish_run(seed)

    # What is asked of an answer

    @precondition(lambda self: self.state.shown_answer)
    @rule(linkage=st.sampled_from(Linkage), comes=st.booleans())
    def ask_for_a_tree(self, linkage, comes):
        answer = self.state.shown_answer
        where = (answer.subject, answer.classifier)
        self.apply(actions.start_inquiry, Inquiry(*where, linkage=linkage))
        if comes:
            tree = build.tree(len(answer.layout))
            self.apply(actions.add_tree, *where, linkage, tree)
            self.apply(actions.end_inquiry)

    @precondition(lambda self: self.state.shown_answer)
    @rule(strategy=st.sampled_from(STRATEGIES), comes=st.booleans())
    def ask_for_masks(self, strategy, comes):
        answer = self.state.shown_answer
        where = (answer.subject, answer.classifier)
        self.apply(actions.start_inquiry, Inquiry(*where, mining=Mining(strategy)))
        if comes:
            masks = build.mined(len(answer.layout))
            self.apply(actions.add_masks, *where, Mining(strategy), masks)
            self.apply(actions.end_inquiry)

    @precondition(lambda self: self.state.shown_answer)
    @rule(method=st.sampled_from(Method))
    def lay_out(self, method):
        answer = self.state.shown_answer
        points = np.zeros((len(answer.layout), 2), np.float32)
        projection = Projection(method, points, (0.5, 0.25))
        features = answer.prediction.features
        where = (answer.subject, answer.classifier)
        self.apply(actions.add_projection, *where, features, projection)

    @precondition(lambda self: self.state.inquiry)
    @rule(failed=st.booleans())
    def end_inquiry(self, failed):
        self.apply(actions.end_inquiry, failed=failed)

    # Display and selection

    @rule(kind=st.sampled_from(Kind))
    def choose_kind(self, kind):
        self.apply(actions.choose_kind, kind)

    @rule(name=st.sampled_from(("", "tumour", "middle", "masked")))
    def choose_name(self, name):
        self.apply(actions.choose_name, name)

    @rule(by=step)
    def step_name(self, by):
        self.apply(actions.step_name, by)

    @rule(scale=st.sampled_from(ScaleMode))
    def choose_scale(self, scale):
        self.apply(actions.choose_scale, scale)

    @rule(n=st.sampled_from((2, 8, 48)), linkage=st.sampled_from(Linkage))
    def choose_clusters(self, n, linkage):
        self.apply(actions.choose_clusters, n, linkage)

    @rule(strategy=st.sampled_from(STRATEGIES))
    def choose_strategy(self, strategy):
        self.apply(actions.choose_strategy, strategy)

    @rule(kind=st.sampled_from(KINDS), share=st.sampled_from((0.0, 0.02, 0.5)))
    def choose_share(self, kind, share):
        self.apply(actions.choose_share, kind, share)

    @rule()
    def toggle_overlay(self):
        before = self.shown_overlays()
        self.apply(actions.toggle_overlay)
        after = self.shown_overlays()
        self.apply(actions.toggle_overlay)
        assert self.shown_overlays() == before
        self.apply(actions.toggle_overlay)
        assert not (before and after)

    @rule(view=st.sampled_from(CompareView), seen=st.booleans(), place=st.sampled_from((0.0, 0.4)))
    def compare(self, view, seen, place):
        self.session.compare(comparing.choose_view, view)
        self.session.compare(comparing.move_curtain, place)
        self.apply(actions.set_panel_shown, Panel.COMPARE, shown=seen)
        if canvas_view(self.state) is not CompareView.SHOWN:
            assert len(compared_map(self.state).image) > 0
        question = question_of(self.state)
        if question is not None:
            self.session.compare(comparing.set_figures, answer_question(question))
            assert not compare_snapshot(self.state).is_measuring

    @rule(role=st.sampled_from(Role), visible=st.booleans())
    def click_an_eye(self, role, visible):
        self.apply(actions.set_look, role, Look(visible=visible))

    @precondition(lambda self: self.state.layout is not None)
    @rule(instances=st.lists(st.integers(0, 9), min_size=1, max_size=3))
    def select(self, instances):
        self.apply(actions.select, instances)

    @rule(by=step)
    def step_selection(self, by):
        self.apply(actions.step_selection, by)

    @precondition(lambda self: self.state.selection)
    @rule()
    def pixels_come(self):
        selection = self.state.selection
        pixels = np.zeros((2, 2, 3), np.uint8)
        self.apply(actions.set_closeup, Closeup(selection.subject, selection.instance, pixels))
        assert self.state.closeup.pixels is pixels

    @rule(text=st.sampled_from(("a.svs is no slide.", "b.svs is no slide.")))
    def notice(self, text):
        self.apply(actions.add_notice, text)
        assert self.state.notices[-1].text == text

    @precondition(lambda self: self.state.notices)
    @rule(number=some)
    def close_notice(self, number):
        notices = self.state.notices
        key = notices[number % len(notices)].key
        self.apply(actions.close_notice, key)
        assert len(self.state.notices) == len(notices) - 1

    # Training

    @precondition(lambda self: self.subject and self.subject.kind is SubjectKind.SLIDE)
    @rule()
    def train_and_watch(self):
        watch = Watch(self.subject.path, "run-1", ("normal", "tumour"))
        self.session.train(training_actions.start, Path("run-1"), watch, judges=False)

    @rule(rows=st.integers(1, 3))
    def lay_out_the_watched_bag(self, rows):
        watch = self.state.training.watch
        if watch is not None and watch.layout is None:
            layout = build.grid_layout(rows, 1)
            self.session.train(training_actions.set_watch_layout, layout, "training")

    @precondition(
        lambda self: (
            self.state.training.watch is not None and self.state.training.watch.layout is not None
        )
    )
    @rule(mined=st.booleans(), shows=st.booleans())
    def end_an_epoch(self, mined, shows):
        n = len(self.state.training.watch.layout)
        masks = build.mined(n) if mined else {}
        watched = Watched(build.values(n), "score", np.array([0.2, 0.8], np.float32), masks)
        epoch = len(self.state.training.rows) + 1
        self.session.train(training_actions.add_epoch, EpochEnded(epoch, {"loss": 1.0}, watched))
        if shows:
            self.apply(actions.show_training)

    # What always holds

    def overlays(self):
        return [layer for layer in scene(self.state).layers if layer.role in OVERLAYS]

    def shown_overlays(self):
        return [layer.key for layer in self.overlays() if layer.visible]

    @invariant()
    def every_change_was_told(self):
        assert self.told is self.state

    @invariant()
    def at_most_one_overlay_exists(self):
        assert len(self.overlays()) <= 1

    @invariant()
    def one_subject_is_seen(self):
        seen = [
            layer
            for layer in scene(self.state).layers
            if layer.role is Role.SUBJECT and layer.visible
        ]
        current = self.state.current
        assert all(layer.key == ("subject", str(current)) for layer in seen)
        assert (current is None) == (not self.state.subjects)

    @invariant()
    def the_subjects_have_names_of_their_own(self):
        names = [subject.name for subject in self.state.subjects]
        assert len(set(names)) == len(names)

    @invariant()
    def card_title_legend_and_overlay_speak_of_the_same(self):
        state = self.state
        drawn = scene(state)
        shown = [layer for layer in self.overlays() if layer.visible]
        card = classify_snapshot(state).card
        title = "" if state.current_subject is None else state.current_subject.name
        assert drawn.title == window_snapshot(state).title == title
        assert (drawn.legend is None) == (not shown)
        who = None
        if state.shown_watch is not None:
            who = state.shown_watch.run
        elif state.shown_run is not None and state.shown_run.columns:
            who = state.shown_run.inputs.classifier.name
        elif state.shown_answer is not None:
            who = state.shown_answer.classifier
        for layer in shown:
            assert f" · {who} · {title}" in layer.name
            said = drawn.legend.text.split(" · ")
            if compared_map(state) is None:
                assert who in said
            else:
                assert said[0].startswith(f"{who} ")
        if card is not None:
            assert card.about == f"{title} · {state.shown_answer.classifier}"
            assert state.shown_answer.subject == state.current

    @invariant()
    def an_answer_is_about_an_open_subject_and_is_the_only_one_of_its_kind(self):
        pairs = [(answer.subject, answer.classifier) for answer in self.state.answers]
        assert len(set(pairs)) == len(pairs)
        assert all(self.state.subject(key) is not None for key, _ in pairs)

    @invariant()
    def a_card_that_is_not_stale_was_made_from_what_is_there_now(self):
        answer = self.state.shown_answer
        card = classify_snapshot(self.state).card
        if answer is None or card is None or self.state.card is None:
            return
        now = inputs_now(self.subject, self.state.card)
        assert (card.stale == "") == (answer.inputs == now)
        mask = self.made_from[answer.subject, answer.classifier]
        if not card.stale and mask is not None:
            assert self.subject.tissue.mask is mask

    @invariant()
    def the_selection_lies_within_the_layout(self):
        selection = self.state.selection
        if selection is None or selection.subject != self.state.current:
            return
        layout = self.state.layout
        assert max(selection.instances) < len(layout)
        (drawn,) = [s for s in scene(self.state).layers if s.role is Role.SELECTION]
        assert len(drawn.data) == len(selection.instances)

    @invariant()
    def all_layers_of_a_subject_have_its_units(self):
        drawn = scene(self.state)
        assert {layer.units for layer in drawn.layers} <= {drawn.units}

    @invariant()
    def every_box_shows_one_of_its_choices(self):
        inspect = inspect_snapshot(self.state)
        classify = classify_snapshot(self.state)
        boxes = (
            classify.subjects,
            classify.tissue,
            classify.tiles,
            classify.devices,
            classify.classifiers,
            inspect.kinds,
            inspect.scales,
        )
        for box in boxes:
            if box.entries and box.current is not None:
                assert box.current in [entry.key for entry in box.entries], box

    @invariant()
    def inspect_knows_whether_the_overlay_is_hidden(self):
        if self.overlays() and inspect_snapshot(self.state).subject:
            assert inspect_snapshot(self.state).visible == bool(self.shown_overlays())

    @invariant()
    def points_are_the_instances_of_the_shown_answer(self):
        snapshot = embedding_snapshot(self.state)
        if snapshot.projection is None:
            assert snapshot.reason
            return
        n = len(self.state.shown_answer.layout)
        assert len(snapshot.projection.points) == len(snapshot.colours.order) == n
        assert all(instance < n for instance in snapshot.selected)

    @invariant()
    def every_view_and_every_place_has_words(self):
        state = self.state
        slide_snapshot(state)
        train_snapshot(state)
        history_snapshot(state)
        layout = state.layout
        if self.subject is None or layout is None:
            return
        for centre in self.subject.placement.centres(layout, np.arange(len(layout))):
            words = hover_words(state, tuple(centre))
            assert words == "" or f" · {self.subject.noun} " in words


Window.TestCase.settings = settings(max_examples=60, stateful_step_count=50)
TestWindow = Window.TestCase
