"""Splits of stores small enough to follow by hand, and of real ones."""

import csv
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.stats
from steps import split

from workflow_src import artifacts
from workflow_src.ari.labels import GAMES, variables
from workflow_src.config.run import defaults
from workflow_src.config.splits import SplitProtocol
from workflow_src.emulator.environment import CONTINUES, LIFE_LOST, TERMINATED, TRUNCATED
from workflow_src.episodes.dataset import KIND, check_pair, load_frames, read_split
from workflow_src.episodes.store import FrameStore
from workflow_src.errors import UserError
from workflow_src.splits import duplicates
from workflow_src.splits import split as split_module
from workflow_src.splits.duplicates import frame_hashes, occurs_in
from workflow_src.splits.entropy import entropies, value_counts
from workflow_src.splits.split import REASONS, assign, drop_duplicates, drop_lone, part_sizes

PROBE = {"train": 0.7, "val": 0.1, "test": 0.2}
PRETRAIN = {"train": 0.8, "val": 0.2}
PLAIN = {
    "shuffle_episodes": False,
    "labels_slip_at_reset": False,
    "entropy_of": "all",
    "min_episode_frames": 1,
    "remove_pretrain_duplicates": False,
    "split_by": "life",
    "drop_lone_test_frames": False,
    "keep_unfinished": True,
}
DROPPED = len(PROBE)


def records(*streams):
    """A store's columns from episodes given as (frames, end code), stream by stream."""
    lengths, ends = zip(*[episode for stream in streams for episode in stream], strict=True)
    end = np.full(sum(lengths), CONTINUES, np.uint8)
    end[np.cumsum(lengths) - 1] = ends
    stream_starts = np.cumsum([0] + [len(stream) for stream in streams])
    new_game = [i in stream_starts or ends[i - 1] == TERMINATED for i in range(len(ends))]
    return {
        "end": end,
        "episode": np.repeat(np.arange(len(lengths)), lengths).astype(np.int32),
        "game": np.repeat(np.cumsum(new_game) - 1, lengths).astype(np.int32),
    }, [sum(frames for frames, _ in stream) for stream in streams]


class FakeStore(SimpleNamespace):
    """Columns without frames."""

    def __init__(self, *streams):
        columns, shares = records(*streams)
        header = {"game": "pong", "policy_settings": {"kind": "random"}}
        header |= {"frames_per_env": shares, "settings": {"num_envs": len(shares)}}
        super().__init__(header=header, **columns)

    def __len__(self):
        return len(self.end)


def whole(*lengths, end=TERMINATED):
    return [(length, end) for length in lengths]


def assigned(found, shares=PROBE, seed=0, taken=None, **change):
    """(part, reason in words, label row) of each frame."""
    switches = SplitProtocol(**PLAIN | change)
    part, reason, label_row = assign(
        found, shares, switches, np.random.default_rng(seed), "pong (probe)", taken
    )
    return part, np.array(REASONS)[reason], label_row


# A part of the frames


def test_of_a_share_of_the_frames_the_last_episode_is_unfinished():
    store = FakeStore(whole(10, 10, 10, 10))
    part, reason, _ = assigned(store, PRETRAIN, taken=25)
    assert list(np.bincount(part, minlength=3)) == [20, 5, 15]
    assert (reason[25:] == "not taken").all() and (reason[:25] == "its episode").all()
    part, reason, _ = assigned(store, PRETRAIN, taken=25, keep_unfinished=False)
    assert list(np.bincount(part, minlength=3)) == [10, 10, 20]
    assert (reason[20:] == "not taken").all()
    # A game goes whole, whatever its lives.
    lives = FakeStore([(10, TERMINATED), (10, LIFE_LOST), (10, TERMINATED), (10, TERMINATED)])
    assert (
        list(assigned(lives, PRETRAIN, taken=40, split_by="game", keep_unfinished=False)[1])
        == ["its episode"] * 40
    )
    with pytest.raises(
        UserError,
        match=r"1 episodes of at least 1 frames \(by game\) in 15 frames, but train, val need",
    ):
        assigned(lives, PRETRAIN, taken=15, split_by="game", keep_unfinished=False)


