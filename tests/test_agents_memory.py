"""The replay memory, against a plain list of everything that was ever added."""

import itertools
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from workflow_src.agents import memory as memories
from workflow_src.agents import priorities, storage
from workflow_src.agents.memory import Memory
from workflow_src.config.agents import AgentMemory as Settings
from workflow_src.emulator.environment import CONTINUES, LIFE_LOST, TERMINATED, TRUNCATED
from workflow_src.errors import UserError

pytestmark = pytest.mark.usefixtures("one_thread")

CPU = torch.device("cpu")
SHAPE = (2, 3)


def make(size=64, streams=1, history=2, n_step=1, dtype=np.uint8, ranked=None, **options):
    named = {"reward_clip": 1.0, "gamma": 0.9, "device": CPU, "priorities": ranked}
    named |= {key: options.pop(key) for key in ("heads", "reward_clip") if key in options}
    return Memory(
        Settings.model_construct(**{"size": size, "storage": "raw", "discretise": True} | options),
        frame_shape=SHAPE,
        dtype=np.dtype(dtype),
        streams=streams,
        history=history,
        n_step=n_step,
        **named,
    )


@dataclass
class Step:
    """What was added of one stream at one time."""

    frame: np.ndarray
    action: int
    reward: float
    end: int
    first: bool


def played(rng, times, streams, clears=True):
    """Random steps by time and stream: what ends an episode is followed by the first of another."""
    begins = [True] * streams
    found = []
    for time in range(times):
        row = []
        for stream in range(streams):
            end = int(rng.choice([CONTINUES] * 6 + [LIFE_LOST, TERMINATED, TRUNCATED]))
            frame = np.full(SHAPE, (time * streams + stream) % 250 + 1, np.uint8)
            reward = float(rng.integers(-2, 3))
            row.append(Step(frame, int(rng.integers(5)), reward, end, begins[stream]))
            begins[stream] = end in (TERMINATED, TRUNCATED) or (end == LIFE_LOST and clears)
        found.append(row)
    return found


def add(memory, row):
    memory.add(
        np.stack([step.frame for step in row]),
        *(np.array([getattr(step, name) for step in row]) for name in ("action", "reward")),
        np.array([step.end for step in row], np.uint8),
        np.array([step.first for step in row]),
    )


def history_of(steps, time, stream, length):
    """The frames up to ``time``, zeros before the first of the episode; None if one is unknown."""
    frames = [np.zeros(SHAPE, np.uint8)] * length
    for back in range(length):
        if time - back not in steps:
            return None
        step = steps[time - back][stream]
        frames[length - 1 - back] = step.frame
        if step.first:
            break
    return np.stack(frames)


def expected(steps, time, stream, length, n, gamma):
    """Observation, action, return, discount and successor, or None where one is not known."""
    observation = history_of(steps, time, stream, length)
    if observation is None:
        return None
    total, factor = 0.0, 1.0
    for ahead in range(n):
        if time + ahead not in steps:
            return None
        step = steps[time + ahead][stream]
        total += factor * min(max(step.reward, -1), 1)  # clipped one by one, before the sum
        factor *= gamma
        if step.end in (LIFE_LOST, TERMINATED):
            return observation, steps[time][stream].action, total, 0.0, None
        if step.end == TRUNCATED:
            return None
    if time + n not in steps:
        return None
    then = history_of(steps, time + n, stream, length)
    return observation, steps[time][stream].action, total, factor, then


class Chosen:
    """A generator that draws given slots."""

    def __init__(self, slots):
        self.slots = slots

    def integers(self, high, size):
        assert (self.slots < high).all() and size == len(self.slots)
        return self.slots


@given(
    seed=st.integers(0, 2**32),
    streams=st.integers(1, 3),
    history=st.integers(1, 4),
    n=st.integers(1, 3),
    rows=st.integers(9, 13),
    times=st.integers(1, 40),
    clears=st.booleans(),
)
@settings(max_examples=120, deadline=None)
def test_it_is_a_plain_list(seed, streams, history, n, rows, times, clears):
    """The slots that can be drawn, and all that a draw gives, also across the write pointer."""
    size = rows * streams
    memory = make(size, streams, history, n)
    everything = played(np.random.default_rng(seed), times, streams, clears)
    for row in everything:
        add(memory, row)
    kept = {time: row for time, row in enumerate(everything) if time >= times - rows}
    wanted = {}
    for time in kept:
        for stream in range(streams):
            found = expected(kept, time, stream, history, n, 0.9)
            if found is not None:
                wanted[time % rows * streams + stream] = found
    assert len(memory) == len(kept) * streams
    slots = np.arange(len(memory))
    assert set(slots[memory.valid(slots)].tolist()) == set(wanted)
    if not wanted:
        with pytest.raises(UserError, match="hardly any transition to learn from"):
            memory.sample(1, np.random.default_rng(0))
        return
    drawn = np.array(sorted(wanted))
    batch = memory.sample(len(drawn), Chosen(drawn))
    assert np.array_equal(batch.slot, drawn)
    check(batch, [wanted[slot] for slot in drawn])
    assert (batch.weight == 1).all() and batch.mask is None


