import numpy as np
import pytest
import torch

from napari_mil.aggregators.output import link as link_of_tensors
from napari_mil.training.evaluation.answers import (
    Link,
    given_classes,
    labelled_bags,
    one_of_two,
    path_in,
    per_class,
)
from tests.training.evaluation.sample_answers import answers
from tests.training.sample_cohorts import put, table


@pytest.mark.parametrize("link", Link)
def test_probabilities_are_those_of_the_networks_own_link(link):
    some = answers(link)
    tensors = link_of_tensors(torch.from_numpy(some.logits), some.multi_label).numpy()
    expected = np.concatenate([1 - tensors, tensors], -1) if link is Link.SIGMOID else tensors
    np.testing.assert_allclose(some.probabilities, expected, atol=1e-12)


def test_of_two_classes_the_second_is_given_from_the_threshold_on():
    p = np.array([[0.7, 0.3], [0.6, 0.4]])
    given = given_classes(p, np.array([0.3, 0.5]), Link.SOFTMAX)
    assert given.tolist() == [[False, True], [True, False]]


def test_of_three_classes_the_likeliest_is_given_whatever_the_threshold():
    p = np.array([[0.4, 0.35, 0.25]])
    assert given_classes(p, np.array([0.9]), Link.SOFTMAX).tolist() == [[True, False, False]]


def test_of_labels_all_that_reach_the_threshold_are_given():
    p = np.array([[0.4, 0.8, 0.1]])
    assert given_classes(p, np.array([0.4]), Link.MULTI_LABEL).tolist() == [[True, True, False]]


def test_two_softmax_outputs_are_judged_as_one_of_the_same_probability():
    logits = np.random.default_rng(0).normal(size=(2, 5, 2))
    one = one_of_two(logits, Link.SOFTMAX)
    assert one.shape == (2, 5, 1)
    np.testing.assert_allclose(per_class(one, Link.SIGMOID), per_class(logits, Link.SOFTMAX))


def test_a_choice_of_bags_keeps_their_answers():
    some = answers()
    few = some.only(np.array([4, 1]))
    assert [bag.path for bag in few.bags] == [some.bags[4].path, some.bags[1].path]
    np.testing.assert_array_equal(few.probabilities, some.probabilities[:, [4, 1]])
    np.testing.assert_array_equal(few.fold_of, some.fold_of[:, [4, 1]])


def test_bags_are_named_below_the_folder_or_whole_elsewhere(tmp_path):
    elsewhere = put(tmp_path / "elsewhere" / "b.npy")
    put(tmp_path / "root" / "sub" / "a.npy")
    cohort = table(tmp_path / "root", f"slide,label\nsub/a.npy,x\n{elsewhere},y\n")
    names = [bag.path for bag in labelled_bags(cohort)]
    assert names == ["sub/a.npy", elsewhere.as_posix()]
    assert path_in(cohort, cohort.bags[0]) == "sub/a.npy"
