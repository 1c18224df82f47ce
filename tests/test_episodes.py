"""Playing and storing, on real ROMs, against emulators and games driven by hand."""

import errno
import multiprocessing
import os
import resource
import subprocess
import sys
import time
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import ale_py.roms
import blosc2
import cv2
import gymnasium as gym
import numpy as np
import psutil
import pytest
import scipy.stats
import yaml
from golden import blank, environment, golden, hashes, some_actions, steps

from workflow_src import artifacts
from workflow_src.ari.games import gym_id, rom_name
from workflow_src.ari.labels import GAMES
from workflow_src.config.episodes import Episodes, Frames, Policy
from workflow_src.emulator import colors
from workflow_src.emulator import environment as playing
from workflow_src.emulator.environment import (
    CONTINUES,
    LIFE_LOST,
    TERMINATED,
    TRUNCATED,
    Environment,
)
from workflow_src.episodes import collect as collecting
from workflow_src.episodes import store
from workflow_src.episodes.collect import EnvJob, frames_per_env
from workflow_src.episodes.dataset import draw, load_stacks, stack_rows
from workflow_src.episodes.policies.random import RandomPolicy
from workflow_src.episodes.store import COLUMNS, NO_ACTION, FrameStore
from workflow_src.errors import DamagedFile, UserError

ROOT = Path(__file__).parents[1]
HAVE_FIRE = ["breakout", "pong", "videopinball"]
HAVE_NONE = ["freeway", "mspacman"]
TALLER = "journey_escape"  # 230 lines; none of ours is taller in this ale-py


def names_in(directory):
    return [path.name for path in directory.iterdir()]


def merged_gray(first, second):
    """Two screens (H, W, 3) as the 2019 code saw them."""
    return cv2.cvtColor(np.maximum(first, second), cv2.COLOR_RGB2GRAY)


class Tape:
    """An emulator that notes what was asked of it."""

    def __init__(self, ale):
        self.ale, self.acts = ale, []

    def act(self, action):
        self.acts.append(action.name)
        return self.ale.act(action)

    def __getattr__(self, name):
        return getattr(self.ale, name)


def taped(env):
    env.ale = Tape(env.ale)
    return env


# The environment


@pytest.mark.parametrize("game", GAMES["paper-2019"])
def test_golden(game):
    installed = version("ale-py")
    assert installed in golden(), (
        f"there are no golden hashes of ale-py {installed}: python tests/golden.py"
    )
    assert hashes(game) == golden()[installed][game]


def test_golden_hashes_are_of_the_locked_emulator():
    pinned = [
        line
        for line in (ROOT / "requirements.lock").read_text().splitlines()
        if line.startswith("ale-py==")
    ]
    assert pinned[0].split()[0].removeprefix("ale-py==") in golden()


def plain_emulator(rom, seed):
    """An emulator set up by hand, and the generator that is left after that."""
    rng = np.random.default_rng(seed)
    ale = ale_py.ALEInterface()
    ale.setInt("random_seed", int(rng.integers(2**31)))
    ale.setFloat("repeat_action_probability", 0)
    ale.loadROM(ale_py.roms.get_rom_path(rom))
    return ale, rng


@pytest.mark.parametrize("frame_skip", [2, 4])
@pytest.mark.parametrize("game", ["breakout", "mspacman", "videopinball", TALLER])
def test_steps_are_those_of_a_plain_emulator(game, frame_skip, monkeypatch):
    if game == TALLER:
        monkeypatch.setattr(playing, "rom_name", lambda game: game)
    env = environment(game, frame_skip=frame_skip)
    first, actions = blank(), some_actions(env, 250)
    assert env.reset(first)
    ale, rng = plain_emulator(game if game == TALLER else rom_name(game), 0)
    codes = ale.getMinimalActionSet()
    for _ in range(rng.integers(1, 31)):
        ale.act(codes[0])
    shown = [ale.getScreenRGB()] * 2

    def act(action):
        gained = 0
        for _ in range(frame_skip):
            gained += ale.act(codes[action])
            shown.append(ale.getScreenRGB())
        return gained

    def seen():
        merged = merged_gray(*shown[-2:])
        return (
            merged
            if merged.shape == (210, 160)
            else cv2.resize(merged, (160, 210), interpolation=cv2.INTER_AREA)
        )

    if codes[1].name == "FIRE":
        act(1)
        act(2)
    assert np.array_equal(first, seen())
    flickers, gain = 0, 0
    for action in actions:
        lives, frame, ram = ale.lives(), blank(), np.zeros(128, np.uint8)
        reward, end = env.step(action, frame)
        assert reward == act(action)
        env.ram(ram)
        assert np.array_equal(ram, ale.getRAM())
        assert np.array_equal(frame, seen())
        gain += reward
        flickers += not np.array_equal(*shown[-2:])
        lost = (
            TERMINATED if ale.game_over() else LIFE_LOST if 0 < ale.lives() < lives else CONTINUES
        )
        assert end == lost
        if end == LIFE_LOST:
            assert not env.reset(blank())
            act(0)
            if codes[1].name == "FIRE":
                act(1)
                act(2)
        elif end == TERMINATED:
            break
    assert flickers > 10
    assert gain > 0 or game in ("breakout", TALLER)