step_of_a_stream = st.tuples(st.sampled_from([CONTINUES, *range(4)]), st.booleans())


@given(data=st.data(), streams=st.integers(1, 3), history=st.integers(1, 4), n=st.integers(1, 3))
@settings(max_examples=100, deadline=None)
def test_it_is_a_plain_list_whatever_happens(data, streams, history, n):
    """Any ends and first frames; new games, and resuming from files, at any moment."""
    rows = data.draw(st.integers(history + n + 2, 12))
    kind = data.draw(st.sampled_from(["raw", "lz4"]))
    row_of_steps = st.lists(step_of_a_stream, min_size=streams, max_size=streams)
    happens = st.one_of(row_of_steps, row_of_steps, st.sampled_from(["cut", "resume"]))
    happened = data.draw(st.lists(happens, min_size=1, max_size=30))
    everything: list[list[Step]] = []
    rng = np.random.default_rng(0)

    def empty():
        return make(rows * streams, streams, history, n, storage=kind, reward_clip=None)

    memory = empty()
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr(memories, "CHUNK", 5)
        for event in happened:
            if event == "cut":
                memory.cut()
                for step in everything[-1] if everything else []:
                    step.end = TRUNCATED if step.end == CONTINUES else step.end
            elif event == "resume":
                state = memory.save(Path(folder))
                memory.prune(Path(folder), state)
                memory = empty()
                assert memory.load(Path(folder), state)
            else:
                row = [
                    Step(
                        rng.integers(1, 256, SHAPE).astype(np.uint8),
                        int(rng.integers(18)),
                        float(rng.integers(-8, 9)) / 8,  # in eighths: nothing is rounded
                        end,
                        first,
                    )
                    for end, first in event
                ]
                add(memory, row)
                everything.append(row)
    times = len(everything)
    kept = {time: row for time, row in enumerate(everything) if time >= times - rows}
    wanted = {
        time % rows * streams + stream: found
        for time in kept
        for stream in range(streams)
        if (found := expected(kept, time, stream, history, n, 0.9)) is not None
    }
    assert len(memory) == len(kept) * streams
    # Slots that were never filled are not valid either.
    assert np.flatnonzero(memory.valid(np.arange(rows * streams))).tolist() == sorted(wanted)
    if wanted:
        drawn = np.array(sorted(wanted))
        batch = memory.sample(len(drawn), Chosen(drawn))
        check(batch, [wanted[slot] for slot in drawn])


def check(batch, wanted):
    """Whether a batch is what is expected; a successor is arbitrary where the discount is 0."""
    for i, (observation, action, total, discount, then) in enumerate(wanted):
        assert np.array_equal(batch.observation[i].numpy(), observation)
        assert batch.action[i] == action
        assert batch.reward[i].item() == pytest.approx(total, abs=1e-6)
        assert batch.discount[i].item() == pytest.approx(discount, abs=1e-6)
        assert (then is None) == (discount == 0)
        assert then is None or np.array_equal(batch.next_observation[i].numpy(), then)


def test_draws_are_uniform_over_what_is_valid():
    memory = make(40, streams=2)
    for row in played(np.random.default_rng(1), 70, 2):
        add(memory, row)
    valid = np.flatnonzero(memory.valid(np.arange(40)))
    assert 10 < len(valid) < 36
    rng = np.random.default_rng(2)
    drawn = np.concatenate([memory.sample(50, rng).slot for _ in range(400)])
    counts = np.bincount(drawn, minlength=40)
    assert counts[np.setdiff1d(np.arange(40), valid)].sum() == 0
    mean = len(drawn) / len(valid)
    chi2 = ((counts[valid] - mean) ** 2 / mean).sum()
    assert chi2 < len(valid) + 4 * np.sqrt(2 * len(valid))


