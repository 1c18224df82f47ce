"""Pairs of frames as methods draw them, against plain loops."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trainings import CORRECTED, PAPER, index

from workflow_src.config.methods import MethodProtocol
from workflow_src.training.objective import EpisodeIndex, draw_pairs

pytestmark = pytest.mark.usefixtures("one_thread")


def pairs(episodes, switches, seed=0, epochs=1):
    rng = np.random.default_rng(seed)
    return np.concatenate([draw_pairs(episodes, switches, rng) for _ in range(epochs)])


def test_every_pair_of_neighbours_once():
    # Three episodes that do not follow one another: frames 10; 20, 21, 22; 40, 41.
    episodes = EpisodeIndex(np.array([10, 20, 40]), np.array([1, 3, 2]))
    found = pairs(episodes, CORRECTED)
    assert found.dtype == np.int64
    assert sorted(map(tuple, found)) == [(20, 21), (21, 22), (40, 41)]
    orders = {tuple(map(tuple, pairs(episodes, CORRECTED, seed))) for seed in range(50)}
    assert orders == set(itertools.permutations([(20, 21), (21, 22), (40, 41)]))


def test_pairs_of_the_2019_code_wrap_within_their_episode():
    episodes = EpisodeIndex(np.array([10, 20, 40]), np.array([1, 3, 2]))
    found = pairs(episodes, PAPER, epochs=200)
    assert len(found) == 200 * 6
    assert set(map(tuple, found)) == {(10, 10), (22, 20), (20, 21), (21, 22), (41, 40), (40, 41)}


@pytest.mark.parametrize("wrap_pairs", [True, False])
@pytest.mark.parametrize("lengths", [(2, 300), (1, 50, 7, 2)])
def test_with_replacement_episodes_are_alike_and_so_are_the_frames_of_each(wrap_pairs, lengths):
    switches = PAPER.model_copy(update={"wrap_pairs": wrap_pairs})
    episodes = index(*lengths)
    found = pairs(episodes, switches, epochs=40000 // sum(lengths))
    eligible = [n if wrap_pairs else n - 1 for n in lengths]
    alive = sum(n > 0 for n in eligible)
    for first, length, places in zip(episodes.first, lengths, eligible, strict=True):
        mine = found[(found[:, 1] >= first) & (found[:, 1] < first + length)]
        deviation = math.sqrt(len(found) / alive)
        assert abs(len(mine) - len(found) * (places > 0) / alive) <= 5 * deviation
        counts = np.unique(mine[:, 1], return_counts=True)[1]
        assert len(counts) == places
        assert all(
            abs(counts - len(mine) / max(places, 1)) < 6 * math.sqrt(len(mine) / max(places, 1))
        )


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.integers(1, 6), min_size=1, max_size=6),
    st.booleans(),
    st.sampled_from(["replacement", "permutation"]),
    st.integers(0, 99),
)
def test_every_pair_is_two_frames_of_one_episode(lengths, wrap_pairs, sampling, seed):
    episode = np.repeat(np.arange(len(lengths)), lengths)
    if all(n == 1 for n in lengths) and not wrap_pairs:
        lengths.append(2)
        episode = np.append(episode, [len(lengths) - 1] * 2)
    switches = MethodProtocol(wrap_pairs=wrap_pairs, keep="last", sampling=sampling)
    found = pairs(index(*lengths, start=5), switches, seed) - 5
    assert len(found) == (sum(lengths) if wrap_pairs else sum(lengths) - len(lengths))
    before, after = found.T
    assert np.array_equal(episode[before], episode[after])
    wrapped = np.array([lengths[e] - 1 for e in episode[after]]) == before - after
    assert ((after - before == 1) | wrapped).all()
    if not wrap_pairs:
        assert (after - before == 1).all()
    if sampling == "permutation":
        assert len(set(after)) == len(after)


@pytest.mark.parametrize("sampling", ["replacement", "permutation"])
def test_episodes_of_one_frame_have_no_pairs(sampling):
    switches = MethodProtocol(wrap_pairs=False, keep="last", sampling=sampling)
    assert pairs(index(1, 1, 1), switches).shape == (0, 2)


@pytest.mark.parametrize("switches", [PAPER, CORRECTED])
def test_pairs_depend_on_the_seed(switches):
    one, again, other = (pairs(index(40, 60), switches, seed) for seed in (1, 1, 2))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