class Colors(Tape):
    """Notes the emulator's own colours of each screen that is taken."""

    def __init__(self, ale):
        super().__init__(ale)
        self.shown = []

    def getScreen(self, out):
        self.ale.getScreen(out)
        self.shown.append(self.ale.getScreenRGB())


@pytest.mark.parametrize("game", GAMES["paper-2019"])
def test_frames_are_merged_in_colour_and_made_gray(game):
    env, frame = environment(game), blank()
    env.ale, end = Colors(env.ale), TERMINATED
    for action in some_actions(env, 400):
        if end != CONTINUES:
            env.reset(frame)
        _, end = env.step(action, frame)
        assert np.array_equal(frame, merged_gray(*env.ale.shown[-2:]))


def test_merging_grays_would_be_another_picture():
    """0.2 % of Ms Pac-Man's pixels; the 2019 code merged colours."""
    env, frame = environment("mspacman"), blank()
    env.ale, grays, differ = Colors(env.ale), [], 0
    env.reset(frame)
    for action in some_actions(env, 100):
        env.step(action, frame)
        grays = [cv2.cvtColor(one, cv2.COLOR_RGB2GRAY) for one in env.ale.shown[-2:]]
        differ += int((frame != np.maximum(*grays)).sum())
    assert 0 < differ < 0.01 * 100 * frame.size


def test_every_pair_of_colours():
    each = np.arange(0, 256, 2, dtype=np.uint8)
    screens, out = colors.Screens((128, 128)), np.zeros((128, 128), np.uint8)
    screens.last[0], screens.last[1] = each[:, None], each
    screens.merge(out)
    rgb = colors.PALETTE[screens.last].astype(np.uint8)
    assert np.array_equal(out, merged_gray(*rgb))


def test_colours_are_the_emulators():
    env, seen = environment("yarsrevenge"), set()
    grays = np.frombuffer(colors.GRAY, np.uint8)
    for action in some_actions(env, 2000):
        env.ale.act(env.actions[action])
        screen = env.ale.getScreen()
        assert np.array_equal(grays[screen], env.ale.getScreenGrayscale())
        assert np.array_equal(colors.PALETTE[screen], env.ale.getScreenRGB())
        seen.update(np.flatnonzero(np.bincount(screen.ravel())).tolist())
    assert len(seen) > 120
    assert not any(color % 2 for color in seen)


def test_other_grays_than_the_emulators_are_an_error(monkeypatch):
    env = environment("pong")
    changed = playing._GRAYS.copy()
    changed[-1] = 0
    monkeypatch.setattr(playing, "_GRAYS", changed)
    env.reset(blank())  # that colour is not shown
    monkeypatch.setattr(playing, "_GRAYS", np.zeros(256, np.uint8))
    with pytest.raises(
        UserError, match=r"^ale-py .* converts the colours of pong .*: install the versions in "
    ):
        env.reset(blank())


@pytest.mark.parametrize("game", GAMES["paper-2019"])
def test_an_environment_that_played_restarts_as_a_new_one(game):
    env = environment(game, seed=5)
    steps(env, some_actions(env, 900, seed=2))
    env.restart(np.random.default_rng(0))
    new, actions = environment(game), some_actions(env, 300)
    for once, again in zip(steps(new, actions), steps(env, actions), strict=True):
        assert np.array_equal(once, again)


def test_no_game_has_a_taller_screen():
    with_other_size = {
        game
        for game in GAMES["revised-2020"]
        if environment(game).ale.getScreenDims() != (210, 160)
    }
    assert with_other_size == set()