def test_games_that_begin_anew_are_cut():
    memory = make(64)
    for row in played(np.random.default_rng(0), 5, 1):
        row[0].end, row[0].first = CONTINUES, False
        add(memory, row)
    memory.cut()
    for row in played(np.random.default_rng(0), 5, 1):
        row[0].end = CONTINUES
        add(memory, row)
    # The last before the cut has no successor, nor has the last of all; the first has no history.
    assert np.flatnonzero(~memory.valid(np.arange(10))).tolist() == [0, 4, 9]


@pytest.mark.parametrize("n_step", [1, 3])
def test_lz4_gives_the_same_bytes(n_step):
    stores = [make(60, 2, 4, n_step, storage=kind) for kind in ("raw", "lz4")]
    for row in played(np.random.default_rng(5), 80, 2):
        for memory in stores:
            add(memory, row)
    raw, packed = (memory.sample(64, np.random.default_rng(1)) for memory in stores)
    assert torch.equal(raw.observation, packed.observation)
    assert torch.equal(raw.next_observation, packed.next_observation)
    assert raw.observation.dtype == packed.observation.dtype == torch.uint8


def test_floats_in_eight_bits_or_as_they_are():
    rng = np.random.default_rng(0)
    frames = rng.random((40, 1, *SHAPE)).astype(np.float32)
    found = {}
    for discretise in (True, False):
        memory = make(64, history=1, dtype=np.float32, discretise=discretise)
        for time, frame in enumerate(frames):
            memory.add(
                frame, np.zeros(1), np.zeros(1), np.zeros(1, np.uint8), np.array([time == 0])
            )
        found[discretise] = memory.sample(30, np.random.default_rng(3))
        assert found[discretise].observation.dtype == torch.float32
    exact, eight = found[False], found[True]
    assert torch.equal(exact.observation, torch.from_numpy(frames[exact.slot]))
    assert torch.equal(eight.observation, (exact.observation * 255).round() / 255)


@pytest.mark.parametrize(
    "value, reach", [(-0.5, "-0.5 to 0"), (1.25, "0 to 1.25"), (np.nan, "nan to nan")]
)
def test_floats_that_do_not_fit_eight_bits_are_refused(value, reach):
    frame = np.zeros((1, *SHAPE), np.float32)
    frame[0, 1, 2] = value
    memory = make(64, dtype=np.float32)
    with pytest.raises(UserError) as refused:
        memory.add(frame, *[np.zeros(1)] * 4)
    assert str(refused.value) == (
        f"an observation reaches from {reach}, not 0 to 1: set memory.discretise: false"
    )
    assert len(memory) == 0
    make(64, dtype=np.float32, discretise=False).add(frame, *[np.zeros(1)] * 4)


def test_floats_in_eight_bits_can_be_compressed():
    stores = [make(64, dtype=np.float32, storage=kind) for kind in ("raw", "lz4")]
    rng = np.random.default_rng(0)
    for time in range(90):
        frame, ended = rng.random((1, *SHAPE)).astype(np.float32), np.array([time % 7 == 6])
        for memory in stores:
            memory.add(
                frame, np.zeros(1), np.zeros(1), ended * TERMINATED, np.array([not time % 7])
            )
    raw, packed = (memory.sample(64, np.random.default_rng(1)) for memory in stores)
    assert raw.observation.dtype == torch.float32 and raw.observation.max() > 0.5
    assert torch.equal(raw.observation, packed.observation)


def test_masks_come_back_with_their_transitions():
    memory = make(64, streams=2, heads=3)
    rng = np.random.default_rng(0)
    masks = rng.random((20, 2, 3)) < 0.5
    for row, mask in zip(played(rng, 20, 2), masks, strict=True):
        memory.add(
            np.stack([step.frame for step in row]),
            np.zeros(2),
            np.zeros(2),
            np.zeros(2, np.uint8),
            np.ones(2, bool),
            mask,
        )
    batch = memory.sample(16, rng)
    assert batch.mask.dtype == torch.float32
    assert np.array_equal(batch.mask.numpy(), masks.reshape(40, 3)[batch.slot])


def test_rewards_are_clipped_for_learning_only_if_asked():
    for clip, total in ((1.0, 1.0), (None, 7.0)):
        memory = make(64, reward_clip=clip)
        for time in range(8):
            frame = np.zeros((1, *SHAPE), np.uint8)
            memory.add(frame, np.zeros(1), np.full(1, 7.0), np.zeros(1), np.array([time == 0]))
        assert (memory.sample(8, np.random.default_rng(0)).reward == total).all()