def test_a_study_takes_a_part_of_the_encoders_frames_alone(breakout, tmp_path):
    config = defaults({"scaling": {"percent": [50]}})
    names = {"game": "breakout", "policy": "random_agent", "seed": 0, "frames": breakout}
    rows = {}
    for purpose in ("pretrain", "probe"):
        for protocol in ("paper", "paper-p50"):
            out = tmp_path / f"{purpose}-{protocol}"
            split(config, protocol=protocol, purpose=purpose, out=out, **names)
            rows[purpose, protocol] = np.concatenate(
                [part.rows for part in read_split(out).parts.values()]
            )
    half = len(FrameStore.open(breakout)) // 2
    kept = rows["pretrain", "paper"]
    # The frames before the middle, but for an episode that it leaves too short.
    assert 0 <= (kept < half).sum() - len(rows["pretrain", "paper-p50"]) < 65
    assert set(rows["pretrain", "paper-p50"]) <= set(kept[kept < half])
    assert np.array_equal(rows["probe", "paper-p50"], rows["probe", "paper"])


# Sizes of parts


@pytest.mark.parametrize(
    ("units", "probe"),
    [
        (3, [1, 1, 1]),
        (4, [2, 1, 1]),
        (5, [3, 1, 1]),
        (6, [4, 1, 1]),
        (7, [4, 1, 2]),
        (10, [7, 1, 2]),
        (11, [7, 1, 3]),
        (20, [14, 2, 4]),
        (30, [21, 3, 6]),
        (1000, [700, 100, 200]),
    ],
)
def test_sizes_of_the_probes_parts(units, probe):
    assert part_sizes(units, list(PROBE.values())).tolist() == probe


@pytest.mark.parametrize(
    ("units", "pretrain"), [(2, [1, 1]), (3, [2, 1]), (5, [4, 1]), (9, [7, 2]), (10, [8, 2])]
)
def test_sizes_of_the_encoders_parts(units, pretrain):
    assert part_sizes(units, list(PRETRAIN.values())).tolist() == pretrain


@pytest.mark.parametrize(
    "shares",
    [[0.7, 0.1, 0.2], [0.001, 0.001, 0.998], [0.998, 0.001, 0.001], [1 / 3] * 3, [0.1, 0.9]],
)
def test_parts_are_never_empty_and_near_their_shares(shares):
    for units in range(len(shares), 400):
        sizes = part_sizes(units, shares)
        assert sizes.sum() == units
        assert sizes.min() >= 1
        assert np.abs(sizes - units * np.array(shares)).max() <= max(2, len(shares) - 1)


# Where frames go


def test_parts_in_order_of_collection():
    lengths = [5, 9, 2, 4, 4, 7, 1, 3, 6, 8]
    part, reason, label_row = assigned(FakeStore(whole(*lengths)))
    assert part.tolist() == np.repeat([0] * 7 + [1] + [2] * 2, lengths).tolist()
    assert set(reason) == {"its episode"}
    assert label_row.tolist() == list(range(sum(lengths)))


def test_encoders_frames_have_two_parts():
    part, _, _ = assigned(FakeStore(whole(*[3] * 10)), PRETRAIN)
    assert part.tolist() == [0] * 24 + [1] * 6