@pytest.mark.parametrize("game", ["boxing", "breakout", "pong"])
def test_agrees_with_gymnasium(game):
    env = environment(game, seed=3)
    frames, ram, rewards, ends = steps(env, actions := some_actions(env, 60))
    rng = np.random.default_rng(3)
    rng.integers(2**31)

    with gym.make(gym_id(game), obs_type="rgb") as theirs:

        def act(action):
            shown = [theirs.step(action) for _ in range(4)]
            return merged_gray(shown[-2][0], shown[-1][0]), sum(step[1] for step in shown)

        theirs.reset(seed=0)
        for _ in range(rng.integers(1, 31)):
            frame, *_ = theirs.step(0)
        frame = merged_gray(frame, frame)
        for action in (1, 2) if theirs.unwrapped.get_action_meanings()[1] == "FIRE" else ():
            frame, _ = act(action)
        assert np.array_equal(frame, frames[0])
        compared = int(np.argmax(ends != CONTINUES)) or len(actions)
        for i, action in enumerate(actions[:compared], start=1):
            frame, reward = act(action)
            assert np.array_equal(frame, frames[i])
            assert np.array_equal(theirs.unwrapped.ale.getRAM(), ram[i])
            assert reward == rewards[i]
    assert compared > 20


@pytest.mark.parametrize("game", HAVE_FIRE + HAVE_NONE)
def test_what_is_pressed_at_a_reset(game):
    env = taped(environment(game))
    start = [*["FIRE"] * 4, *[env.meanings[2]] * 4] if game in HAVE_FIRE else []
    assert ("FIRE" in env.meanings) == (game in HAVE_FIRE)
    env.reset(blank())
    noops = len(env.ale.acts) - len(start)
    assert 1 <= noops <= 30
    assert env.ale.acts == ["NOOP"] * noops + start
    env.ale.acts.clear()
    env.reset(blank())  # with the next life
    assert env.ale.acts == ["NOOP"] * 4 + start


@pytest.mark.parametrize(
    ("noop_max", "counts"), [(0, {0}), (1, {1}), (3, {1, 2, 3}), (30, set(range(1, 31)))]
)
def test_number_of_noops(noop_max, counts):
    env = environment("mspacman", noop_max=noop_max)
    seen = set()
    for _ in range(250 if noop_max == 30 else 30):
        env.game_over = True
        assert env.reset(blank())
        seen.add(env.ale.getEpisodeFrameNumber())
    assert seen == counts


@pytest.mark.parametrize(("game", "all_lives", "start"), [("breakout", 5, 8), ("mspacman", 3, 0)])
def test_lost_lives_and_games(game, all_lives, start):
    env = taped(environment(game))
    frame, actions = blank(), iter(some_actions(env, 5000))
    assert env.reset(frame)
    for left in [*range(all_lives - 1, 0, -1), 0]:
        end = CONTINUES
        while end == CONTINUES:
            before = env.ale.getEpisodeFrameNumber()
            _, end = env.step(next(actions), frame)
        assert env.game_over == env.ale.game_over() == (left == 0)
        if left:
            assert end == LIFE_LOST
            assert env.lives == left
            before = env.ale.getEpisodeFrameNumber()
            assert not env.reset(frame)
            # The game goes on from there, one no-op and the start's actions later.
            assert env.ale.getEpisodeFrameNumber() == before + 4 + start
            assert env.lives == left
    assert end == TERMINATED
    assert env.reset(frame)
    assert 1 <= env.ale.getEpisodeFrameNumber() - start <= 30
    assert env.ale.getEpisodeFrameNumber() < before
    assert env.lives == all_lives
    assert not env.game_over


def test_a_game_that_ends_while_the_next_life_begins_is_followed_by_a_new_one():
    class EndsOnce(Tape):
        def game_over(self):
            self.ended, over = True, not hasattr(self, "ended")
            return over

    env = environment("mspacman")
    assert env.reset(blank())
    env.ale = EndsOnce(env.ale)
    assert env.reset(blank())
    assert set(env.ale.acts[4:]) == {"NOOP"}
    assert env.ale.getEpisodeFrameNumber() <= 30


@pytest.mark.parametrize(
    ("lives", "end"),
    [(4, CONTINUES), (3, CONTINUES), (2, LIFE_LOST), (1, LIFE_LOST), (0, CONTINUES)],
)
def test_what_ends_an_episode(lives, end):
    env = taped(environment("mspacman"))
    env.reset(blank())
    assert env.lives == 3
    env.ale.lives = lambda: (
        lives
    )  # 0 before the game is over: some games show it, and no life is left to begin
    assert env.step(1, blank())[1] == end


# Policies


def drawn(noop, actions, n, seed=0):
    policy = RandomPolicy(Policy(kind="random", noop=noop), actions, np.random.default_rng(seed))
    return np.array([policy(None, 0) for _ in range(n)])


@pytest.mark.parametrize(("noop", "first"), [(True, 0), (False, 1)])
@pytest.mark.parametrize("actions", [3, 18])
def test_policy_is_uniform(noop, first, actions):
    counts = np.bincount(drawn(noop, actions, 20_000), minlength=actions)
    assert counts[:first].sum() == 0
    assert scipy.stats.chisquare(counts[first:]).pvalue > 0.01


