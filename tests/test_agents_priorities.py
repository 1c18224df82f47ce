"""Prioritised draws, against the formulas of arXiv 1511.05952."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workflow_src.agents.priorities import EPS, Proportional, Rank, build
from workflow_src.errors import UserError


class Middle:
    """A generator that draws the middle of each part of equal mass."""

    def random(self, number):
        return np.full(number, 0.5)


def shares(priorities, chance, draws=4000, number=32, seed=0):
    """How often each slot is drawn, and the chance that was said of it; chi-square is checked."""
    rng = np.random.default_rng(seed)
    size = len(chance)
    counts, said = np.zeros(size), np.zeros(size)
    for _ in range(draws):
        slots, chances = priorities.sample(number, rng)
        assert slots.shape == chances.shape == (number,)
        np.add.at(counts, slots[slots >= 0], 1)
        said[slots] = chances
    mean = chance * draws * number
    # The variance of stratified draws is the smaller one.
    assert ((counts - mean) ** 2 / mean).sum() < size + 4 * np.sqrt(2 * size)
    return counts / counts.sum(), said


def test_stratified_draws_of_any_number_have_the_same_frequencies():
    chance = np.arange(1, 21) / 210
    for number in (1, 7, 50):
        priorities = Proportional(20, 1.0)
        priorities.add(np.arange(20))
        priorities.update(np.arange(20), np.arange(1, 21) - EPS)
        found, _ = shares(priorities, chance, 20_000 // number, number)
        assert np.abs(found - chance).max() < 0.01


@pytest.mark.parametrize("size", [5, 64, 100])
def test_proportional_frequencies(size):
    priorities, rng = Proportional(size, 0.6), np.random.default_rng(1)
    priorities.add(np.arange(size))
    deltas = rng.exponential(size=size).astype(np.float32)
    priorities.update(np.arange(size), deltas)
    chance = (deltas.astype(float) + EPS) ** 0.6
    chance /= chance.sum()
    found, said = shares(priorities, chance)
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
    found, said = shares(priorities, chance)
    assert said == pytest.approx(chance, rel=1e-6)
    assert np.abs(found - chance).max() < 0.004


@pytest.mark.parametrize("kind", [Proportional, Rank])
def test_equal_priorities_are_each_drawn_once(kind):
    priorities = kind(64, 0.0 if kind is Rank else 0.6)
    priorities.add(np.arange(64))
    slots, chances = priorities.sample(64, np.random.default_rng(0))
    assert sorted(slots.tolist()) == list(range(64)) and chances == pytest.approx(1 / 64)


@pytest.mark.parametrize("kind", [Proportional, Rank])
def test_draws_are_stratified(kind):
    """Draw ``i`` of ``k`` lies where the summed chances pass through [i / k, (i + 1) / k]."""
    size, number, rng = 100, 32, np.random.default_rng(4)
    priorities = kind(size, 0.7)
    priorities.add(np.arange(size))
    deltas = rng.exponential(size=size)
    priorities.update(np.arange(size), deltas)
    if kind is Rank:
        priorities._sort()
        ordered, chance = np.argsort(-deltas), np.arange(1.0, size + 1) ** -0.7
    else:
        ordered, chance = np.arange(size), (deltas + EPS) ** 0.7
    above = np.cumsum(chance / chance.sum())
    place = np.argsort(ordered)  # of a slot in the order
    parts = np.arange(number) / number
    for _ in range(50):
        slots, _ = priorities.sample(number, rng)
        upper = above[place[slots]]
        lower = upper - (chance / chance.sum())[place[slots]]
        assert (upper > parts - 1e-9).all() and (lower < parts + 1 / number + 1e-9).all()


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


def everything_that_can_be_drawn(priorities):
    """Slots with their chances, found with draws that lie close together."""
    slots, chances = priorities.sample(20_000, Middle())
    return set(zip(slots.tolist(), chances.round(12).tolist(), strict=True))


changes = st.lists(
    st.tuples(
        st.sampled_from(["add", "update", "update", "resume"]),
        st.integers(1, 9),
        st.integers(0, 2**32 - 1),
    ),
    min_size=1,
    max_size=30,
)


@given(size=st.integers(10, 60), changes=changes)
@settings(max_examples=80, deadline=None)
def test_proportional_is_a_plain_list(size, changes):
    """Whatever is added and updated: a list of priorities, of which each is drawn by its share."""
    priorities, plain, largest, newest = Proportional(size, 0.5), {}, 1.0, 0
    for change, number, seed in [("add", 1, 0), *changes]:
        rng = np.random.default_rng(seed)
        if change == "add":
            slots = (newest + np.arange(number)) % size
            newest += number
            priorities.add(slots)
            plain |= dict.fromkeys(slots.tolist(), largest)
        elif change == "update":
            slots, deltas = rng.choice(list(plain), number), rng.random(number) * 3 - 1.5
            priorities.update(slots, deltas.astype(np.float32))
            for slot, delta in zip(slots.tolist(), deltas.astype(np.float32), strict=True):
                plain[slot] = (abs(float(delta)) + EPS) ** 0.5
                largest = max(largest, plain[slot])
        else:
            state, priorities = priorities.state(), Proportional(size, 0.5)
            priorities.restore(state)
    total = sum(plain.values())
    slots, chances = priorities.sample(500, Middle())
    for i, (slot, chance) in enumerate(zip(slots.tolist(), chances, strict=True)):
        assert chance == pytest.approx(plain[slot] / total, rel=1e-9)
        before = sum(value for other, value in plain.items() if other < slot) / total
        assert before - 1e-9 <= (i + 0.5) / 500 <= before + chance + 1e-9


@given(size=st.integers(20, 80), every=st.integers(1, 12), changes=changes)
@settings(max_examples=80, deadline=None)
def test_rank_is_a_plain_list(size, every, changes):
    """Newest first, then the order of the last sort, out of which overwritten ones have fallen."""
    priorities, every = Rank(size, 0.5, every), max(1, min(every, size // 10))
    deltas, order, fresh, largest, newest = {}, [], [], 1.0, 0

    def ranked():
        return sorted(deltas, key=lambda slot: (-np.float32(deltas[slot]), slot))

    for change, number, seed in [("add", 1, 0), *changes]:
        rng = np.random.default_rng(seed)
        if change == "add":
            slots = ((newest + np.arange(number)) % size).tolist()
            newest += number
            priorities.add(np.array(slots))
            if len(fresh) + number > every:
                order, fresh = ranked(), []
            deltas |= dict.fromkeys(slots, largest)
            order, fresh = [-1 if slot in slots else slot for slot in order], fresh + slots
            if number > every:
                order, fresh = ranked(), []
        elif change == "update":
            slots, errors = rng.choice(list(deltas), number), rng.random(number) * 3 - 1.5
            priorities.update(slots, errors)
            deltas |= dict(zip(slots.tolist(), np.abs(errors).tolist(), strict=True))
            largest = max(largest, np.abs(errors).max())
        else:
            state, priorities = priorities.state(), Rank(size, 0.5, every)
            priorities.restore(state)
    slots = fresh[::-1] + order
    chance = np.arange(1.0, len(slots) + 1) ** -0.5
    chance = (chance / chance.sum()).round(12).tolist()
    wanted = set(zip(slots, chance, strict=True))
    assert everything_that_can_be_drawn(priorities) == wanted


def test_a_state_stays_as_it_was():
    for kind in (Proportional, Rank):
        priorities = kind(50, 0.7)
        priorities.add(np.arange(20))
        state, again = priorities.state(), priorities.state()
        other = kind(50, 0.7)
        other.restore(state)
        for one in (priorities, other):
            one.update(np.arange(9), np.full(9, 7.0))
            one.add(np.arange(20, 40))
        assert state.keys() == again.keys() and state["largest"] == again["largest"] == 1
        assert all(np.array_equal(state[name], again[name]) for name in state)


def test_a_restored_tree_has_the_same_sums_to_the_byte():
    one, other, rng = Proportional(1000, 0.6), Proportional(1000, 0.6), np.random.default_rng(0)
    one.add(np.arange(900))
    for _ in range(200):
        one.update(rng.integers(900, size=32), rng.exponential(size=32))
    other.restore(one.state())
    assert np.array_equal(one._tree, other._tree) and one._largest == other._largest


def test_signs_of_errors_do_not_count():
    for kind in (Proportional, Rank):
        one, other = kind(30, 0.7), kind(30, 0.7)
        deltas = np.random.default_rng(0).normal(size=30)
        for priorities, errors in ((one, deltas), (other, -deltas)):
            priorities.add(np.arange(30))
            priorities.update(np.arange(30), errors)
            priorities.add(np.array([0]))  # sorts the ranks, in which the largest error counts
        assert everything_that_can_be_drawn(one) == everything_that_can_be_drawn(other)
        assert one.state()["largest"] == other.state()["largest"] > 1


def test_ranks_are_sorted_every_tenth_of_the_memory_at_the_latest():
    assert Rank(1_000_000, 0.7)._every == 10_000
    assert Rank(640, 0.7)._every == 64
    # More streams than that: sorted at every step.
    priorities = Rank(64, 1.0)
    priorities.add(np.arange(16))
    priorities.update(np.arange(16), np.arange(16) / 8)
    priorities.add(np.arange(16, 32))
    assert priorities._count == 0 and not priorities._stale.any()
    # The new ones have the largest error so far, 15 / 8, which slot 15 has too.
    assert priorities._order.tolist() == [*range(15, 32), *range(14, -1, -1)]


def test_a_tree_never_draws_what_has_no_mass():
    priorities = Proportional(1000, 0.6)
    priorities.add(np.arange(0, 1000, 7))
    slots, chances = priorities.sample(5000, np.random.default_rng(0))
    assert (slots % 7 == 0).all() and (chances > 0).all()


def test_kinds_by_name():
    with pytest.raises(UserError, match="kind: 'ranks'; choose rank or proportional"):
        build(10, kind="ranks", alpha=0.7)
