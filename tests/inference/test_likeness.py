"""How unlike the training data of a classifier a bag is."""

import numpy as np
import pytest

from napari_mil.inference.likeness import Likeness, Unlikeness, as_vectors, describe

DIM = 40


def cohort(n_patients=40, bags_each=2, size=60, seed=0, shift=0.0):
    """Bags of a few clusters whose centres differ a little from patient to patient."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(3, DIM)) * 3
    bags, patients = [], []
    for p in range(n_patients):
        own = random.normal(size=DIM) * 0.5
        for _ in range(bags_each):
            kind = random.integers(0, 3, size)
            bags.append(
                (centres[kind] + own + random.normal(size=(size, DIM)) + shift).astype("f4")
            )
            patients.append(f"p{p}")
    return bags, patients


@pytest.fixture(scope="module")
def likeness():
    return describe(*cohort())


def test_bags_of_new_patients_are_rarely_called_unlike(likeness):
    bags, _ = cohort(n_patients=150, bags_each=1, seed=1)
    found = [likeness.unlikeness(bag) for bag in bags]
    assert np.mean([each.is_unlike for each in found]) < 0.12
    assert 0.02 < np.mean([each.share for each in found]) < 0.10


def test_bags_from_elsewhere_are_called_unlike(likeness):
    bags, _ = cohort(n_patients=20, bags_each=1, seed=2, shift=3.0)
    assert all(likeness.unlikeness(bag).is_unlike for bag in bags)


def test_what_the_principal_axes_leave_out_counts_too():
    random = np.random.default_rng(0)
    flat = random.normal(size=(5, 40)).astype(np.float32)
    bags = [
        (random.normal(size=(50, 5)) @ flat + 0.01 * random.normal(size=(50, 40)))
        for _ in range(20)
    ]
    bags = [bag.astype(np.float32) for bag in bags]
    likeness = describe(bags, [str(k) for k in range(20)])
    off = np.linalg.svd(flat)[2][-1].astype(np.float32)
    assert likeness.unlikeness(bags[0] + off).is_unlike


def test_a_few_odd_instances_are_marked_in_a_bag_that_is_not_unlike(likeness):
    bag = cohort(n_patients=1, bags_each=1, seed=5)[0][0]
    bag[:10] += 8
    found = likeness.unlikeness(bag)
    assert not found.is_unlike
    assert (found.instances[:10] > 1).all()
    assert (found.instances[10:] > 1).mean() < 0.3


def test_a_patient_with_many_bags_counts_once():
    bags, patients = cohort(n_patients=30, bags_each=1)
    odd = [bags[0] + 6 for _ in range(30)]
    with_many = describe(bags + odd, patients + ["odd"] * 30)
    with_one = describe([*bags, odd[0]], [*patients, "odd"])
    assert with_many.bag_limit < 2 * with_one.bag_limit


def test_the_description_is_small_and_holds_no_instance_of_its_own_precision(likeness):
    tensors = likeness.tensors()
    assert sum(array.nbytes for array in tensors.values()) < 1_000_000
    assert tensors["likeness.prototypes"].dtype == np.float16


def test_a_description_comes_back_from_its_arrays_to_the_bit(likeness):
    again = Likeness.from_tensors({**likeness.tensors(), "features.mean": np.zeros(3)})
    bag = cohort(n_patients=1, bags_each=1, seed=7)[0][0]
    before = likeness.unlikeness(bag)
    after = again.unlikeness(bag)
    assert np.array_equal(before.instances, after.instances)
    assert before.bag == after.bag
    assert again.patients == 40
    assert Likeness.from_tensors({"features.mean": np.zeros(3)}) is None


def test_the_same_bags_give_the_same_description():
    bags, patients = cohort(n_patients=12)
    first = describe(bags, patients, seed=3).tensors()
    second = describe(bags, patients, seed=3).tensors()
    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_parts_that_do_not_fit_together_are_refused(likeness):
    tensors = likeness.tensors()
    tensors["likeness.mean"] = np.zeros(3, np.float32)
    with pytest.raises(ValueError, match="fit together"):
        Likeness.from_tensors(tensors)
    del tensors["likeness.limits"]
    with pytest.raises(KeyError):
        Likeness.from_tensors(tensors)


def test_few_patients_have_no_description():
    bags, patients = cohort(n_patients=4)
    assert describe(bags, patients) is None


@pytest.mark.parametrize("size", [1, 3])
def test_tiny_bags_and_constant_features_are_described(size):
    bags, patients = cohort(n_patients=8, size=size)
    bags = [np.concatenate([bag, np.ones((len(bag), 2), "f4")], 1) for bag in bags]
    found = describe(bags, patients).unlikeness(bags[0])
    assert np.isfinite(found.instances).all()
    assert np.isfinite(found.bag)


def test_maps_are_averaged_over_their_places():
    maps = np.random.default_rng(0).normal(size=(4, DIM, 3, 3)).astype(np.float32)
    assert np.allclose(as_vectors(maps), maps.mean((2, 3)))
    assert as_vectors(maps[..., 0, 0]) is not None


def test_the_limits_are_one():
    found = Unlikeness(np.array([0.5, 0.9, 1.1, 3.0], np.float32), 1.2)
    assert found.is_unlike
    assert found.share == 0.5
    assert not Unlikeness(found.instances, 1.0).is_unlike