def test_policy_is_seeded():
    assert np.array_equal(drawn(False, 6, 3000), drawn(False, 6, 3000))
    assert not np.array_equal(drawn(False, 6, 3000), drawn(False, 6, 3000, seed=1))


def test_policy_has_no_memory():
    taken = drawn(False, 4, 20_000) - 1
    pairs = np.bincount(taken[:-1] * 3 + taken[1:], minlength=9)
    assert scipy.stats.chisquare(pairs).pvalue > 0.01


# Collecting


@pytest.mark.parametrize(
    ("frames", "num_envs", "shares"),
    [
        (1, 8, [1]),
        (256, 8, [256]),
        (257, 8, [256, 1]),
        (1100, 3, [512, 512, 76]),
        (1100, 1, [1100]),
        (2048, 8, [256] * 8),
        (50_000, 8, [6400] * 4 + [6144] * 3 + [5968]),
    ],
)
def test_shares_of_streams(frames, num_envs, shares):
    assert frames_per_env(frames, num_envs) == shares


@pytest.mark.parametrize("frames", range(1, 3000, 97))
@pytest.mark.parametrize("num_envs", [1, 2, 3, 8])
def test_shares_are_whole_chunks_but_the_last(frames, num_envs):
    shares = frames_per_env(frames, num_envs)
    assert sum(shares) == frames
    assert min(shares) >= 1
    assert len(shares) <= num_envs
    assert all(share % store.CHUNK == 0 for share in shares[:-1])


@pytest.mark.parametrize(
    "settings",
    [{}, {"game": "pong", "frames": 300, "num_envs": 8, "purpose": "pretrain"}],
    ids=["ragged", "fewer chunks than streams"],
)
def test_file_does_not_depend_on_the_number_of_workers(play, settings):
    one, two = (play(workers=workers, **settings).read_bytes() for workers in (1, 2))
    assert one == two


@pytest.fixture(scope="module")
def pong(play):
    return {"frames": 60, "game": "pong"}, FrameStore.open(play(game="pong", frames=60))


@pytest.mark.parametrize("change", [{"purpose": "pretrain"}, {"seed": 1}], ids=str)
def test_other_frames_for_another_purpose_and_seed(play, pong, change):
    settings, first = pong
    other = FrameStore.open(play(**settings, **change))
    assert other.sha256 != first.sha256
    assert not np.array_equal(other.action, first.action)
    assert not np.array_equal(other.ram, first.ram)


def test_header(breakout):
    header = FrameStore.open(breakout).header
    assert header == {
        "actions": ["NOOP", "FIRE", "RIGHT", "LEFT"],
        "ale_py": version("ale-py"),
        "format": store.FORMAT,
        "game": "breakout",
        "kind": "episodes",
        "policy": "random_agent",
        "policy_settings": {"kind": "random", "noop": False, "options": {}},
        "purpose": "probe",
        "seed": 0,
        "settings": {"num_envs": 3, "frame_skip": 4, "noop_max": 30},
        "frames_per_env": [512, 512, 76],
    }


def test_records_are_what_a_replay_by_hand_shows(breakout):
    found = FrameStore.open(breakout)
    frames = found.read(np.arange(len(found)))
    settings = Episodes(
        frames=Frames(pretrain=1100, probe=1100), num_envs=3, frame_skip=4, noop_max=30
    )
    policy = Policy(kind="random", noop=False)
    row, episode, game = 0, -1, -1
    for number, share in enumerate(found.header["frames_per_env"]):
        stream = EnvJob("breakout", "random_agent", policy, settings, "probe", 0, number, share)
        env = Environment("breakout", stream.rng("environment"), frame_skip=4, noop_max=30)
        choose = RandomPolicy(policy, 4, stream.rng("policy"))
        end, over = None, True
        for left in range(share, 0, -1):
            frame = blank()
            if end != CONTINUES:
                env.reset(frame)
                action, reward, end = NO_ACTION, 0, CONTINUES
                episode, game = episode + 1, game + over
            else:
                action = choose(frame, 0)
                reward, end = env.step(action, frame)
                over = end == TERMINATED
            stored_end = TRUNCATED if left == 1 and end == CONTINUES else end
            by_hand = {
                "action": action,
                "reward": reward,
                "lives": env.ale.lives(),
                "end": stored_end,
            }
            by_hand |= {"ram": env.ale.getRAM(), "episode": episode, "game": game}
            assert by_hand.keys() == COLUMNS.keys()
            assert all(
                np.array_equal(getattr(found, name)[row], value) for name, value in by_hand.items()
            ), row
            assert np.array_equal(frames[row], frame), row
            row += 1
    assert row == len(found)
    assert found.reward.sum() > 0


