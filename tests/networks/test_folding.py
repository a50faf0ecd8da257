import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from napari_mil.networks import folding
from napari_mil.networks.efficientnet_lite import EfficientNetLite0Trunk
from napari_mil.networks.folding import FoldedTrunk, rounded_with_sums


def random_trunk():
    torch.manual_seed(0)
    trunk = EfficientNetLite0Trunk((2, 5)).eval()
    for module in trunk.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.5, 0.5)
            module.running_var.uniform_(0.5, 2)
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.uniform_(module.bias, -0.5, 0.5)
    return trunk


@pytest.mark.parametrize("shape", [(64, 64), (45, 71)], ids=["even", "odd"])
@pytest.mark.parametrize("fuses", [True, False], ids=["oneDNN", "torch"])
def test_maps_are_those_of_the_network_with_its_norms(shape, fuses, monkeypatch):
    if fuses and not folding.has_fused_convolutions():
        pytest.skip("this torch has no convolutions of oneDNN")
    monkeypatch.setattr(folding, "has_fused_convolutions", lambda: fuses)
    trunk = random_trunk()
    images = torch.rand(2, 3, *shape) * 2 - 1
    with torch.inference_mode():
        for folded, published in zip(FoldedTrunk(trunk)(images), trunk(images), strict=True):
            assert folded.shape == published.shape
            assert torch.allclose(folded, published, atol=1e-4, rtol=1e-4)


def test_the_first_layers_stay_in_float32():
    folded = FoldedTrunk(random_trunk(), torch.bfloat16)
    assert folded.stem.weight.dtype == torch.float32
    dtypes = [{weight.dtype for weight in block.parameters()} for block in folded.blocks]
    assert dtypes[0] == {torch.float32}
    assert all(each == {torch.bfloat16} for each in dtypes[1:])


@given(st.integers(0, 2**32 - 1), st.sampled_from([3, 5]))
def test_rounded_kernels_keep_their_sums(seed, side):
    generator = torch.Generator().manual_seed(seed)
    kernels = torch.randn(8, 1, side, side, generator=generator)
    # Differences of neighbours: the sum is almost nothing.
    kernels -= kernels.mean((2, 3), keepdim=True)
    rounded = rounded_with_sums(kernels)
    assert torch.equal(rounded, rounded.bfloat16().float()), "bfloat16 holds them exactly"
    smallest = kernels.abs().flatten(1).amin(1)
    sums = kernels.double().sum((1, 2, 3))
    plain_error = (kernels.bfloat16().double().sum((1, 2, 3)) - sums).abs()
    error = (rounded.double().sum((1, 2, 3)) - sums).abs()
    # At most half a step, 2^-8, of the last value, which took up what was left.
    largest = kernels.abs().flatten(1).amax(1)
    assert (error <= 2**-8 * (smallest + 2**-8 * largest)).all()
    assert error.sum() <= plain_error.sum()
    # A value is off by half a step of its own and half of one passed on.
    assert (rounded - kernels).abs().amax() <= 2**-7 * kernels.abs().amax()