RAGGED = [
    [
        *whole(9, 5, 12, end=LIFE_LOST),
        (7, TERMINATED),
        (2, LIFE_LOST),
        (11, TERMINATED),
        (3, TRUNCATED),
    ],
    [
        (20, TERMINATED),
        (6, LIFE_LOST),
        (4, TERMINATED),
        (8, LIFE_LOST),
        (8, LIFE_LOST),
        (10, TRUNCATED),
    ],
    [*whole(6, 7, 8, 9, 10, 11), (1, TRUNCATED)],
]


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("unit", ["life", "game"])
@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("slip", [False, True])
@pytest.mark.parametrize("shortest", [1, 6])
def test_every_frame_has_one_fate(shuffle, unit, keep, slip, shortest):
    found = FakeStore(*RAGGED)
    part, reason, label_row = assigned(
        found,
        shuffle_episodes=shuffle,
        split_by=unit,
        keep_unfinished=keep,
        labels_slip_at_reset=slip,
        min_episode_frames=shortest,
    )
    assert len(part) == len(reason) == len(label_row) == len(found)
    assert np.array_equal(part == DROPPED, reason != "its episode")
    dropping = {
        "terminal frame": slip,
        "unfinished episode": not keep,
        "short episode": shortest > 1,
    }
    assert set(reason) == {"its episode"} | {why for why, does in dropping.items() if does}
    assert set(part) - {DROPPED} == {0, 1, 2}
    units = found.episode if unit == "life" else found.game
    for number in np.unique(units):
        assert len(set(part[units == number]) - {DROPPED}) <= 1
    for number in np.unique(found.episode):
        kept = part[found.episode == number] != DROPPED
        assert kept.sum() == 0 or kept.sum() >= shortest
        assert kept[:-1].all() or not kept.any()


def test_lone_frames_of_an_episode_are_dropped_from_test():
    episode = np.repeat([0, 1, 2, 3], [3, 3, 3, 3])
    part = np.array([0, 0, 0, 2, 2, DROPPED, DROPPED, 2, DROPPED, 2, 2, 2], np.uint8)
    reason = np.zeros(12, np.uint8)
    drop_lone(episode, part, reason, test=2, dropped=DROPPED)
    assert part.tolist() == [0, 0, 0, 2, 2, *[DROPPED] * 4, 2, 2, 2]
    assert np.flatnonzero(reason).tolist() == [7] and REASONS[reason[7]] == "lone frame"


def test_a_split_by_frames_lets_parts_share_an_episode():
    found = FakeStore([(50, LIFE_LOST), (50, TERMINATED)])
    part, _, _ = assigned(found, PROBE, split_by="frame", shuffle_episodes=True)
    assert np.bincount(part, minlength=4).tolist() == [70, 10, 20, 0]
    for number in (0, 1):
        assert set(part[found.episode == number]) == {0, 1, 2}
    # The encoder's frames come in pairs: whole lives.
    part, _, _ = assigned(found, PRETRAIN, split_by="frame", shuffle_episodes=True)
    assert [len(set(part[found.episode == number])) for number in (0, 1)] == [1, 1]


def test_no_game_in_two_parts_where_lives_would_be():
    found = FakeStore([*whole(5, 5, end=LIFE_LOST), (5, TERMINATED)] * 4)
    by_life, _, _ = assigned(found)
    by_game, _, _ = assigned(found, split_by="game")
    assert by_life.tolist() == np.repeat([0] * 8 + [1] + [2] * 3, 5).tolist()
    assert by_game.tolist() == np.repeat([0, 0, 1, 2], 15).tolist()
    shared = [len(set(by_life[found.game == game])) > 1 for game in range(4)]
    assert shared == [False, False, True, False]


def test_unfinished_episodes():
    found = FakeStore([*whole(3, 3), (2, TRUNCATED)], [(4, TRUNCATED)], whole(3, 2))
    part, reason, _ = assigned(found, keep_unfinished=False)
    assert np.flatnonzero(reason == "unfinished episode").tolist() == [6, 7, 8, 9, 10, 11]
    assert part.tolist() == [0] * 6 + [DROPPED] * 6 + [1] * 3 + [2] * 2
    part, reason, _ = assigned(found, keep_unfinished=True)
    assert set(reason) == {"its episode"}
    assert DROPPED not in part


def test_unfinished_games():
    """With its last life the whole game is dropped; also where the stream ends with a life, and the
    game would go on.
    """
    game = [*whole(3, end=LIFE_LOST), (2, TERMINATED)]
    found = FakeStore([*game, (4, LIFE_LOST), (1, TRUNCATED)], [*game, (3, LIFE_LOST)], game)
    part, reason, _ = assigned(found, keep_unfinished=False, split_by="game")
    assert np.flatnonzero(reason == "unfinished episode").tolist() == [
        *range(5, 10),
        *range(15, 18),
    ]
    assert part.tolist() == [0] * 5 + [DROPPED] * 5 + [1] * 5 + [DROPPED] * 3 + [2] * 5


