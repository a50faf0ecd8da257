"""Words about the instance under the mouse."""

import numpy as np

from napari_mil.gui.model import actions
from napari_mil.gui.model.display import Kind
from napari_mil.gui.model.hovering import hover_words
from napari_mil.gui.model.session import SessionState
from napari_mil.inference.card import IMAGES
from tests.gui.model import builders as build

MALIGNANCY = build.card()


class TestHover:
    def words(self, state, instance):
        placement = state.current_subject.placement
        return hover_words(state, tuple(placement.centres(state.layout, np.array([instance]))[0]))

    def test_a_value_is_told_with_its_rank(self, full):
        best = int(np.argmax(full.values))
        value = f"{full.values[best]:.3g}"
        assert self.words(full, best) == f"score: tumour {value} · rank 1 of 6 · tile {best}"

    def test_a_cluster_is_told_with_its_size(self, full):
        state = actions.choose_clusters(actions.choose_kind(full, Kind.CLUSTERS), 2)
        assert self.words(state, 0) == "cluster 1 of 2: 5 tiles · tile 0"

    def test_a_mask_and_a_critical_tile_are_told(self, full):
        assert self.words(actions.choose_kind(full, Kind.MASKS), 4) == "masked: high · tile 4"
        critical = actions.choose_kind(full, Kind.CRITICAL)
        assert self.words(critical, 0) == "critical: tumour · tile 0"
        assert self.words(critical, 1) == ""

    def test_beside_the_tiles_nothing_is_told(self, full):
        assert hover_words(full, (-50.0, -50.0)) == ""
        assert hover_words(SessionState(), (0.0, 0.0)) == ""

    def test_an_epoch_is_told_by_its_own_value(self, full):
        value = f"{build.values(2)[1]:.3g}"
        assert self.words(build.watching(full), 1) == f"score {value} · tile 1"

    def test_an_image_is_called_an_image(self):
        polyps = build.card("polyps", instances=IMAGES)
        subject = build.images_subject()
        state = build.state_of(subject, cards=(polyps,))
        state = build.answered(state, build.answer(subject, polyps))
        assert self.words(state, 3).endswith(" · image 3")