def test_weights_undo_the_chances():
    """w = (N P)^-beta, divided by the batch's largest."""
    ranked = priorities.build(64, kind="proportional", alpha=1.0)
    memory = make(64, ranked=ranked)
    for row in played(np.random.default_rng(0), 64, 1):
        row[0].end, row[0].first = CONTINUES, True
        add(memory, row)
    deltas = torch.arange(1.0, 65.0)
    memory.update(np.arange(64), deltas)
    batch = memory.sample(256, np.random.default_rng(0), 0.5)
    chance = (deltas.numpy() + priorities.EPS) / (deltas.numpy() + priorities.EPS).sum()
    weight = (64 * chance[batch.slot]) ** -0.5
    assert batch.weight.numpy() == pytest.approx(weight / weight.max(), rel=1e-6)
    assert (batch.slot != 63).all()  # it has no successor yet, and is drawn again
    assert batch.slot.mean() > 38  # large errors are drawn more often: 42.7 expected


@pytest.mark.parametrize("kind", ["rank", "proportional"])
def test_draws_by_priority_leave_out_what_is_not_valid(kind):
    """The frequencies are the priorities, over those transitions that can be learned from."""
    ranked = priorities.build(40, kind=kind, alpha=0.7)
    memory = make(40, streams=2, ranked=ranked)
    for row in played(np.random.default_rng(1), 70, 2):
        add(memory, row)
    deltas = np.random.default_rng(3).exponential(size=40)
    memory.update(np.arange(40), torch.from_numpy(deltas))
    if kind == "rank":
        ranked._sort()
        chance = (np.argsort(np.argsort(-deltas)) + 1.0) ** -0.7
    else:
        chance = (deltas + priorities.EPS) ** 0.7
    valid = memory.valid(np.arange(40))
    assert 10 < valid.sum() < 36
    rng, counts, draws = np.random.default_rng(2), np.zeros(40), 1000
    for _ in range(draws):
        counts += np.bincount(memory.sample(32, rng, 0.5).slot, minlength=40)
    assert counts[~valid].sum() == 0
    mean = draws * 32 * chance[valid] / chance[valid].sum()
    chi2 = ((counts[valid] - mean) ** 2 / mean).sum()
    assert chi2 < valid.sum() + 4 * np.sqrt(2 * valid.sum())


def test_without_an_exponent_draws_are_uniform_and_weights_one():
    ranked = priorities.build(64, kind="proportional", alpha=1.0)
    memory, plain = make(64, ranked=ranked), make(64)
    for row in played(np.random.default_rng(0), 50, 1):
        add(memory, row), add(plain, row)
    memory.update(np.array([3]), torch.tensor([1e6]))
    one, other = (m.sample(200, np.random.default_rng(0)) for m in (memory, plain))
    assert np.array_equal(one.slot, other.slot) and (one.weight == 1).all()


def test_equal_generators_give_equal_batches_and_others_do_not():
    memory = filled(0, 100)
    slots = [memory.sample(64, np.random.default_rng(seed), 0.5).slot for seed in (0, 0, 1)]
    assert np.array_equal(slots[0], slots[1]) and not np.array_equal(slots[0], slots[2])


# What it needs


def test_what_it_needs_is_checked_before(monkeypatch):
    class Free:
        available = 2**30

    monkeypatch.setattr(storage.psutil, "virtual_memory", Free)
    shape, byte = (84, 84), np.dtype(np.uint8)
    ask = Settings(size=1_000_000, storage="raw")
    with pytest.raises(UserError) as refused:
        storage.build(ask, 1_000_000, shape, byte, CPU)
    assert str(refused.value) == (
        "memory.size: 1,000,000 frames need 6.6 GiB of memory, and 1.0 are free; "
        "set memory.storage: lz4 or lower memory.size to 152,000"
    )
    with pytest.raises(UserError, match=r"need 2\.4 GiB of memory.*free; lower memory.size to 422"):
        storage.build(Settings(size=1_000_000), 1_000_000, shape, byte, CPU)
    # Its advice fits: lz4 is not for floats, and what it names is accepted.
    with pytest.raises(UserError, match=r"free; set memory\.discretise: true or lower"):
        storage.build(ask, 1_000_000, shape, np.dtype(np.float32), CPU)
    for size, kind in ((152_000, "raw"), (422_000, "lz4")):
        monkeypatch.setattr(storage, "Raw", lambda *_: "raw")
        assert storage.build(Settings(size=size, storage=kind), size, shape, byte, CPU)