def test_short_episodes():
    found = FakeStore(whole(3, 2, 4, 1, 3))
    part, reason, _ = assigned(found, min_episode_frames=3)
    assert np.flatnonzero(reason == "short episode").tolist() == [3, 4, 9]
    assert part.tolist() == [0] * 3 + [DROPPED] * 2 + [1] * 4 + [DROPPED] + [2] * 3


def test_labels_that_slip_at_resets():
    # Rows:           0 1 2   3 4    5 6 7     8 9  10 11 12
    found = FakeStore(
        [(3, TERMINATED), (2, LIFE_LOST), (3, TRUNCATED)], [(2, LIFE_LOST), (3, TERMINATED)]
    )
    part, reason, label_row = assigned(found, labels_slip_at_reset=True)
    # 3, 5 and 10 begin an episode within a stream, 0 and 8 a stream.
    assert label_row.tolist() == [0, 1, 2, 2, 4, 4, 6, 7, 8, 9, 9, 11, 12]
    # The frame at an episode's end was never seen, but 7, at which collecting stopped, was.
    assert np.flatnonzero(reason == "terminal frame").tolist() == [2, 4, 9, 12]
    assert np.flatnonzero(part == DROPPED).tolist() == [2, 4, 9, 12]
    assert part[[0, 3, 5, 8, 10]].tolist() == [0, 0, 0, 1, 2]


def test_length_counts_without_the_terminal_frame():
    _, reason, _ = assigned(
        FakeStore(whole(4, 3, 4, 4)), labels_slip_at_reset=True, min_episode_frames=3
    )
    assert np.flatnonzero(reason == "short episode").tolist() == [4, 5]


def test_shuffling_is_seeded_and_changes_the_parts():
    found = FakeStore(whole(*[3] * 20))
    parts = [assigned(found, seed=seed, shuffle_episodes=True)[0] for seed in (0, 0, 1)]
    unshuffled = [assigned(found, seed=seed)[0] for seed in (0, 1)]
    assert np.array_equal(parts[0], parts[1])
    assert not np.array_equal(parts[0], parts[2])
    assert np.array_equal(unshuffled[0], unshuffled[1])
    assert not np.array_equal(parts[0], unshuffled[0])
    assert all(np.bincount(part).tolist() == [42, 6, 12] for part in parts)


# Duplicates


def words(*values):
    return np.array([(high, low) for high, low in values], duplicates._KEY)


@pytest.mark.parametrize(
    ("others", "found"),
    [
        ([], [False] * 4),
        ([(1, 2)], [True, False, False, False]),
        ([(2, 1), (0, 0)], [False, True, False, True]),
        ([(9, 9)] * 3, [False] * 4),
        ([(1, 3), (1, 3), (1, 2)], [True, False, True, False]),
    ],
)
def test_membership_compares_both_words(others, found):
    assert occurs_in(words((1, 2), (2, 1), (1, 3), (0, 0)), words(*others)).tolist() == found
    assert occurs_in(words(), words(*others)).tolist() == []


def test_hashes_tell_the_same_as_the_bytes(write_store):
    rng = np.random.default_rng(0)
    frames = np.zeros((300, 210, 160), np.uint8)
    frames[:, 100, 50:54] = rng.integers(0, 4, (300, 4))  # many repeats
    frames[::7, 209, 159] = 1
    known, asked = write_store("known", frames[:200]), write_store("asked", frames[100:])
    known_bytes = {frame.tobytes() for frame in frames[:200]}
    expected = [frame.tobytes() in known_bytes for frame in frames[100:]]
    hashes = frame_hashes(FrameStore.open(asked))
    assert occurs_in(hashes, frame_hashes(FrameStore.open(known))).tolist() == expected
    assert 100 < sum(expected) < 200
    assert len(np.unique(hashes)) == len({frame.tobytes() for frame in frames[100:]})


def numbered(*numbers):
    """A frame of each number; equal numbers, equal frames."""
    frames = np.zeros((len(numbers), 210, 160), np.uint8)
    frames[:, 0, 0] = numbers
    return frames


