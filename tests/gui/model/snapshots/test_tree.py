"""What the tree panel shows of an answer, its cut and its replay."""

from dataclasses import replace

import numpy as np
import pytest

from napari_mil.aggregators.agglomeration import ward_tree
from napari_mil.gui.controllers.inspection import missing_inquiry
from napari_mil.gui.model import actions
from napari_mil.gui.model import tree as tree_actions
from napari_mil.gui.model.answers import Linkage, cluster_groups
from napari_mil.gui.model.display import Kind
from napari_mil.gui.model.panels import Panel
from napari_mil.gui.model.scene import scene
from napari_mil.gui.model.shown_groups import shown_groups
from napari_mil.gui.model.snapshots.inspect import inspect_snapshot
from napari_mil.gui.model.snapshots.tree import (
    ABOVE_CUT,
    GROWING,
    NO_FEATURES,
    NOT_GROWN,
    NOT_YET,
    NOTHING_YET,
    STILL_RUNNING,
    tree_snapshot,
)
from napari_mil.gui.model.tree import Replay
from tests.gui.model import builders as build

N = 30
POINTS = np.random.default_rng(0).normal(size=(N, 4)) + 4 * np.eye(4)[np.arange(N) % 4]
TREE = ward_tree(POINTS)


@pytest.fixture
def asked():
    """Return a state with the panel open and an answer about features, without a tree."""
    state = build.state_of(build.features_subject(n=N))
    state = build.answered(state, build.answer(state.current_subject, build.card()))
    return actions.set_panel_shown(state, Panel.TREE, shown=True)


@pytest.fixture
def grown(asked):
    state = actions.add_tree(asked, 1, "malignancy", Linkage.WARD, TREE)
    return actions.choose_clusters(state, 4)


def replayed(state, merged):
    replay = Replay(1, "malignancy", state.linkage, merged)
    state = actions.choose_kind(state, Kind.CLUSTERS)
    return actions.change_tree(state, lambda panel: tree_actions.show_merges(panel, replay))


class TestGrowing:
    def test_without_an_answer_there_is_no_tree(self):
        assert tree_snapshot(build.state_of()).reason == NOTHING_YET

    def test_an_open_panel_asks_for_the_tree_whatever_is_coloured(self, asked):
        assert asked.display.kind is not Kind.CLUSTERS
        assert missing_inquiry(asked).linkage is Linkage.WARD
        closed = actions.set_panel_shown(asked, Panel.TREE, shown=False)
        assert missing_inquiry(closed) is None
        assert tree_snapshot(asked).reason == GROWING

    def test_a_tree_that_failed_is_asked_for_again_only_by_the_button(self, asked):
        state = actions.start_inquiry(asked, missing_inquiry(asked))
        state = actions.choose_kind(state, Kind.ATTENTION)
        state = actions.end_inquiry(state, failed=True)
        assert missing_inquiry(state) is None
        assert (tree_snapshot(state).reason, tree_snapshot(state).can_ask) == (NOT_GROWN, True)
        assert state.display.kind is Kind.ATTENTION, "the map did not wait for the tree"
        assert missing_inquiry(actions.ask_for_tree(state)).linkage is Linkage.WARD

    def test_another_tree_can_be_asked_for_after_one_failed(self, asked):
        state = actions.start_inquiry(asked, missing_inquiry(asked))
        state = actions.end_inquiry(state, failed=True)
        state = actions.choose_clusters(state, linkage=Linkage.AVERAGE)
        assert missing_inquiry(state).linkage is Linkage.AVERAGE

    def test_features_that_are_gone_are_said_to_be(self, asked):
        said = asked.shown_answer
        gone = replace(said, prediction=replace(said.prediction, features=None))
        state = replace(asked, answers=(gone,))
        assert tree_snapshot(state).reason == NO_FEATURES
        assert missing_inquiry(state) is None

    def test_a_run_under_way_has_no_tree(self, grown):
        subject = grown.current_subject
        run = build.run(
            subject, grown.card, layout=subject.layout, columns={"attention": np.ones(N)}
        )
        assert tree_snapshot(replace(grown, run=run)).reason == STILL_RUNNING

    def test_the_method_that_merges_offers_its_own_merges_in_place_of_single_linkage(self, grown):
        state = actions.choose_clusters(grown, linkage=Linkage.SINGLE)
        said = state.shown_answer
        own = replace(said, prediction=replace(said.prediction, tree=TREE))
        assert state.linkage is Linkage.SINGLE
        assert replace(state, answers=(own,)).linkage is Linkage.OWN