def test_all_of_the_free_memory_can_be_used(monkeypatch):
    class Free:
        available = 1000

    monkeypatch.setattr(storage.psutil, "virtual_memory", Free)
    ask, byte = Settings.model_construct(size=1000, storage="raw"), np.dtype(np.uint8)
    assert storage.build(ask, 1000, (1,), byte, CPU).bytes() == 1000
    with pytest.raises(UserError, match=r"lower memory\.size to 1,000$"):
        storage.build(ask, 1001, (1,), byte, CPU)


def test_it_says_what_it_takes():
    frames, columns = 64 * 6, 64 * (4 + 4 + 1 + 1)
    assert make(64).bytes() == frames + columns
    assert make(64, heads=3).bytes() == frames + columns + 64 * 3
    packed = make(64, storage="lz4")
    empty = packed.bytes()
    add(packed, played(np.random.default_rng(0), 1, 1)[0])
    assert empty == 64 * 8 + columns and packed.bytes() > empty


def test_storage_by_kind_and_size():
    byte, real = np.dtype(np.uint8), np.dtype(np.float32)
    auto = Settings()
    assert isinstance(storage.build(auto, 1000, (84, 84), byte, CPU), storage.Raw)
    assert isinstance(storage.build(auto, 200_000, (84, 84), byte, CPU), storage.Lz4)
    assert isinstance(storage.build(auto, 1000, (2,), real, CPU), storage.Raw)
    with pytest.raises(UserError, match=r"lz4 is for bytes; set memory\.discretise: true"):
        storage.build(Settings(storage="lz4"), 1000, (2,), real, CPU)


def test_a_memory_that_is_too_small_is_refused():
    with pytest.raises(UserError, match="size: 64 is too small for 16 environments with a history"):
        make(64, streams=16, history=2)


# Files


def filled(seed, times, size=5 * memories.CHUNK, ranks="rank", **options):
    ranked = priorities.build(size, kind=ranks, alpha=0.7)
    memory = make(size, streams=8, ranked=ranked, **options)
    more(memory, seed, times)
    return memory


def more(memory, seed, times):
    rng = np.random.default_rng(seed)
    for row in played(rng, times, 8):
        add(memory, row)
    batch = memory.sample(32, rng, 0.5)
    memory.update(batch.slot, torch.from_numpy(rng.random(32)))


def same(one, other):
    """Whether two memories give the same, now and later."""
    for seed in range(3):
        a, b = (memory.sample(64, np.random.default_rng(seed), 0.5) for memory in (one, other))
        if not all(
            torch.equal(getattr(a, name), getattr(b, name))
            for name in ("observation", "next_observation", "action", "reward", "weight")
        ):
            return False
        more(one, seed, 30), more(other, seed, 30)
    return True