def test_columns_fit_one_another(breakout):
    found = FrameStore.open(breakout)
    assert all(getattr(found, name).dtype == dtype for name, (dtype, _) in COLUMNS.items())
    starts, ends = found.action == NO_ACTION, found.end != CONTINUES
    stream_starts = np.cumsum([0, *found.header["frames_per_env"]])[:-1]
    assert np.array_equal(starts[1:], ends[:-1])
    assert starts[0]
    assert starts[stream_starts].all()
    assert set(found.action[~starts]) == {1, 2, 3}
    assert not found.reward[starts].any()
    assert np.array_equal(found.episode, np.cumsum(starts) - 1)
    new_game = np.roll(found.end == TERMINATED, 1)
    new_game[stream_starts] = True
    assert np.array_equal(found.game, np.cumsum(new_game) - 1)
    assert set(found.end) == {CONTINUES, LIFE_LOST, TERMINATED, TRUNCATED}
    assert set(np.flatnonzero(found.end == TRUNCATED)) <= set(
        (np.cumsum(found.header["frames_per_env"]) - 1).tolist()
    )


class FakeEnvironment:
    """Ends as it is told, step by step; a frame shows how many there were, resets included."""

    lives, count = 3, 0

    def __init__(self, ends, new_games):
        self.ends, self.new_games = iter(ends), iter(new_games)

    def reset(self, out):
        self._show(out)
        return next(self.new_games)

    def step(self, action, out):
        self._show(out)
        return 1.0, next(self.ends)

    def ram(self, out):
        out[:] = self.count

    def _show(self, out):
        self.count += 1
        out[:] = self.count


@pytest.mark.parametrize(
    ("last", "stored"), [(CONTINUES, TRUNCATED), (LIFE_LOST, LIFE_LOST), (TERMINATED, TERMINATED)]
)
def test_record_of_made_up_ends(last, stored):
    columns = store.empty_columns(8)
    env = FakeEnvironment([CONTINUES, LIFE_LOST, LIFE_LOST, TERMINATED, last], [True, False, True])
    env.ends = iter([CONTINUES, LIFE_LOST, LIFE_LOST, CONTINUES, last])
    (chunk,) = collecting._record(env, lambda frame, begins: int(frame[0, 0]), columns)
    assert columns["end"].tolist() == [
        CONTINUES,
        CONTINUES,
        LIFE_LOST,
        CONTINUES,
        LIFE_LOST,
        CONTINUES,
        CONTINUES,
        stored,
    ]
    assert columns["episode"].tolist() == [0, 0, 0, 1, 1, 2, 2, 2]
    assert columns["game"].tolist() == [0, 0, 0, 0, 0, 1, 1, 1]
    assert columns["action"].tolist() == [
        255,
        1,
        2,
        255,
        4,
        255,
        6,
        7,
    ]  # chosen for the frame before
    assert columns["reward"].tolist() == [0, 1, 1, 0, 1, 0, 1, 1]
    assert columns["ram"][:, 0].tolist() == chunk[:8, 0, 0].tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert not chunk[8:].any()


# The store


def content(path):
    found = FrameStore.open(path)
    return (
        found.header,
        {name: getattr(found, name).tobytes() for name in COLUMNS},
        found.read(np.arange(len(found))).tobytes(),
    )


def made_frames(n, seed=0):
    frames = np.zeros((n, 210, 160), np.uint8)
    for i, value in enumerate(np.random.default_rng(seed).integers(1, 256, n)):
        frames[i, i % 200 : i % 200 + 8, 3:80] = value
    return frames


def made_columns(n, seed=0):
    rng = np.random.default_rng(seed)
    return {
        name: rng.integers(0, 3, (n, *shape)).astype(dtype)
        for name, (dtype, shape) in COLUMNS.items()
    }


def test_blosc2_reads_the_frames_as_they_are(breakout):
    assert np.array_equal(
        blosc2.open(str(breakout), mode="r")[:], FrameStore.open(breakout).read(np.arange(1100))
    )


@pytest.mark.parametrize("n", [1, 255, 256, 257, 600])
def test_round_trip(write_store, n):
    frames, columns = made_frames(n), made_columns(n)
    found = FrameStore.open(write_store("x", frames, {"game": "pong", "ä": [1.5]}, **columns))
    assert len(found) == n
    assert found.header == {
        "game": "pong",
        "ä": [1.5],
        "format": store.FORMAT,
        "kind": "episodes",
    }
    for name, values in columns.items():
        assert np.array_equal(getattr(found, name), values)
    assert np.array_equal(np.concatenate([chunk.copy() for _, chunk in found.chunks()]), frames)
    assert [first for first, _ in found.chunks()] == list(range(0, n, 256))
    assert not hasattr(found, "nothing")