def test_duplicates_leave_test_only(write_store):
    rows = {
        "train": [1, 2, 2],
        "val": [2, 3],
        "test": [1, 3, 4, 4, 5, 2, 6],
        "dropped": [4, 6],
    }
    frames = numbered(*[number for numbers in rows.values() for number in numbers])
    found = FrameStore.open(write_store("x", frames))
    pretrain = FrameStore.open(write_store("y", numbered(5, 1, 7)))
    before = np.repeat(np.arange(4, dtype=np.uint8), [len(numbers) for numbers in rows.values()])

    def dropped(others):
        part, reason = before.copy(), np.zeros(len(before), np.uint8)
        drop_duplicates(found, part, reason, list(PROBE), others)
        assert np.array_equal(np.flatnonzero(part != before), np.flatnonzero(reason))
        return part.tolist(), [REASONS[code] for code in reason[5:12]]

    stays, train, val = "its episode", "duplicate in train", "duplicate in val"
    part, reason = dropped(None)
    assert part == [0, 0, 0, 1, 1, 3, 3, 2, 2, 2, 3, 2, 3, 3]
    assert reason == [train, val, stays, stays, stays, train, stays]
    part, reason = dropped(pretrain)
    assert part == [0, 0, 0, 1, 1, 3, 3, 2, 2, 3, 3, 2, 3, 3]
    assert reason == [train, val, stays, stays, "duplicate in pretrain", train, stays]


# Entropy


def test_value_counts_equal_a_plain_loop():
    labels = np.random.default_rng(0).integers(0, 256, (500, 3), dtype=np.uint8)
    counts = value_counts(labels)
    assert counts.shape == (3, 256)
    for v in range(3):
        assert counts[v].tolist() == [int((labels[:, v] == value).sum()) for value in range(256)]


def test_entropies_by_hand():
    labels = np.array([[7, 0, 0, 0], [7, 255, 1, 0], [7, 0, 2, 0], [7, 255, 3, 1]], np.uint8)
    by_hand = [0, np.log(2), np.log(4), 0.75 * np.log(4 / 3) + 0.25 * np.log(4)]
    assert entropies(labels) == pytest.approx(by_hand)


def test_entropies_against_scipy():
    labels = np.random.default_rng(1).geometric(0.1, (1000, 4)).clip(max=255).astype(np.uint8)
    by_column = [
        scipy.stats.entropy(np.unique(labels[:, v], return_counts=True)[1]) for v in range(4)
    ]
    assert entropies(labels) == pytest.approx(by_column)
    assert min(by_column) > 1


# Whole files

BALL, PLAYER = (
    variables("paper-2019", "pong")["ball_x"],
    variables("paper-2019", "pong")["player_y"],
)


class Made:
    """A store of made records of pong in ten episodes, and ways to split it."""

    def __init__(self, write_store, directory):
        self.directory = directory
        columns, shares = records(whole(*[4] * 10))
        self.numbers = np.arange(1, 41)
        ram = np.zeros((40, 128), np.uint8)
        ram[:, BALL] = np.arange(40) % 4
        # Varies in the last two episodes only, which without shuffling are test.
        ram[32:, PLAYER] = np.arange(8)
        self.columns = columns | {"ram": ram}
        self.header = {"game": "pong", "frames_per_env": shares, "settings": {"num_envs": 1}}
        self.write_store = write_store

    def frames(self, name="frames", **change):
        return self.write_store(name, numbered(*self.numbers), self.header, **self.columns | change)

    def split(
        self,
        frames,
        *,
        switches=None,
        purpose="probe",
        game="pong",
        seed=0,
        exclude=None,
        min_entropy=0.6,
        out="split",
    ):
        config = defaults(
            {
                "protocols": {
                    "mine": {
                        "episodes": {"noop": False},
                        "splits": PLAIN | (switches or {}),
                        **REST,
                    }
                },
                "splits": {"min_entropy": min_entropy},
            }
        )
        which = {
            "game": game,
            "policy": "random_agent",
            "protocol": "mine",
            "purpose": purpose,
            "seed": seed,
        }
        out = self.directory / out
        split(config, **which, frames=frames, out=out, exclude=exclude)
        return out


