"""Prioritised draws, against the formulas of arXiv 1511.05952."""

import numpy as np
import pytest

from workflow_src.agents.priorities import EPS, Proportional, Rank, build
from workflow_src.errors import UserError


def shares(priorities, size, draws=4000, number=32, seed=0):
    """How often each slot is drawn, and the chance that was said of it."""
    rng = np.random.default_rng(seed)
    counts, said = np.zeros(size), np.zeros(size)
    for _ in range(draws):
        slots, chances = priorities.sample(number, rng)
        np.add.at(counts, slots[slots >= 0], 1)
        said[slots] = chances
    return counts / counts.sum(), said


@pytest.mark.parametrize("size", [5, 64, 100])
def test_proportional_frequencies(size):
    priorities, rng = Proportional(size, 0.6), np.random.default_rng(1)
    priorities.add(np.arange(size))
    deltas = rng.exponential(size=size).astype(np.float32)
    priorities.update(np.arange(size), deltas)
    chance = (deltas.astype(float) + EPS) ** 0.6
    chance /= chance.sum()
    found, said = shares(priorities, size)
    assert said == pytest.approx(chance, rel=1e-6)
    assert np.abs(found - chance).max() < 0.004


def test_rank_frequencies():
    size = 200
    priorities, rng = Rank(size, 0.7), np.random.default_rng(2)
    priorities.add(np.arange(size))
    deltas = rng.permutation(size).astype(np.float32)
    priorities.update(np.arange(size), deltas)
    priorities._sort()
    chance = (size - deltas) ** -0.7  # the largest error has rank 1
    chance /= chance.sum()
    found, said = shares(priorities, size)
    assert said == pytest.approx(chance, rel=1e-6)
    assert np.abs(found - chance).max() < 0.004


@pytest.mark.parametrize("kind", [Proportional, Rank])
def test_draws_are_stratified(kind):
    """One of each part of equal mass: equal priorities are drawn almost equally often."""
    priorities = kind(64, 0.0 if kind is Rank else 0.6)
    priorities.add(np.arange(64))
    slots, chances = priorities.sample(64, np.random.default_rng(0))
    assert sorted(slots.tolist()) == list(range(64)) and chances == pytest.approx(1 / 64)


def test_new_transitions_have_the_largest_priority_so_far():
    priorities = Proportional(8, 1.0)
    priorities.add(np.arange(4))
    priorities.update(np.array([1]), np.array([5.0]))
    priorities.update(np.array([1]), np.array([0.5]))
    priorities.add(np.array([4]))
    rng = np.random.default_rng(0)
    slots, chances = priorities.sample(1000, rng)
    ratio = chances[slots == 4][0] / chances[slots == 1][0]
    assert ratio == pytest.approx((5 + EPS) / (0.5 + EPS))


@pytest.mark.parametrize("kind", [Proportional, Rank])
def test_of_a_slot_that_is_named_twice_the_last_error_counts(kind):
    one, other = kind(16, 0.7), kind(16, 0.7)
    for priorities in (one, other):
        priorities.add(np.arange(16))
    one.update(np.array([3, 5, 3]), np.array([9.0, 2.0, 0.1]))
    other.update(np.array([5, 3]), np.array([2.0, 0.1]))
    if kind is Rank:
        one._sort(), other._sort()
    a, b = (p.sample(16, np.random.default_rng(1)) for p in (one, other))
    assert np.array_equal(a[0], b[0])


def test_between_two_sorts_ranks_stay_and_new_ones_stand_in_front():
    priorities = Rank(100, 1.0, sort_every=10)
    for start in range(0, 100, 5):
        priorities.add(np.arange(start, start + 5))
    priorities.update(np.arange(100), np.arange(100, dtype=float))
    priorities._sort()
    assert priorities._order[:3].tolist() == [99, 98, 97]
    priorities.update(np.array([0]), np.array([1000.0]))
    assert priorities._order[:3].tolist() == [99, 98, 97]
    priorities.add(np.array([40, 41]))
    slots, chances = priorities.sample(20_000, np.random.default_rng(0))
    mass = (1 / np.arange(1, 103)).sum()
    assert chances[slots == 41][0] == pytest.approx(1 / mass)  # the newest is first
    assert chances[slots == 40][0] == pytest.approx(1 / 2 / mass)
    assert chances[slots == 99][0] == pytest.approx(1 / 3 / mass)
    # Their old places in the order are drawn again.
    assert (slots == -1).mean() == pytest.approx((1 / 61 + 1 / 62) / mass, rel=0.3)
    priorities.add(np.arange(9))
    assert priorities._order[0] in (0, 40, 41)  # sorted again: the largest error stands first
    assert (priorities.sample(1000, np.random.default_rng(0))[0] >= -1).all()


@pytest.mark.parametrize("kind", ["rank", "proportional"])
def test_a_state_goes_on_alike(kind):
    one, other = (build(50, kind=kind, alpha=0.7) for _ in range(2))
    rng = np.random.default_rng(0)
    for _ in range(30):
        one.add(rng.integers(50, size=1))
        one.update(rng.integers(50, size=4), rng.random(4))
    other.restore(one.state())
    for _ in range(30):
        slot, delta = rng.integers(50, size=2), rng.random(2)
        for priorities in (one, other):
            priorities.add(slot[:1])
            priorities.update(slot, delta)
        seed = int(rng.integers(1000))
        a, b = (p.sample(8, np.random.default_rng(seed)) for p in (one, other))
        assert np.array_equal(a[0], b[0]) and np.array_equal(a[1], b[1])


def test_a_tree_never_draws_what_has_no_mass():
    priorities = Proportional(1000, 0.6)
    priorities.add(np.arange(0, 1000, 7))
    slots, chances = priorities.sample(5000, np.random.default_rng(0))
    assert (slots % 7 == 0).all() and (chances > 0).all()


def test_kinds_by_name():
    with pytest.raises(UserError, match="kind: 'ranks'; choose rank or proportional"):
        build(10, kind="ranks", alpha=0.7)