def test_same_content_same_bytes_and_other_content_another_sum(write_store):
    frames, columns = made_frames(20), made_columns(20)
    first, again = write_store("a", frames, **columns), write_store("b", frames, **columns)
    assert first.read_bytes() == again.read_bytes()
    columns["end"][7] ^= 1
    one_end = write_store("c", frames, **columns)
    columns["end"][7] ^= 1
    frames[3, 4, 5] ^= 1
    one_pixel = write_store("d", frames, **columns)
    assert len({FrameStore.open(path).sha256 for path in (first, again, one_end, one_pixel)}) == 3


@pytest.mark.parametrize("count", [0, 1, 5, 300, 1099, 1100])
def test_rows_are_those_of_the_chunks(breakout, count):
    found = FrameStore.open(breakout)
    everything = np.concatenate([chunk.copy() for _, chunk in found.chunks()])
    rows = np.sort(np.random.default_rng(count).choice(1100, count, replace=False))
    assert np.array_equal(found.read(rows), everything[rows])
    out = np.full((count, 210, 160), 7, np.uint8)
    assert found.read(rows, out) is out
    assert np.array_equal(out, everything[rows])


@pytest.mark.parametrize(
    "rows",
    [np.arange(256, 512), np.arange(200, 800), np.r_[0:256, 1090:1100], np.r_[255, 256, 1024]],
)
def test_rows_at_the_borders_of_chunks(breakout, rows):
    assert np.array_equal(
        FrameStore.open(breakout).read(rows), blosc2.open(str(breakout), mode="r")[:][rows]
    )


# Stacks of frames


def test_stacks_by_hand():
    rows, first = np.array([3, 4, 6, 9]), np.array([3, 3, 3, 8])
    assert stack_rows(rows, first, 3).tolist() == [[3, 3, 3], [3, 3, 4], [4, 5, 6], [8, 8, 9]]
    assert stack_rows(rows, first, 1).tolist() == [[3], [4], [6], [9]]
    assert stack_rows(rows[:0], first[:0], 4).shape == (0, 4)
    assert stack_rows(np.array([2, 1]), np.array([0, 0]), 2).tolist() == [[1, 2], [0, 1]]


def plain_stacks(found, everything, rows, stack):
    """Step back from each frame until its episode begins."""
    stacks = []
    for row in rows:
        frames = []
        at = row
        for _ in range(stack):
            frames.insert(0, everything[at])
            at -= at > 0 and found.episode[at - 1] == found.episode[row]
        stacks.append(frames)
    return np.array(stacks, np.uint8).reshape(-1, stack, 210, 160)


@pytest.mark.parametrize("stack", [1, 2, 4, 9])
def test_stacks_are_those_of_a_plain_loop(breakout, stack):
    found = FrameStore.open(breakout)
    everything = blosc2.open(str(breakout), mode="r")[:]
    starts = np.flatnonzero(np.diff(found.episode, prepend=-1))
    assert len(starts) > 10
    around = np.arange(-2, 3)
    chosen = {
        "starts and ends of episodes": (starts[:, None] + around).ravel(),
        "borders of chunks": (np.array([[256], [512], [768], [1024]]) + around).ravel(),
        "both ends": np.r_[0:5, 1095:1100],
        "with gaps": np.sort(np.random.default_rng(stack).choice(1100, 60, replace=False)),
        "one": np.array([700]),
        "none": np.array([], np.int64),
    }
    for what, rows in chosen.items():
        rows = np.unique(rows[(rows >= 0) & (rows < len(found))])
        stacks = load_stacks(found, rows, stack)
        assert (stacks.dtype, stacks.shape) == (np.uint8, (len(rows), stack, 210, 160))
        assert np.array_equal(stacks, plain_stacks(found, everything, rows, stack)), what
        assert np.array_equal(stacks[:, -1], found.read(rows))


def test_stacks_end_at_a_life(write_store):
    """Also where an episode is longer than what is asked for, and shorter than a stack."""
    frames = np.arange(9, dtype=np.uint8)[:, None, None] * np.ones((1, 210, 160), np.uint8)
    found = FrameStore.open(
        write_store(
            "a", frames, episode=[0, 0, 0, 0, 1, 2, 2, 2, 2], game=[0, 0, 0, 0, 0, 1, 1, 1, 1]
        )
    )
    stacks = load_stacks(found, np.array([3, 4, 5, 6, 8]), 3)
    assert stacks[:, :, 0, 0].tolist() == [[1, 2, 3], [4, 4, 4], [5, 5, 5], [5, 5, 6], [6, 7, 8]]
    assert (stacks == stacks[:, :, :1, :1]).all()


