import numpy as np
import pytest

from napari_mil.errors import OptionError
from napari_mil.training.evaluation import protocols
from napari_mil.training.evaluation.cross_validation import cross_validate
from napari_mil.training.evaluation.protocols import choose_on_test


def test_published_rules_choose_as_they_say():
    targets = np.array([0, 0, 1, 1])
    epochs = np.array([[3.0, 2.0, 1.0, 0.0], [0.0, 1.0, 5.0, 6.0], [0.0, 3.0, 2.0, 5.0]])[
        :, :, None
    ]
    assert choose_on_test(protocols.LAST_EPOCH, targets, epochs) == (2, 0.5)
    epoch, threshold = choose_on_test(protocols.BEST_AUC, targets, epochs)
    assert epoch == 1
    assert 0.73 < threshold < 0.994
    assert choose_on_test(protocols.BEST_ACCURACY, targets, epochs)[0] == 1


@pytest.mark.parametrize("aggregator", ["clam-sb", "dtfd", "sa-abmil", "hamil"])
def test_a_protocol_that_was_honest_or_is_not_known_is_not_made_up(
    cohort, quick, settings, aggregator
):
    with pytest.raises(OptionError, match="no published protocol"):
        cross_validate(
            cohort,
            quick(aggregator=aggregator, aggregator_options={}),
            protocol="published",
            settings=settings,
        )
