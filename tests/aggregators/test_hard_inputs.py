"""Numbers, options and files that a careless program would choke on; each once went wrong here."""

import pickle

import numpy as np
import pytest
import torch
from scipy.cluster.hierarchy import linkage

from napari_mil.aggregators import (
    create_aggregator,
    create_miner,
    load_published_checkpoint,
    load_published_state,
    single_linkage,
)
from napari_mil.aggregators.end_to_end import EndToEnd
from napari_mil.aggregators.packing import ROWS, OneBag
from napari_mil.aggregators.pooling import lse, pool_probabilities
from napari_mil.errors import BagError, CheckpointError, OptionError
from napari_mil.networks import ResNet18


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf, 1e200])
def test_features_without_distances_are_refused_instead_of_waited_for(wrong):
    points = np.random.default_rng(0).normal(size=(20, 4))
    points[3, 1] = wrong
    with pytest.raises(BagError, match="cannot be clustered"):
        single_linkage(points)


@pytest.mark.parametrize("scale", [1e-30, 1e15, 1e60])
def test_very_small_and_very_large_numbers_have_the_same_tree(scale):
    points = np.random.default_rng(1).normal(size=(60, 5))
    assert np.array_equal(single_linkage(points * scale).triplets, single_linkage(points).triplets)


@pytest.mark.parametrize(("offset", "spread"), [(1, 1e-7), (1e3, 1e-4), (1e4, 1e-3), (-5e5, 1.0)])
def test_a_large_offset_does_not_blur_the_tree(offset, spread):
    for seed in range(3):
        points = offset + np.random.default_rng(seed).normal(size=(200, 16)) * spread
        ours, theirs = single_linkage(points).heights, linkage(points, "single")[:, 2]
        assert np.allclose(ours, theirs, rtol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("abmil", {"hidden": None}),
        ("dsmil", {}),
        ("dsmil-released", {}),
        ("clam-mb", {"hidden": None}),
    ],
)
def test_large_bags_of_16_bits_do_not_overflow(name, options, dtype):
    torch.manual_seed(0)
    aggregator = create_aggregator(name, 64, 2, **options).eval()
    bag = (torch.randn(ROWS + 500, 64) * 60).to(dtype)
    with torch.no_grad():
        output, exact = aggregator(bag), aggregator(bag.float())
    assert torch.isfinite(output.logits).all()
    assert torch.allclose(output.probabilities(), exact.probabilities(), atol=0.05)


@pytest.mark.parametrize("logit", [-200.0, -18.0, 0.0, 18.0, 200.0])
def test_pooled_probabilities_stay_finite_and_have_gradients(logit):
    for pooling in ("max", "mean", "lse"):
        scores = torch.full((5, 1), logit, requires_grad=True)
        pooled = pool_probabilities(scores, True, OneBag(), pooling)
        assert torch.isfinite(pooled).all(), pooling
        (gradient,) = torch.autograd.grad(pooled.sum(), scores)
        assert torch.isfinite(gradient).all(), pooling


def test_log_sum_exp_of_probabilities_is_what_it_says():
    scores = torch.randn(7, 1, dtype=torch.float64)
    assert torch.allclose(
        pool_probabilities(scores, True, OneBag(), "lse").sigmoid(), lse(scores.sigmoid(), OneBag())
    )
    exclusive = torch.randn(7, 3, dtype=torch.float64)
    assert torch.allclose(
        pool_probabilities(exclusive, False, OneBag(), "lse").exp(),
        lse(exclusive.softmax(1), OneBag()),
    )


def test_dtfd_averages_its_shuffles_in_logarithms():
    torch.manual_seed(0)
    aggregator = create_aggregator("dtfd", 8, 3, mean_inference=4).eval()
    assert torch.isfinite(aggregator(torch.randn(20, 8) * 1e4).logits).all()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("abmil", {"activation": "gelu"}),
        ("abmil", {"hidden": 0}),
        ("abmil", {"hidden": -1}),
        ("mi-net", {"pooling": "median"}),
        ("dtfd", {"groups": 0}),
        ("dtfd", {"mean_inference": 0}),
        ("transmil", {"hidden": 4}),
        ("transmil", {"padding": "foo"}),
        ("transmil", {"kernel": 32}),
        ("hamil", {"order": "foo"}),
        ("hamil", {"layers": 2, "hidden": 0}),
        ("ramil", {"order": "index"}),
        ("hamil-mean", {"layers": 2}),
        ("gnn-mil", {"clusters": 0}),
        ("deepmiml", {"sub_concepts": 0}),
        ("clam-sb", {"gated": "yes"}),
        ("abmil", {"multi_label": 1}),
        ("abmil", {"spatial_dims": 3}),
    ],
)
def test_options_that_make_no_sense_are_refused_by_name(name, options):
    with pytest.raises(OptionError, match="|".join([*options, "token", "convolution", "spatial"])):
        create_aggregator(name, 8, 2, **options)