# A process of its own: what is read is broken, and might break the reader, which is C.
FUZZ = """
import sys
from pathlib import Path
import numpy as np
sys.path.insert(0, "tests")
from test_episodes import content
from workflow_src.errors import DamagedFile

path = Path(sys.argv[1])
rng, raw, good = np.random.default_rng(0), path.read_bytes(), content(path)
refused = 0
for i in range(240):
    bad, bits = bytearray(raw), len(raw) * 8
    # Anywhere, in the two ends (where Blosc2 keeps its own words), or cut off.
    places = [rng.integers(bits), rng.integers(1600), bits - 1 - rng.integers(1600)]
    at = [*places, rng.integers(bits)][i % 4]
    bad[at // 8] ^= 1 << at % 8
    path.write_bytes(bad[: at // 8] if i % 4 == 3 else bad)
    try:
        assert content(path) == good, f"silently other content: {i % 4}, bit {at}"
    except DamagedFile as error:
        assert str(path) in str(error) and len(str(error).splitlines()) == 1
        refused += 1
print(refused)
"""


def test_no_damage_goes_unseen(write_store):
    path = write_store("x", made_frames(300), **made_columns(300))
    done = subprocess.run(
        [sys.executable, "-c", FUZZ, path], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert 180 < int(done.stdout) <= 240  # some bits of a file say nothing


@pytest.mark.parametrize("raw", [b"", b"frames", bytes(5000)], ids=["empty", "text", "zeros"])
def test_what_is_no_store_is_refused(tmp_path, raw):
    (tmp_path / "x").write_bytes(raw)
    with pytest.raises(
        DamagedFile,
        match=r"/x is damaged, truncated or not a frame file: delete it and collect it again$",
    ):
        FrameStore.open(tmp_path / "x")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 99}, r"/x has format version 99, this program reads version 2: make it again$"),
        ({"kind": "split"}, r"/x holds split, not episodes: name the right file$"),
    ],
    ids=str,
)
def test_other_formats_and_kinds_are_refused(write_store, change, message):
    path = write_store("x", made_frames(3), {"game": "pong", **change})
    with pytest.raises(UserError, match=message):
        FrameStore.open(path)


def test_missing_store(tmp_path):
    with pytest.raises(
        UserError, match=r"^cannot read .*/x: there is no such file; make it first$"
    ):
        FrameStore.open(tmp_path / "x")


# Bad ends