class TestCut:
    @pytest.mark.parametrize("collapsed", [True, False])
    def test_clusters_have_the_numbers_sizes_and_glyphs_of_the_slide(self, grown, collapsed):
        state = actions.change_tree(grown, lambda panel: tree_actions.collapse(panel, collapsed))
        state = actions.choose_kind(state, Kind.CLUSTERS)
        clusters = tree_snapshot(state).drawing.clusters
        groups, _ = shown_groups(state, state.shown_answer)
        on_slide = {(group.name, group.glyph, len(group.instances)) for group in groups}
        assert {(each.name, each.glyph, each.size) for each in clusters} == on_slide

    def test_the_instances_of_a_branch_are_those_of_the_cluster(self, grown):
        drawing = tree_snapshot(grown).drawing
        assert drawing.is_collapsed
        by_name = {group.name: set(group.instances) for group in cluster_groups(TREE, 4)}
        for place, leaf in enumerate(drawing.dendrogram.order):
            cluster = drawing.clusters[place]
            assert set(drawing.instances(leaf)) == by_name[cluster.name]
            assert drawing.pictured[leaf] in by_name[cluster.name]
            assert drawing.colours[leaf] == int(cluster.name) - 1
        whole = 2 * drawing.dendrogram.n_leaves - 2
        assert len(drawing.instances(whole)) == N

    @pytest.mark.parametrize("collapsed", [True, False])
    def test_each_instance_is_in_the_leaf_that_holds_it(self, grown, collapsed):
        state = actions.change_tree(grown, lambda panel: tree_actions.collapse(panel, collapsed))
        drawing = tree_snapshot(state).drawing
        leaves = drawing.leaves_of(np.arange(N))
        assert all(i in drawing.instances(leaf) for i, leaf in enumerate(leaves))

    def test_the_same_cut_is_drawn_once(self, grown):
        again = actions.select(grown, [1])
        assert tree_snapshot(grown).drawing is tree_snapshot(again).drawing

    def test_there_are_never_more_clusters_than_instances(self, grown):
        state = actions.choose_clusters(grown, 48)
        snapshot = tree_snapshot(state)
        assert (snapshot.n_clusters, snapshot.most_clusters) == (N, N)
        assert len(snapshot.drawing.clusters) == N

    def test_the_selection_of_another_subject_is_not_marked(self, grown):
        state = actions.select(grown, [2, 5])
        assert tree_snapshot(state).selected == (2, 5)
        elsewhere = replace(state, selection=replace(state.selection, subject=99))
        assert tree_snapshot(elsewhere).selected == ()

    def test_inspect_says_where_the_instance_is_in_the_tree(self, grown):
        state = actions.select(grown, [3])
        rows = dict(inspect_snapshot(state).instance.rows)
        (group,) = [each for each in cluster_groups(TREE, 4) if 3 in each.instances]
        merge = int(np.flatnonzero((TREE.triplets[:, :2] == 3).any(1))[0])
        assert rows["Tree"] == (
            f"cluster {group.name} of 4 (Ward), {len(group.instances)} instances; "
            f"merged at height {TREE.heights[merge]:.3g}"
        )


class TestReplay:
    def test_it_colours_what_has_merged_so_far_in_the_colours_of_the_cut(self, grown):
        glyphs = {
            i: group.glyph for group in cluster_groups(TREE, 4) for i in group.instances.tolist()
        }
        before = set()
        for merged in range(N):
            state = replayed(grown, merged)
            groups, _ = shown_groups(state, state.shown_answer)
            done = {i for group in groups for i in group.instances.tolist()}
            touched = TREE.triplets[:merged, :2]
            assert done == set(touched[touched < N].tolist())
            assert before <= done
            before = done
            if merged <= N - 4:
                assert all(glyphs[i] == g.glyph for g in groups for i in g.instances.tolist())
        assert len(groups) == 1, "at the end all are one"

    def test_merges_beyond_the_cut_take_the_colour_of_the_largest_cluster(self, grown):
        state = replayed(grown, N - 1)
        (group,), _ = shown_groups(state, state.shown_answer)
        assert group.name == "1"

    def test_the_slide_and_the_panel_say_the_same_merge(self, grown):
        state = replayed(grown, 7)
        assert scene(state).legend.text.startswith(f"7 of {N - 1} merges (Ward)")
        snapshot = tree_snapshot(state)
        left, right, _ = TREE.triplets[6]
        assert snapshot.title == (
            f"merge 7 of {N - 1} at height {TREE.heights[6]:.3g}: "
            f"{TREE.sizes[left]} + {TREE.sizes[right]} instance"
            f"{'' if TREE.sizes[right] == 1 else 's'} (Ward)"
        )
        assert snapshot.merged == 7

    @pytest.mark.parametrize("collapsed", [True, False])
    def test_merges_to_come_are_faint(self, grown, collapsed):
        state = actions.change_tree(grown, lambda panel: tree_actions.collapse(panel, collapsed))
        drawing = tree_snapshot(state).drawing
        for merged in (0, 5, N - 4, N - 1):
            colours = drawing.colours_after(merged)
            n = drawing.dendrogram.n_leaves
            # Merges that are drawn, those of highest numbers.
            to_come = min(N - 1 - merged, n - 1)
            assert (colours[n:] == NOT_YET).sum() == to_come
        assert (drawing.colours_after(N - 1) != NOT_YET).all()
        assert (drawing.colours_after(None) == drawing.colours).all()
        assert ABOVE_CUT in drawing.colours

    def test_it_ends_with_the_panel_the_tree_or_the_answer(self, grown):
        state = replayed(grown, 7)
        assert state.merged == 7
        assert actions.set_panel_shown(state, Panel.TREE, shown=False).merged is None
        assert actions.choose_clusters(state, linkage=Linkage.AVERAGE).merged is None
        assert replace(state, subjects=(), current=None).merged is None
        assert actions.change_tree(state, tree_actions.end_replay).merged is None