REST = {
    "methods": {"wrap_pairs": False, "keep": "best", "sampling": "permutation"},
    "probes": {"keep": "best", "sampling": "permutation", "lr": 3.0e-4},
}


@pytest.fixture
def made(write_store, tmp_path):
    return Made(write_store, tmp_path)


def test_file_of_a_split(made):
    made.numbers[35] = 1  # in test, as the first of train
    frames = made.frames()
    path = made.split(frames)
    arrays, header = artifacts.read_arrays(path, KIND)
    assert {name: array.dtype.name for name, array in arrays.items()} == {
        "part": "uint8",
        "reason": "uint8",
        "label_row": "int32",
        "episode": "int32",
    }
    assert arrays["part"].tolist() == [0] * 28 + [1] * 4 + [2] * 3 + [3] + [2] * 4
    assert header["parts"] == ["train", "val", "test", "dropped"]
    assert header["reasons"][arrays["reason"][35]] == "duplicate in train"
    assert header["frames"] == {"train": 28, "val": 4, "test": 7, "dropped": 1}
    assert header["frames_sha256"] == FrameStore.open(frames).sha256
    assert header["variables"].keys() == variables("paper-2019", "pong").keys()


def test_reading_a_split(made):
    made.numbers[35] = 1
    frames = made.frames()
    found, store = read_split(made.split(frames)), FrameStore.open(frames)
    check_pair(store, found)
    assert list(found.parts) == ["train", "val", "test"]
    # As the columns of `ari.labels.labels`, so that a place here is a place there.
    assert list(found.variables) == list(variables("paper-2019", "pong"))
    test = found.parts["test"]
    assert test.rows.tolist() == test.label_rows.tolist() == [32, 33, 34, 36, 37, 38, 39]
    assert test.lengths.tolist() == [3, 4]
    assert found.parts["train"].lengths.tolist() == [4] * 7
    assert load_frames(store, test.rows)[:, 0, 0].tolist() == [33, 34, 35, 37, 38, 39, 40]
    other = FrameStore.open(made.frames("other", reward=1))
    with pytest.raises(
        UserError,
        match=r"^the split was made from other frames than .*/other holds: make the split again$",
    ):
        check_pair(other, found)


def test_label_rows_reach_the_file_and_the_entropies(made):
    ram = made.columns["ram"] * 0
    # Only the terminal frames say 1: with slipping labels, the first frames after them do.
    ram[3::4, BALL] = 1
    frames = made.frames(ram=ram)
    found = read_split(made.split(frames, switches={"labels_slip_at_reset": True}, min_entropy=0.1))
    assert found.parts["test"].rows.tolist() == [32, 33, 34, 36, 37, 38]
    assert found.parts["test"].label_rows.tolist() == [31, 33, 34, 35, 37, 38]
    # 9 of 30 frames: the first episode's first frame begins the stream.
    assert found.variables["ball_x"]["entropy"] == pytest.approx(
        scipy.stats.entropy([9, 21]), abs=1e-8
    )


@pytest.mark.parametrize(("entropy_of", "kept"), [("all", True), ("train", False)])
def test_entropy_sees_the_frames_it_is_to_see(made, entropy_of, kept):
    found = read_split(made.split(made.frames(), switches={"entropy_of": entropy_of}))
    player = scipy.stats.entropy([33, 1, 1, 1, 1, 1, 1, 1]) if kept else 0
    rows = found.variables
    assert rows["player_y"] == {"entropy": pytest.approx(player, abs=1e-8), "kept": kept}
    assert rows["ball_x"] == {"entropy": pytest.approx(np.log(4), abs=1e-8), "kept": True}
    assert {name for name, row in rows.items() if row["kept"]} == {"ball_x"} | (
        {"player_y"} if kept else set()
    )


def test_dropped_frames_have_no_say_in_the_entropy(made):
    # The two last episodes are the ones where player_y varies.
    end = made.columns["end"].copy()
    end[[35, 39]] = TRUNCATED
    found = read_split(made.split(made.frames(end=end), switches={"keep_unfinished": False}))
    assert found.variables["player_y"] == {"entropy": 0, "kept": False}


