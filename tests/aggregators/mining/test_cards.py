import pytest

from napari_mil.aggregators.mining.cards import (
    STRATEGIES,
    MaskRatios,
    check_shares,
    published_settings,
)


@pytest.mark.parametrize("transmil", [False, True])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_published_shares_fit_their_strategy(strategy, transmil):
    settings = published_settings(strategy, transmil=transmil)
    shares = {kind: getattr(settings, kind) for kind in STRATEGIES[strategy].kinds}
    assert all(share > 0 for share in shares.values())
    check_shares(strategy, {**shares, "drawn": settings.drawn})


@pytest.mark.parametrize("ratios", [{"low": 1.0}, {"random": -0.1}, {"drawn": 0.0}, {"drawn": 1.1}])
def test_shares_out_of_range_are_refused(ratios):
    with pytest.raises(ValueError, match=r"lies in [\[(]0, 1"):
        MaskRatios(**ratios)


def test_a_share_of_a_kind_that_is_not_masked_is_named():
    with pytest.raises(ValueError, match="ham masks high instances only; leave out low, random"):
        check_shares("ham", {"random": 0.1, "low": 0.1, "high": 0.1})
