"""What the embedding shows."""

from dataclasses import replace

import numpy as np
import pytest

from napari_mil.exports.maps import ScaleMode, scaled
from napari_mil.gui.model import actions
from napari_mil.gui.model import embedding as embedding_actions
from napari_mil.gui.model.answers import Linkage
from napari_mil.gui.model.display import Kind, Look, Role, Window, scale_of
from napari_mil.gui.model.embedding import Embedding, Wanted
from napari_mil.gui.model.mining import Mining
from napari_mil.gui.model.panels import Panel
from napari_mil.gui.model.snapshots import embedding as module
from napari_mil.gui.model.snapshots.embedding import (
    NO_COLOUR,
    NO_FEATURES,
    NOTHING_YET,
    UNDESCRIBED,
    embedding_snapshot,
    missing_projection,
)
from napari_mil.inference.projections import UMAP_EXTRA, Method, Projection
from tests.gui.model import builders as build

WANTED = Wanted(1, "malignancy", Method.PCA)


def projection(n=6, method=Method.PCA):
    shares = (0.5, 0.25) if method is Method.PCA else None
    return Projection(method, np.arange(2 * n, dtype=np.float32).reshape(n, 2), shares)


def shown(state):
    return replace(state, panels=frozenset({Panel.EMBEDDING}))


@pytest.fixture
def asked():
    """An answer whose instances are not laid out yet, with the panel open."""
    subject = build.features_subject()
    return shown(build.answered(build.state_of(subject), build.answer(subject, build.card())))


@pytest.fixture
def laid_out(asked):
    return with_projection(asked, projection())


def with_projection(state, made):
    features = state.shown_answer.prediction.features
    return actions.add_projection(state, 1, "malignancy", features, made)


class TestWhatIsMissing:
    def test_the_layout_is_wanted_while_the_panel_is_seen(self, asked):
        assert missing_projection(asked) == WANTED
        assert missing_projection(replace(asked, panels=frozenset())) is None

    def test_a_layout_is_kept_by_answer_and_method(self, laid_out):
        assert missing_projection(laid_out) is None
        other = replace(laid_out, embedding=Embedding(Method.UMAP))
        assert missing_projection(other) == replace(WANTED, method=Method.UMAP)

    def test_a_layout_of_other_features_is_not_kept(self, asked):
        after = actions.add_projection(asked, 1, "malignancy", object(), projection())
        assert after.shown_answer.projections == {}

    def test_what_failed_is_not_tried_again_until_it_is_chosen_again(self, asked):
        begun = embedding_actions.begin(asked.embedding, WANTED)
        ended = embedding_actions.end(begun, WANTED, failed=True)
        assert missing_projection(replace(asked, embedding=ended)) is None
        again = embedding_actions.choose_method(ended, Method.PCA)
        assert missing_projection(replace(asked, embedding=again)) == WANTED

    def test_after_umap_was_cancelled_pca_is_shown(self):
        wanted = replace(WANTED, method=Method.UMAP)
        begun = embedding_actions.begin(Embedding(Method.UMAP), wanted)
        assert embedding_actions.end(begun, wanted, failed=True).method is Method.PCA
        assert embedding_actions.end(begun, WANTED, failed=True) is begun


class TestWhatIsSaid:
    def test_without_an_answer_or_its_features_it_says_why(self, asked):
        assert embedding_snapshot(build.state_of()).reason == NOTHING_YET
        answer = asked.shown_answer
        bare = replace(answer, prediction=replace(answer.prediction, features=None))
        state = replace(asked, answers=(bare,))
        assert embedding_snapshot(state).reason == NO_FEATURES
        assert missing_projection(state) is None

    def test_while_it_is_computed_it_says_so(self, asked):
        working = replace(asked, embedding=embedding_actions.begin(asked.embedding, WANTED))
        snapshot = embedding_snapshot(working)
        assert snapshot.reason == "Laying out 6 instances…"
        assert not snapshot.can_cancel

    def test_pca_stays_while_umap_is_computed_and_can_be_cancelled(self, laid_out):
        wanted = replace(WANTED, method=Method.UMAP)
        embedding = embedding_actions.begin(Embedding(Method.UMAP), wanted)
        snapshot = embedding_snapshot(replace(laid_out, embedding=embedding))
        assert snapshot.can_cancel
        assert snapshot.projection.method is Method.PCA
        assert snapshot.title.startswith("6 instances · PCA; UMAP is being computed…")

    def test_the_title_says_method_variance_and_colours(self, laid_out):
        title = embedding_snapshot(laid_out).title
        assert title == "6 instances · PCA, 50 % and 25 % of the variance · score: tumour"
        umap = with_projection(laid_out, projection(method=Method.UMAP))
        umap = replace(umap, embedding=Embedding(Method.UMAP))
        assert embedding_snapshot(umap).title == "6 instances · UMAP · score: tumour"

    def test_umap_says_how_to_install_it(self, laid_out, monkeypatch):
        monkeypatch.setattr(module, "has_umap", lambda: False)
        assert embedding_snapshot(laid_out).methods.entries[1].reason == UMAP_EXTRA
        monkeypatch.setattr(module, "has_umap", lambda: True)
        assert embedding_snapshot(laid_out).methods.entries[1].reason == ""

    def test_the_selected_instance_says_how_unlike_it_is(self, laid_out):
        state = actions.select(laid_out, (1, 4))
        assert embedding_snapshot(state).selected == (1, 4)
        assert embedding_snapshot(state).note == (
            f"2 instances selected; Instance 4: {UNDESCRIBED}"
        )
        answer = state.shown_answer
        columns = {**answer.columns, "unlike": np.linspace(0, 2.5, 6, dtype=np.float32)}
        described = replace(state, answers=(replace(answer, columns=columns),))
        assert embedding_snapshot(described).note.endswith(
            "Instance 4: unlike the training data 2.00 (1 is the limit)"
        )

    def test_the_same_state_gives_an_equal_snapshot(self, laid_out):
        assert embedding_snapshot(laid_out) == embedding_snapshot(laid_out)