@pytest.mark.parametrize(("difference", "kept"), [(0, True), (1e-6, False)])
def test_smallest_entropy_that_stays(made, difference, kept):
    ram = np.zeros((40, 128), np.uint8)
    ram[::2, PLAYER], ram[:, BALL] = 1, np.arange(40)
    least = scipy.stats.entropy([1, 1]) + difference
    assert (
        read_split(made.split(made.frames(ram=ram), min_entropy=float(least))).variables[
            "player_y"
        ]["kept"]
        == kept
    )


def test_pretrain_frames_have_no_variables(made):
    found = read_split(made.split(made.frames(ram=0), purpose="pretrain"))
    assert found.variables == {}
    assert {name: len(part.rows) for name, part in found.parts.items()} == {"train": 32, "val": 8}


def test_the_encoders_frames_are_kept_out_of_test(made):
    frames = made.frames()
    made.numbers = np.r_[34, 1:40]
    exclude = made.frames("pretrain")
    arrays, header = artifacts.read_arrays(made.split(frames, exclude=exclude), KIND)
    dropped = np.flatnonzero(arrays["part"] == DROPPED)
    assert dropped.tolist() == list(range(32, 39))  # 33 to 39 were seen, 40 was not
    assert {header["reasons"][code] for code in arrays["reason"][dropped]} == {
        "duplicate in pretrain"
    }


def test_a_protocol_that_keeps_the_encoders_frames_out_wants_them(made):
    with pytest.raises(UserError, match="name their file"):
        made.split(made.frames(), switches={"remove_pretrain_duplicates": True})


@pytest.mark.parametrize("change", [{"seed": 1}, {"purpose": "pretrain"}], ids=str)
def test_seed_and_purpose_shuffle_otherwise(made, change):
    made.columns, _ = records(whole(*[1] * 40))
    ram = np.zeros((40, 128), np.uint8)
    ram[:, BALL] = np.arange(40) % 5
    frames, shuffled = made.frames(ram=ram), {"switches": {"shuffle_episodes": True}}
    first, again = made.split(frames, **shuffled), made.split(frames, **shuffled, out="again")
    other = made.split(frames, **shuffled | change, out="other")
    assert first.read_bytes() == again.read_bytes()
    trains = [read_split(path).parts["train"].rows.tolist() for path in (first, other)]
    assert trains[0] != trains[1][: len(trains[0])]


def test_wrong_game_is_refused(made):
    with pytest.raises(UserError, match=r"^.*/frames holds pong, not boxing: name the right file$"):
        made.split(made.frames(), game="boxing")


def test_nothing_to_probe_is_refused(made):
    message = (
        r"^pong: no variable of paper-2019 reaches 0\.6 nats in 40 frames: collect more .*or "
        r"lower splits\.min_entropy$"
    )
    with pytest.raises(UserError, match=message):
        made.split(made.frames(ram=0))
    assert not (made.directory / "split").exists()


def test_test_of_duplicates_only_is_refused(made):
    made.numbers[32:] = 1
    with pytest.raises(
        UserError,
        match=r"^pong: every test frame also occurs in train or validation: collect more than 40",
    ):
        made.split(made.frames())


def test_missing_frames(made):
    with pytest.raises(
        UserError, match=r"^cannot read .*/nothing: there is no such file; make it first$"
    ):
        made.split(made.directory / "nothing")


# Too few episodes


@pytest.mark.parametrize(("shares", "enough"), [(PROBE, 3), (PRETRAIN, 2)])
@pytest.mark.parametrize("unit", ["life", "game"])
def test_as_many_episodes_as_parts_are_enough(shares, enough, unit):
    part, _, _ = assigned(FakeStore(whole(*[3] * enough)), shares, split_by=unit)
    assert part.tolist() == np.repeat(np.arange(enough), 3).tolist()
    with pytest.raises(
        UserError,
        match=rf"^pong \(probe\): {enough - 1} episodes of at least 1 frames \(by {unit}\) in",
    ):
        assigned(FakeStore(whole(*[3] * (enough - 1))), shares, split_by=unit)