def contents(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.mark.parametrize(
    "kind, ranks", [*itertools.product(["raw", "lz4"], ["rank", "proportional"])]
)
def test_saved_and_loaded_to_the_byte(tmp_path, kind, ranks):
    """One that was resumed leaves the same files as one that was not, now and after more steps."""
    kept, again = tmp_path / "kept", tmp_path / "again"
    memory = filled(0, 700, storage=kind, ranks=ranks)
    state = memory.save(kept)
    torch.save(state, tmp_path / "state.pt")
    other = make(
        5 * memories.CHUNK,
        8,
        storage=kind,
        ranked=priorities.build(5 * memories.CHUNK, kind=ranks, alpha=0.7),
    )
    assert other.load(kept, torch.load(tmp_path / "state.pt", weights_only=True))
    assert len(other) == len(memory) == 5600
    assert not other._changed and equal(other.save(kept), state)  # which writes nothing
    for name in ("deltas", "order", "leaves"):
        assert name not in state["priorities"] or state["priorities"][name].any()
    assert same(memory, other)
    # All of it is written anew, into an empty folder.
    for one, folder in ((memory, again / "a"), (other, again / "b")):
        one._changed = set(one.save(kept)["chunks"])
        assert equal(one.save(folder), memory.save(kept))
    assert contents(again / "a") == contents(again / "b")


def equal(one, other):
    """Whether two states are the same, tensor by tensor."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    return one == other


def test_masks_and_floats_are_saved_too(tmp_path):
    rng = np.random.default_rng(0)
    both = [make(64, dtype=np.float32, discretise=False, heads=3, storage="auto") for _ in range(2)]
    for time in range(70):
        frame = rng.normal(size=(1, *SHAPE)).astype(np.float32)
        mask = rng.random((1, 3)) < 0.5
        both[0].add(frame, *[np.zeros(1)] * 3, np.array([time == 0]), mask)
    assert both[1].load(tmp_path, both[0].save(tmp_path))
    one, other = (m.sample(32, np.random.default_rng(1)) for m in both)
    assert one.observation.min() < -1 and 0 < one.mask.mean() < 1
    assert torch.equal(one.observation, other.observation) and torch.equal(one.mask, other.mask)


def test_raw_and_lz4_leave_the_same_files(tmp_path):
    for kind in ("raw", "lz4"):
        filled(0, 700, storage=kind).save(tmp_path / kind)
    assert contents(tmp_path / "raw") == contents(tmp_path / "lz4")


def test_only_what_changed_is_written(tmp_path):
    memory = filled(0, 1100)  # 8,800 slots: two chunks and a part
    first = memory.save(tmp_path)
    times = {file.name: file.stat().st_mtime_ns for file in tmp_path.iterdir()}
    assert sorted(first["chunks"]) == [0, 1, 2] and len(times) == 3
    more(memory, 1, 10)
    second = memory.save(tmp_path)
    assert [first["chunks"][i] == second["chunks"][i] for i in range(3)] == [True, True, False]
    assert all((tmp_path / name).stat().st_mtime_ns == time for name, time in times.items())
    memory.cut()  # changes no frame
    assert memory.save(tmp_path)["chunks"] == second["chunks"]


def test_killed_before_the_state_is_stored(tmp_path):
    """The state of before is still whole; once the next is stored, its files can go."""
    memory, twin = filled(0, 1100), filled(0, 1100)
    first = memory.save(tmp_path)
    kept = {name: value.clone() for name, value in first["columns"].items()}
    more(memory, 1, 10)
    second = memory.save(tmp_path)
    resumed = filled(9, 3)
    assert resumed.load(tmp_path, first)
    assert equal(first["columns"], kept)  # a state does not follow the memory
    assert same(resumed, twin)
    # What another writer was killed at is named by no state.
    for stray in (".000001-0123.17.tmp", "000001-0123"):
        (tmp_path / stray).write_bytes(b"half a fi")
    before = contents(tmp_path)
    memory.prune(tmp_path, second)
    named = set(second["chunks"].values())
    assert contents(tmp_path) == {name: before[name] for name in named} and len(named) == 3
    assert not filled(9, 3).load(tmp_path, first) and filled(9, 3).load(tmp_path, second)


def test_stopped_while_it_saves(tmp_path, monkeypatch):
    """What was to be written is written by the next save."""
    memory, twin = filled(0, 1100), filled(0, 1100)
    write, written = Memory._write, []

    def once(self, folder, chunk):
        if written:
            raise KeyboardInterrupt
        written.append(chunk)
        return write(self, folder, chunk)

    with monkeypatch.context() as patch:
        patch.setattr(Memory, "_write", once)
        with pytest.raises(KeyboardInterrupt):
            memory.save(tmp_path)
    assert len(list(tmp_path.iterdir())) == 1
    assert equal(memory.save(tmp_path), twin.save(tmp_path / "twin"))
    whole = contents(tmp_path / "twin")
    assert len(whole) == 3
    assert all((tmp_path / name).read_bytes() == blob for name, blob in whole.items())


def test_a_state_that_is_loaded_twice_is_not_shared(tmp_path):
    state = filled(0, 700).save(tmp_path)
    one, other, twin = (filled(seed, 3) for seed in range(3))
    assert all(memory.load(tmp_path, state) for memory in (one, other, twin))
    more(one, 5, 40)
    one.cut()
    assert same(other, twin)


@pytest.mark.parametrize("damage", ["flipped", "cut", "gone"])
def test_a_damaged_file_is_noticed_and_nothing_is_changed(tmp_path, damage):
    state = filled(0, 1100).save(tmp_path)
    file = tmp_path / state["chunks"][1]
    blob = bytearray(file.read_bytes())
    blob[len(blob) // 2] ^= 1
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(blob if damage == "flipped" else blob[:-1])
    memory, twin = filled(7, 50), filled(7, 50)
    assert not memory.load(tmp_path, state)
    assert same(memory, twin)