class TestColours:
    @pytest.mark.parametrize("mode", ScaleMode)
    def test_values_are_on_the_scale_of_the_slide(self, laid_out, mode):
        state = actions.choose_scale(actions.choose_kind(laid_out, Kind.ATTENTION), mode)
        colours = embedding_snapshot(state).colours
        shown, low, high = scaled(state.values, mode, Kind.ATTENTION)
        expected = np.clip((shown - low) / (high - low), 0, 1)
        assert colours.shares == pytest.approx(expected, abs=1e-6)
        assert np.array_equal(colours.order, np.argsort(colours.shares, kind="stable"))
        assert colours.colormap == "viridis"

    def test_a_colour_map_that_a_person_chose_is_taken(self, laid_out):
        state = actions.set_look(laid_out, Role.OVERLAY, Look(colormap="inferno"))
        assert embedding_snapshot(state).colours.colormap == "inferno"

    def test_contributions_diverge(self, laid_out):
        state = actions.add_evidence(laid_out, 1, "malignancy", build.evidence(6))
        state = actions.choose_kind(state, Kind.CONTRIBUTION)
        colours = embedding_snapshot(actions.choose_scale(state, ScaleMode.RAW)).colours
        assert colours.colormap == "diverging"
        assert colours.shares == pytest.approx(np.linspace(0, 1, 6), abs=1e-6)
        assert set(colours.order[-2:]) == {0, 5}

    def test_what_was_taken_out_has_no_colour(self, laid_out):
        state = actions.change_what_if(laid_out, lambda what_if: what_if.drop((2,), 6))
        shares = embedding_snapshot(state).colours.shares
        assert np.flatnonzero(np.isnan(shares)).tolist() == [2]

    def test_a_window_set_by_hand_stretches_the_colours(self, laid_out):
        column = laid_out.column
        mode = scale_of(laid_out.display, column.kind)
        window = Window(column.key, mode, 0.25, 0.5)
        state = replace(laid_out, display=replace(laid_out.display, window=window))
        shares = embedding_snapshot(state).colours.shares
        assert shares == pytest.approx(np.clip((state.values - 0.25) / 0.25, 0, 1), abs=1e-6)

    def test_groups_that_are_switched_off_have_no_colour(self, laid_out):
        state = actions.add_tree(laid_out, 1, "malignancy", Linkage.WARD, build.tree(6))
        state = actions.choose_kind(state, Kind.CLUSTERS)
        state = replace(state, display=replace(state.display, hidden_groups=frozenset({"1"})))
        colours = embedding_snapshot(state).colours.fixed
        assert (colours == NO_COLOUR).all(1).sum() == 1

    def test_clusters_and_masks_have_the_colours_of_their_glyphs(self, laid_out):
        state = actions.add_tree(laid_out, 1, "malignancy", Linkage.WARD, build.tree(6))
        colours = embedding_snapshot(actions.choose_kind(state, Kind.CLUSTERS)).colours
        assert len(np.unique(colours.fixed, axis=0)) == 6
        masks = build.mined(6, ("high",))
        state = actions.add_masks(laid_out, 1, "malignancy", Mining(), masks)
        colours = embedding_snapshot(actions.choose_kind(state, Kind.MASKS)).colours
        assert colours.title == "masked by HAM (1 %)"
        assert (colours.fixed[~masks["high"]] == NO_COLOUR).all()
        assert (colours.fixed[masks["high"]] == (0xD5, 0x5E, 0)).all()
        assert set(colours.order[-2:]) == set(np.flatnonzero(masks["high"]))

    def test_until_groups_are_there_nothing_is_coloured(self, laid_out):
        colours = embedding_snapshot(actions.choose_kind(laid_out, Kind.CLUSTERS)).colours
        assert (colours.fixed == NO_COLOUR).all()