@pytest.mark.parametrize(
    ("frames", "num_envs", "change"),
    [
        (300, 3, {"split_by": "game", "keep_unfinished": False}),
        (1500, 1, {"split_by": "game", "keep_unfinished": False}),
        (150, 3, {"labels_slip_at_reset": True, "min_episode_frames": 65}),
    ],
    ids=["no game ended", "one game ended", "paper"],
)
def test_the_number_of_frames_that_is_said_is_enough(play, frames, num_envs, change):
    def fresh(n):
        return FrameStore.open(play(game="pong", frames=n, num_envs=num_envs))

    few = fresh(frames)
    with pytest.raises(
        UserError, match=rf"in {frames} frames, but train, val, test need one each"
    ) as refusal:
        assigned(few, **change)
    said = int(
        re.search(r"collect (\d+) frames or more \(episodes\.frames\)$", str(refusal.value))[1]
    )
    part, _, _ = assigned(fresh(said), **change)
    assert {0, 1, 2} <= set(part)
    if not change.get("keep_unfinished", True):  # else chunks of 256 frames are coarser than that
        with pytest.raises(UserError, match="need one each"):
            assigned(fresh(said // 2), **change)


def test_lengths_of_episodes_are_known_for_every_game():
    with open(Path(split_module.__file__).with_name("lengths.csv"), newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["game"] for row in rows] == sorted(GAMES["revised-2020"])
    assert all(0 < int(row["life"]) <= int(row["game_frames"]) for row in rows)


# A real collection


@pytest.mark.parametrize("protocol", ["paper", "corrected"])
def test_real_frames(breakout, tmp_path, protocol):
    switches = {"min_episode_frames": 5, "remove_pretrain_duplicates": False}
    config = defaults({"protocols": {protocol: {"splits": switches}}})
    which = {
        "game": "breakout",
        "policy": "random_agent",
        "protocol": protocol,
        "purpose": "probe",
        "seed": 0,
    }
    for name in ("a", "b"):
        split(config, **which, frames=breakout, out=tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    found, store = read_split(tmp_path / "a"), FrameStore.open(breakout)
    seen = {
        name: {frame.tobytes() for frame in load_frames(store, part.rows)}
        for name, part in found.parts.items()
    }
    assert not seen["test"] & (seen["train"] | seen["val"])
    arrays, _ = artifacts.read_arrays(tmp_path / "a", KIND)
    unit = store.game if protocol == "corrected" else store.episode
    assert all(
        len(set(arrays["part"][unit == number]) - {DROPPED}) <= 1 for number in np.unique(unit)
    )
    assert all(found.variables[name]["kept"] for name in ("player_x", "ball_x", "ball_y"))
    assert not found.variables["block_bit_map_0"]["kept"]


def test_a_protocol_of_the_ledger_draws_as_its_base(breakout, tmp_path):
    """Only what its quirk is about differs: the order of a shuffle does not."""
    change = {"ledger": {"base": "corrected", "target": "paper"}, "splits": {"min_entropy": 0.0}}
    config = defaults(
        change
        | {
            "protocols": {
                "corrected": {"splits": {"split_by": "life", "remove_pretrain_duplicates": False}}
            }
        }
    )
    found = {}
    for protocol in ("corrected", "corrected-q4", "corrected-q5", "corrected-q1"):
        which = {
            "game": "breakout",
            "policy": "random_agent",
            "protocol": protocol,
            "purpose": "probe",
            "seed": 0,
        }
        split(config, **which, frames=breakout, out=tmp_path / protocol)
        arrays, header = artifacts.read_arrays(tmp_path / protocol, KIND)
        assert header["protocol"] == protocol
        found[protocol] = arrays
    base = found["corrected"]
    assert np.array_equal(found["corrected-q5"]["part"], base["part"])  # a quirk of encoders
    both = (found["corrected-q4"]["reason"] == 0) & (base["reason"] == 0)
    assert both.mean() > 0.5 and np.array_equal(
        found["corrected-q4"]["part"][both], base["part"][both]
    )
    assert not np.array_equal(found["corrected-q4"]["label_row"], base["label_row"])
    assert not np.array_equal(found["corrected-q1"]["part"], base["part"])