@pytest.mark.parametrize(
    "options",
    [{"fusion": "foo"}, {"rank_by": "foo"}, {"tau": 0.0}, {"min_keep": 0}, {"momentum": 2.0}],
)
def test_miners_refuse_them_too(options):
    with pytest.raises(OptionError):
        create_miner("ham", create_aggregator("abmil", 8, 2), **options)


@pytest.mark.parametrize("name", ["abmil", "gated-abmil", "dsmil", "dsmil-released", "transmil"])
def test_a_teacher_with_its_dropout_on_can_rank(name):
    small = {"hidden": 32, "landmarks": 8} if name == "transmil" else {}
    miner = create_miner(
        "ham", create_aggregator(name, 12, 2, **small), teacher_dropout=True
    ).train()
    assert miner(torch.randn(30, 12), torch.tensor(1)).masks["high"].any()


def test_after_the_last_step_nothing_is_masked_any_more_but_the_kind_is_still_told():
    miner = create_miner("ham", create_aggregator("abmil", 8, 2), high=0.2).train()
    for step in (10, 20):
        miner.advance(step, 10)
        assert miner.current_ratios().high == 0
        masks = miner(torch.randn(30, 8), torch.tensor(0)).masks
        assert list(masks) == ["high"]
        assert not masks["high"].any()


def test_in_evaluation_a_miner_packs_and_reads_16_bits_as_its_student():
    student = create_aggregator("dsmil-released", 12, 2).eval()
    miner, bag, offsets = (
        create_miner("r-ham", student).eval(),
        torch.randn(9, 12),
        torch.tensor([0, 4, 9]),
    )
    assert torch.equal(
        miner.forward_packed(bag, offsets).critical, student.forward_packed(bag, offsets).critical
    )
    assert torch.equal(miner(bag.bfloat16()).logits, student(bag.bfloat16()).logits)


def test_the_teacher_copies_running_statistics():
    base = EndToEnd(ResNet18(), create_aggregator("abmil", 512, 2, hidden=None))
    miner = create_miner("ham", base).train()
    miner(torch.rand(4, 3, 32, 32), torch.tensor(1))
    assert not torch.equal(
        miner.teacher.backbone.bn1.running_mean, miner.student.backbone.bn1.running_mean
    )
    miner.update_teacher()
    assert torch.equal(
        miner.teacher.backbone.bn1.running_mean, miner.student.backbone.bn1.running_mean
    )


def test_chunks_count_each_image_once_in_running_statistics():
    network = EndToEnd(ResNet18(), create_aggregator("abmil", 512, 2, hidden=None), chunk=2).train()
    network(torch.rand(4, 3, 32, 32), torch.tensor(1)).loss.backward()
    assert network.backbone.bn1.num_batches_tracked == 2


def test_mhim_answers_with_the_mean_of_dsmils_streams():
    aggregator = create_aggregator("dsmil-released", 12, 2, average_streams=True).eval()
    output = aggregator(torch.randn(9, 12))
    expected = torch.stack([logits.softmax(0) for logits in output.streams.values()]).mean(0)
    assert torch.allclose(output.probabilities(), expected, atol=1e-6)


def test_the_first_release_of_dsmil_has_no_relu_behind_its_information():
    linear = {
        "b_classifier.q.weight": torch.randn(128, 24),
        "b_classifier.q.bias": torch.zeros(128),
        "b_classifier.v.1.weight": torch.randn(24, 24),
    }
    state = linear | {
        "b_classifier.v.1.bias": torch.zeros(24),
        "i_classifier.fc.0.weight": torch.randn(1, 24),
        "i_classifier.fc.0.bias": torch.zeros(1),
    }
    state |= {
        "b_classifier.fcc.weight": torch.randn(1, 1, 24),
        "b_classifier.fcc.bias": torch.zeros(1),
    }
    kinds = [type(layer).__name__ for layer in load_published_state(state).v]
    assert kinds == ["Dropout", "Linear"]
    assert [
        type(layer).__name__ for layer in load_published_state(state, {"passing_v": True}).v
    ] == ["Dropout", "Linear", "ReLU"]


def attention_mil():
    shapes = {
        "feature.0": (32, 24),
        "attention.0": (16, 32),
        "attention.2": (1, 16),
        "classifier.0": (2, 32),
    }
    return {
        f"{stem}.{kind}": torch.zeros(*(shape if kind == "weight" else shape[:1]))
        for stem, shape in shapes.items()
        for kind in ("weight", "bias")
    }


def opened(path):
    """The length of features, or the file that a refusal names."""
    try:
        return load_published_checkpoint(path).in_dim
    except CheckpointError as error:
        return path.name if path.name in str(error) else str(error)