def test_out_below_a_file(play, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(
        UserError,
        match=r"^cannot write .*/file: a part of the path is a file, not a directory; .*choose",
    ):
        play(frames=10, out=tmp_path / "file" / "x.b2nd")
    assert names_in(tmp_path) == ["file"]


@contextmanager
def limit(size, of=resource.RLIMIT_FSIZE):
    """A limit for this process and those that it starts, for a while; by default files' sizes."""
    before = resource.getrlimit(of)
    resource.setrlimit(of, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(of, before)


def test_without_memory_to_share(play, tmp_path, monkeypatch):
    def refuse(self):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(multiprocessing.context.BaseContext, "Event", refuse)
    with pytest.raises(UserError, match=r"/dev/shm: read-only file system\); make it writable"):
        play(out=tmp_path / "x.b2nd")
    assert names_in(tmp_path) == []


def test_frames_are_not_called_damaged_for_want_of_file_handles(breakout):
    refused = pytest.raises(UserError, match=r"too many files are open .*raise the limit")
    with refused, limit(0, resource.RLIMIT_NOFILE):
        FrameStore.open(breakout)


def test_frames_are_not_called_damaged_for_want_of_memory(breakout, monkeypatch):
    def refuse(*arguments, **options):
        raise MemoryError

    monkeypatch.setattr(blosc2, "open", refuse)
    monkeypatch.setattr(np, "ones", refuse)
    with pytest.raises(UserError, match=r"there is not enough memory; free some and run again"):
        FrameStore.open(breakout)


@pytest.mark.parametrize("share", [0.1, 0.9], ids=["while playing", "while gathering"])
def test_collecting_without_room(play, breakout, tmp_path, share):
    with limit(int(breakout.stat().st_size * share)), pytest.raises(UserError) as refusal:
        play(out=tmp_path / "x.b2nd", workers=1)
    message = str(refusal.value)
    assert message.startswith(f"cannot write {tmp_path}")
    assert message.endswith(
        ": the file exceeds the file-size limit (ulimit -f); raise the limit and run again"
    )
    assert names_in(tmp_path) == []


def test_storing_without_room_says_so_at_every_size(write_store):
    frames, columns = made_frames(300), made_columns(300)
    whole = write_store("whole", frames, **columns)
    size, path = whole.stat().st_size, whole.with_name("x")
    for few in [*range(0, size, size // 20), size - 1]:
        with (
            limit(few),
            pytest.raises(UserError, match=r"^cannot write .*/x: the file exceeds"),
        ):
            write_store("x", frames, **columns)
        assert names_in(path.parent) == ["whole"]
    with limit(2 * size):
        write_store("x", frames, **columns)
    assert path.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk(write_store, tmp_path, monkeypatch, number):
    def full(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(artifacts.os, "fsync", full)  # some file systems say it only now
    with pytest.raises(
        UserError, match=r"^cannot write .*/x: the disk (is full|quota is used up); free some space"
    ):
        write_store("x", made_frames(3))
    assert names_in(tmp_path) == []


def test_a_killed_collection_leaves_nothing_that_harms(play, breakout, tmp_path):
    content = yaml.safe_load((ROOT / "config.yaml").read_text())
    content["episodes"] |= {"frames": {"pretrain": 1100, "probe": 1100}, "num_envs": 3}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(content))
    out = tmp_path / "out" / "x.b2nd"
    which = ["--game", "breakout", "--policy", "random_agent", "--purpose", "probe", "--seed", "0"]
    command = [
        sys.executable,
        "-m",
        "workflow_src",
        "episodes",
        *which,
        "--workers",
        "1",
        "--quiet",
        "--out",
        out,
    ]
    main = subprocess.Popen(command, cwd=tmp_path)
    # Kill it when the first of its five chunks is there.
    while not any(sizes.stat().st_size for sizes in out.parent.glob(".x.b2nd.*.parts/*.sizes")):
        assert main.poll() is None
        time.sleep(0.005)
    workers = psutil.Process(main.pid).children(recursive=True)
    main.kill()
    main.wait()
    assert workers
    _, immortal = psutil.wait_procs(workers, timeout=60)
    for process in immortal:
        process.kill()
    assert not immortal
    assert names_in(out.parent) == [f".x.b2nd.{artifacts._here()}-{main.pid}.parts"]
    play(out=out)
    assert names_in(out.parent) == ["x.b2nd"]
    assert out.read_bytes() == breakout.read_bytes()


def test_a_failing_worker_fails_the_collection(play, tmp_path):
    with pytest.raises(UserError, match=r"unknown game 'pongg' \(did you mean pong\?\)"):
        play(game="pongg", frames=600, out=tmp_path / "x.b2nd")
    assert names_in(tmp_path) == []


MEMORY = """
import resource, sys
from pathlib import Path
from workflow_src.config.episodes import Episodes, Frames, Policy
from workflow_src.episodes.collect import collect

for frames in (2000, 8000):
    frames = Frames(pretrain=frames, probe=frames)
    settings = Episodes(frames=frames, num_envs=2, frame_skip=4, noop_max=30)
    policy = Policy(kind="random", noop=False)
    which = {"policy": "random_agent", "policy_settings": policy, "settings": settings}
    out = Path(sys.argv[1]) / "x.b2nd"
    collect(game="pong", **which, purpose="probe", seed=0, out=out, workers=2, progress=False)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_memory_does_not_grow_with_the_frames(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, tmp_path],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    few, many = map(int, done.stdout.split())
    kibibytes_of_frames = 6000 * 210 * 160 / 1024
    assert many - few < kibibytes_of_frames / 10


# Drawing an epoch's frames


LENGTHS = np.array([1, 3, 2])


def test_a_permutation_is_one():
    rng = np.random.default_rng(0)
    draws = [draw(LENGTHS, "permutation", rng) for _ in range(50)]
    assert all(sorted(positions.tolist()) == [0, 1, 2, 3, 4, 5] for positions in draws)
    assert len({positions.tobytes() for positions in draws}) > 25


def test_replacement_makes_episodes_alike():
    rng = np.random.default_rng(0)
    positions = np.concatenate([draw(LENGTHS, "replacement", rng) for _ in range(3000)])
    assert positions.dtype == np.int64
    assert len(positions) == 3000 * 6
    expected = len(positions) / 3 * np.array([1, 1 / 3, 1 / 3, 1 / 3, 1 / 2, 1 / 2])
    assert scipy.stats.chisquare(np.bincount(positions, minlength=6), expected).pvalue > 0.01


@pytest.mark.parametrize("how", ["permutation", "replacement"])
def test_drawing_is_seeded(how):
    lengths = np.array([40, 60])
    first, again, other = (draw(lengths, how, np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert len(first) == 100