def circular():
    content = {"epoch": 1}
    content["state_dict"] = content
    return content


@pytest.mark.parametrize(
    "content",
    [
        circular(),
        {**attention_mil(), "attention.2.weight": torch.tensor(1.0)},
        {**attention_mil(), "feature.0.weight": torch.zeros(1).expand(20_000, 20_000)},
        {**attention_mil(), "feature.0.weight": torch.zeros(32, 24).to_sparse()},
        {**attention_mil(), "feature.0.weight": torch.zeros(32, 24, dtype=torch.complex64)},
        {**attention_mil(), "feature.0.weight": torch.zeros(32, 24, dtype=torch.int64)},
        {
            **attention_mil(),
            "attention.3.weight": torch.zeros(1, 16),
            "attention.3.bias": torch.zeros(1),
        },
        {"dim_reduction": None, "attention": {}, "classifier": {}, "att_classifier": {}},
        {
            "dim_reduction": {3: torch.zeros(1)},
            "attention": {},
            "classifier": {},
            "att_classifier": {},
        },
        {
            "model": attention_mil(),
            "teacher": torch.zeros(1),
            "patch_to_emb.0.weight": 3,
            "feature.0.weight": None,
            "student": 5,
        },
    ],
    ids=[
        "circular",
        "0-d",
        "stretched",
        "sparse",
        "complex",
        "whole numbers",
        "two releases",
        "no group",
        "numbers as names",
        "odd teacher",
    ],
)
def test_odd_checkpoints_open_or_are_refused_in_a_sentence(content, tmp_path):
    torch.save(content, tmp_path / "odd.pth")
    assert opened(tmp_path / "odd.pth") in (24, "odd.pth")


def test_a_training_dump_without_a_teacher_or_with_foreign_tensors_opens():
    assert load_published_state({"model": attention_mil(), "teacher": None}).in_dim == 24
    assert load_published_state({"model": attention_mil(), "teacher": attention_mil()}).in_dim == 24
    lightning = {f"model.{name}": tensor for name, tensor in attention_mil().items()} | {
        "loss.weight": torch.ones(2)
    }
    assert load_published_state({"state_dict": lightning}).in_dim == 24


def test_flipped_bits_are_named(tmp_path):
    torch.save(attention_mil(), tmp_path / "whole.pth", _use_new_zipfile_serialization=False)
    whole = (tmp_path / "whole.pth").read_bytes()
    for seed in range(40):
        bits = bytearray(whole)
        for place in np.random.default_rng(seed).integers(0, len(bits), 30):
            bits[place] ^= 1 << seed % 8
        (tmp_path / "flipped.pth").write_bytes(bits)
        assert opened(tmp_path / "flipped.pth") in (24, "flipped.pth")


@pytest.mark.parametrize("name", ["sa-abmil", "transmil", "hamil"])
def test_aggregators_travel_to_other_processes(name):
    aggregator = create_aggregator(name, 16, 2).eval()
    again = pickle.loads(pickle.dumps(aggregator))
    bag = torch.randn(5, 16)
    assert torch.equal(again(bag).logits, aggregator(bag).logits)


def test_one_value_per_channel_has_no_statistics_and_takes_the_running_ones():
    aggregator = create_aggregator("hamil", 6, 2, spatial_dims=2, depthwise=True, kernel=1).train()
    assert torch.isfinite(aggregator(torch.randn(4, 6, 1, 1), torch.tensor(1)).loss)


@pytest.mark.parametrize(
    ("name", "module", "constant", "value", "options"),
    [
        ("transmil", "nystrom", "BLOCK", 32, {"hidden": 32, "landmarks": 8}),
        ("sa-abmil", "sa_abmil", "PAIRS", 700, {"gamma": 0.7}),
        ("gnn-mil", "gnn_mil", "PAIRS", 700, {}),
    ],
)
def test_other_blocks_equal_the_textbook_too(name, module, constant, value, options, monkeypatch):
    import importlib

    torch.manual_seed(0)
    aggregator, bag = create_aggregator(name, 12, 2, **options).eval(), torch.randn(150, 12)

    def answer():
        features = bag.clone().requires_grad_()
        output = aggregator(features, torch.tensor(1))
        return output.logits, torch.autograd.grad(output.loss, features)[0]

    whole = answer()
    monkeypatch.setattr(
        importlib.import_module(f"napari_mil.aggregators.{module}"), constant, value
    )
    if name == "transmil":
        monkeypatch.setattr(
            importlib.import_module("napari_mil.aggregators.transmil"), constant, value
        )
    for ours, reference in zip(answer(), whole, strict=True):
        assert torch.allclose(ours, reference, atol=1e-5)
