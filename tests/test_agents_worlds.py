"""The worlds of agents: Atari against ale-py's own vector environment, and the small ones."""

import contextlib
import hashlib
import multiprocessing
import os
import signal
import subprocess
import sys
import time

import ale_py
import cv2
import gymnasium as gym
import numpy as np
import pytest
from ale_py.vector_env import AtariVectorEnv, AutoresetMode
from gymnasium.utils.env_checker import check_env

from workflow_src.agents import environment
from workflow_src.agents.environments import atari
from workflow_src.agents.environments.catch import Catch
from workflow_src.agents.environments.gridworld import GridWorld
from workflow_src.agents.vector import Vector
from workflow_src.ari.games import rom_name
from workflow_src.config.agents import AgentEnvironment, AgentProtocol
from workflow_src.emulator import environment as emulator
from workflow_src.emulator.environment import CONTINUES, LIFE_LOST, TERMINATED, TRUNCATED
from workflow_src.errors import UserError

pytestmark = pytest.mark.slow

PLAIN = {
    "sticky": 0.0,
    "noop_max": 0,
    "life_loss": False,
    "clear_history": False,
    "max_frames": None,
    "epsilon": 0.001,
}


def protocol(**change):
    return AgentProtocol.model_validate(PLAIN | change)


def rng(seed=0):
    return np.random.default_rng(seed)


def world(game="pong", settings=None, training=True, **change):
    return environment.make(
        AgentEnvironment.model_validate(settings or {}),
        protocol(**change),
        game=game,
        training=training,
    )


def vector(game, n=1, workers=1, settings=None, training=True, history=4, **change):
    return Vector(
        AgentEnvironment.model_validate(settings or {}),
        protocol(**change),
        game=game,
        num_envs=n,
        workers=workers,
        history=history,
        training=training,
    )


# Atari against its oracle


@pytest.mark.parametrize("game", ["pong", "breakout", "mspacman", "seaquest", "spaceinvaders"])
@pytest.mark.parametrize("life_loss", [False, True], ids=["modern", "classic"])
def test_observations_are_those_of_the_vector_environment(game, life_loss):
    """Byte for byte, with rewards and ends; after a lost life both games go on."""
    oracle = AtariVectorEnv(
        rom_name(game),
        num_envs=1,
        noop_max=0,
        use_fire_reset=False,
        reward_clipping=False,
        repeat_action_probability=0.0,
        life_loss_info=life_loss,
        full_action_space=False,
        num_threads=1,
    )
    actions = rng(1).integers(oracle.single_action_space.n, size=500)
    seen, _ = oracle.reset(seed=0)
    ends = []
    with vector(game, life_loss=life_loss) as ours:
        assert ours.num_actions == oracle.single_action_space.n
        ours.new_games([rng()])
        assert np.array_equal(ours.observation, seen)
        for action in actions:
            seen, reward, over, _, info = oracle.step(np.array([action]))
            ours.step(np.array([action]))
            ends.append(int(ours.end[0]))
            assert ours.reward[0] == reward[0]
            assert (ours.end[0] in (LIFE_LOST, TERMINATED)) == over[0]
            if ours.end[0] == TERMINATED:  # there, the next game begins with the next step
                break
            assert np.array_equal(ours.observation, seen)
            assert ours.lives[0] == info["lives"][0]
    oracle.close()
    if game == "breakout":  # lives are lost within 500 random steps
        assert (LIFE_LOST in ends) == life_loss and TERMINATED in ends


@pytest.mark.parametrize("frame_skip", [2, 5])
def test_games_follow_each_other_as_in_the_vector_environment(frame_skip):
    """Three games in two processes, each over several times; the next begins in the same step."""
    oracle = AtariVectorEnv(
        "breakout",
        num_envs=3,
        noop_max=0,
        frameskip=frame_skip,
        use_fire_reset=False,
        reward_clipping=False,
        repeat_action_probability=0.0,
        autoreset_mode=AutoresetMode.SAME_STEP,
        num_threads=1,
    )
    seen, _ = oracle.reset(seed=0)
    games = np.zeros(3)
    with vector("breakout", 3, 2, {"frame_skip": frame_skip}) as ours:
        ours.new_games([rng(i) for i in range(3)])
        assert np.array_equal(ours.observation, seen) and ours.first.all() and not ours.end.any()
        for actions in rng(6).integers(ours.num_actions, size=(1600 // frame_skip, 3)):
            seen, reward, over, _, info = oracle.step(actions)
            ours.step(actions)
            assert np.array_equal(ours.observation, seen) and np.array_equal(ours.reward, reward)
            assert np.array_equal(ours.end == TERMINATED, over) and (ours.first == over).all()
            assert np.array_equal(ours.lives, info["lives"])
            assert [i for i, *_ in ours.finished] == np.flatnonzero(over).tolist()
            games += over
    oracle.close()
    assert games.min() > 1


def area(picture):
    return cv2.resize(picture, (84, 84), interpolation=cv2.INTER_AREA)


def test_frames_are_those_of_the_encoders():
    """`observation: frame` is what episodes hold; no game of this test has FIRE to press."""
    theirs = emulator.Environment("mspacman", rng(), noop_max=0)
    ours = world("mspacman", {"observation": "frame"})
    assert ours.frame_shape == (210, 160)
    a, b = np.zeros((2, 210, 160), np.uint8)
    theirs.reset(a)
    ours.new_game(rng(), b)
    assert np.array_equal(a, b)
    ram = np.zeros((2, 128), np.uint8)
    for action in rng(2).integers(ours.num_actions, size=150):
        theirs.step(int(action), a)
        ours.step(int(action), b)
        theirs.ram(ram[0])
        ours.ram(ram[1])
        assert np.array_equal(a, b) and np.array_equal(*ram)


def test_resizing_first_is_another_picture():
    """A few pixels differ; both are what OpenCV makes of the two screens."""
    first, merged = (world("spaceinvaders", {"pool": p}) for p in ("resize-first", "max-first"))
    a, b = np.zeros((2, 84, 84), np.uint8)
    first.new_game(rng(), a)
    merged.new_game(rng(), b)
    assert np.array_equal(a, b)  # of two equal screens
    differ = 0
    for action in rng(3).integers(first.num_actions, size=60):
        first.step(int(action), a)
        merged.step(int(action), b)
        grays = first._last  # as converted
        small = [cv2.resize(gray, (84, 84), interpolation=cv2.INTER_AREA) for gray in grays]
        assert np.array_equal(a, np.maximum(*small))
        assert np.array_equal(
            b, cv2.resize(np.maximum(*grays), (84, 84), interpolation=cv2.INTER_AREA)
        )
        differ += int((a != b).sum())
    assert 0 < differ < 0.05 * 60 * 84 * 84


class Recorded:
    """An emulator that notes what it is told to do."""

    def __init__(self, ale):
        self._ale, self.acted = ale, []

    def act(self, action):
        self.acted.append(action)
        return self._ale.act(action)

    def __getattr__(self, name):
        return getattr(self._ale, name)


def bare_emulator(game, mode=None, difficulty=None):
    ale = ale_py.ALEInterface()
    ale.setFloat("repeat_action_probability", 0.0)
    ale.loadROM(ale_py.roms.get_rom_path(game))
    if mode is not None:
        ale.setMode(mode)
    if difficulty is not None:
        ale.setDifficulty(difficulty)
    ale.reset_game()
    return ale


def test_sticky_actions_are_drawn_a_frame_at_a_time():
    """Replayed on a bare emulator, what was executed gives the same RAM."""
    ours, out, chosen = world("pong", sticky=0.25), np.zeros((84, 84), np.uint8), []
    ours.new_game(rng(4), out)
    ours.ale = Recorded(ours.ale)
    actions = rng(5).integers(ours.num_actions, size=1500)
    for action in actions[:600]:
        ours.step(int(action), out)
        chosen += [ours.actions[action]] * 4
    ram = np.zeros(128, np.uint8)
    ours.ram(ram)
    bare = bare_emulator("pong")
    for action in ours.ale.acted:
        bare.act(action)
    assert np.array_equal(bare.getRAM(), ram)
    # Where the frame before did something else, it is repeated in a quarter of the cases.
    acted = ours.ale.acted
    repeats = [acted[i] != chosen[i] for i in range(1, len(chosen)) if acted[i - 1] != chosen[i]]
    assert np.mean(repeats) == pytest.approx(0.25, abs=0.04)
    assert all(acted[i] in (chosen[i], acted[i - 1]) for i in range(1, len(chosen)))


@pytest.mark.parametrize("pool", ["max-first", "resize-first"])
def test_the_last_frame_of_a_game_is_its_own(pool):
    """A game that ends within a step shows its last frame alone, and nothing of the step before."""
    ours, out = world("breakout", {"pool": pool}, sticky=0.25), np.zeros((84, 84), np.uint8)
    ours.new_game(rng(11), out)
    ours.ale, bare = Recorded(ours.ale), bare_emulator("breakout")
    lengths, at = [], 0
    for action in rng(12).integers(ours.num_actions, size=1000).tolist():
        reward, end = ours.step(action, out)
        screens, bare_reward = [], 0
        for code in ours.ale.acted[at:]:
            bare_reward += bare.act(code)
            screens.append(bare.getScreenGrayscale())
        at = len(ours.ale.acted)
        last = screens[-2:] if len(screens) == 4 else screens[-1:]
        if pool == "resize-first":
            seen = np.max([area(screen) for screen in last], axis=0)
        else:
            seen = area(np.max(last, axis=0))
        assert np.array_equal(out, seen) and reward == bare_reward
        assert (end == TERMINATED) == bare.game_over()
        assert len(screens) == 4 or end == TERMINATED
        if end == TERMINATED:
            lengths.append(len(screens))
            ours.next_game(out)
            bare.reset_game()
            assert np.array_equal(out, area(bare.getScreenGrayscale()))
    assert {1, 2, 3} <= set(lengths)


def play(one, steps, seed=0):
    """The ends and rewards of random play."""
    out = np.zeros(one.frame_shape, one.dtype)
    one.new_game(rng(seed), out)
    found = []
    for action in rng(seed).integers(one.num_actions, size=steps):
        found.append((*one.step(int(action), out), one.frames, hashlib.md5(out).hexdigest()))
        if found[-1][1] in (TERMINATED, TRUNCATED):
            one.next_game(out)
    return found


def test_a_lost_life_ends_an_episode_in_training_only():
    training, judged = (
        play(world("breakout", training=t, life_loss=True), 400) for t in (True, False)
    )
    assert [step[1] for step in training].count(LIFE_LOST) > 5
    assert LIFE_LOST not in [step[1] for step in judged]
    rest = (
        [tuple(s[i] for i in (0, 2, 3)) for s in training],
        [tuple(s[i] for i in (0, 2, 3)) for s in judged],
    )
    assert rest[0] == rest[1]  # the game goes on alike


def test_a_long_game_is_cut_off():
    ends = [(step[1], step[2]) for step in play(world("pong", max_frames=100), 60)]
    assert [i for i, (end, _) in enumerate(ends) if end == TRUNCATED] == [24, 49]
    assert ends[24][1] == 100 and ends[25][1] == 4


def test_no_ops_at_the_start_are_drawn():
    one, out = world("pong", noop_max=30), np.zeros((84, 84), np.uint8)
    counts = []
    for seed in range(150):
        one.new_game(rng(seed), out)
        counts.append(one.frames)
    assert min(counts) == 0 and max(counts) == 30 and np.mean(counts) == pytest.approx(15, abs=2.5)


@pytest.mark.parametrize("game", ["berzerk", "tennis"])
def test_a_new_game_keeps_no_trace_of_what_was_played(game):
    used = world(game)
    play(used, 300, seed=8)
    assert play(used, 40, seed=9) == play(world(game), 40, seed=9)


def test_a_mode_holds_for_every_game():
    """In the first game, the second, and one begun anew, it is as the bare emulator has it."""
    settings, ram = {"mode": 1, "difficulty": 1}, np.zeros(128, np.uint8)
    one, out = world("pong", settings), np.zeros((84, 84), np.uint8)
    plain = bare_emulator("pong")
    one.new_game(rng(), out)
    for begin in (lambda: None, lambda: one.next_game(out), lambda: one.new_game(rng(), out)):
        begin()
        bare = bare_emulator("pong", **settings)
        plain.reset_game()
        for action in rng(1).integers(one.num_actions, size=80).tolist():
            one.step(action, out)
            for ale in (bare, plain):
                for _ in range(4):
                    ale.act(one.actions[action])
        one.ram(ram)
        assert np.array_equal(ram, bare.getRAM()) and not np.array_equal(ram, plain.getRAM())


def test_modes_and_difficulties():
    plain, other = (play(world("pong", settings), 200) for settings in ({}, {"difficulty": 1}))
    assert [step[3] for step in plain] != [step[3] for step in other]
    for settings, text in (
        ({"mode": 77}, r"environment\.mode: pong has no mode 77; choose one of 0, 1"),
        ({"difficulty": 5}, r"environment\.difficulty: pong has no difficulty 5; choose one of 0"),
    ):
        with pytest.raises(UserError, match=text):
            world("pong", settings)


# Vectors


def everything(game, workers, steps=150, **options):
    """The checksum of all that a vector of five environments gives."""
    whole = hashlib.sha256()
    with vector(game, 5, workers, **options) as envs:
        actions = rng(7).integers(envs.num_actions, size=(2 * steps, 5))
        for half in (0, 1):
            envs.new_games([rng(10 * half + i) for i in range(5)])
            for row in actions[half * steps : (half + 1) * steps]:
                envs.step(row)
                for name in ("observation", "reward", "end", "first", "frames", "lives", "ram"):
                    whole.update(np.ascontiguousarray(getattr(envs, name)))
                whole.update(repr(envs.finished).encode())
    return whole.hexdigest()


@pytest.mark.parametrize(
    ("game", "options"),
    [
        ("breakout", {"sticky": 0.25, "noop_max": 30, "life_loss": True, "clear_history": True}),
        ("catch", {"settings": {"kind": "catch", "options": {"flickering": 0.5}}}),
    ],
)
def test_any_number_of_processes_gives_the_same_bytes(game, options):
    alone = everything(game, 1, **options)
    assert everything(game, 2, **options) == alone and everything(game, 3, **options) == alone
    assert everything(game, None, **options) == alone  # one a core


@pytest.mark.parametrize("clears", [False, True])
def test_histories_begin_with_zeros(clears):
    with vector("breakout", history=4, life_loss=True, clear_history=clears) as envs:
        envs.new_games([rng()])
        assert (
            envs.first[0] and not envs.observation[0, :-1].any() and envs.observation[0, -1].any()
        )
        before = envs.observation.copy()
        lost = 0
        for action in rng(3).integers(envs.num_actions, size=300):
            envs.step(np.array([action]))
            begins = envs.end[0] == TERMINATED or (envs.end[0] == LIFE_LOST and clears)
            assert envs.first[0] == begins
            if begins:
                assert not envs.observation[0, :-1].any()
            else:
                assert np.array_equal(envs.observation[0, :-1], before[0, 1:])
            before, lost = envs.observation.copy(), lost + (envs.end[0] == LIFE_LOST)
        assert lost > 3


def test_finished_games_are_whole_games():
    """Over all lives, raw: a game of Catch has 23 steps and a return of 0 or 1."""
    with vector("catch", 3, settings={"kind": "catch"}) as envs:
        envs.new_games([rng(i) for i in range(3)])
        games = []
        for _ in range(46):
            envs.step(np.zeros(3, int))
            games += envs.finished
    assert [(i, steps, frames) for i, _, steps, frames in games] == [
        (i, 23, 23) for _ in range(2) for i in range(3)
    ]
    assert {score for _, score, _, _ in games} <= {0.0, 1.0}


def test_scores_are_those_of_all_lives():
    with vector("breakout", 2, life_loss=True, sticky=0.25, noop_max=5) as envs:
        envs.new_games([rng(20), rng(21)])
        begun, score, steps, games, lost = envs.frames.copy(), np.zeros(2), np.zeros(2), [], 0
        played = begun.copy()
        for actions in rng(22).integers(envs.num_actions, size=(600, 2)):
            envs.step(actions)
            score, steps, lost = score + envs.reward, steps + 1, lost + (envs.end == LIFE_LOST)
            over = {i: game for i, *game in envs.finished}
            assert sorted(over) == np.flatnonzero(envs.end == TERMINATED).tolist()
            for i, (total, number, frames) in over.items():
                assert total == score[i] and number == steps[i]
                assert played[i] < frames <= played[i] + 4 and envs.frames[i] <= 5
                score[i] = steps[i] = 0
                games.append(total)
            played = envs.frames.copy()
    assert len(games) > 3 and max(games) > 0 and (lost >= 4).all()


def test_a_game_that_is_cut_off_is_followed_by_the_next():
    with vector("pong", 2, noop_max=30, max_frames=100) as envs:
        envs.new_games([rng(1), rng(2)])
        games, noops = [], [envs.frames.tolist()]
        for _ in range(60):
            envs.step(np.zeros(2, int))
            assert (envs.first == (envs.end == TRUNCATED)).all()
            assert set(envs.end.tolist()) <= {CONTINUES, TRUNCATED}
            games += envs.finished
            noops += [envs.frames.tolist()] if envs.finished else []
    assert len(games) >= 4
    assert all(100 <= frames < 104 for *_, frames in games)
    assert all(0 <= frames - 4 * steps <= 30 for _, _, steps, frames in games)
    assert len({frames - 4 * steps for _, _, steps, frames in games}) > 1  # no-ops are drawn anew


def test_a_vector_ends_at_once_beside_another():
    """Processes that were forked later hold the pipes of the first."""
    settings = {"kind": "catch"}
    with vector("catch", 2, 2, settings) as first, vector("catch", 2, 2, settings) as second:
        for envs in (first, second):
            envs.new_games([rng(0), rng(1)])
        start = time.monotonic()
        first.close()
        assert time.monotonic() - start < 3
        second.step(np.zeros(2, int))


PARENT = """
import signal
import numpy as np
from workflow_src.agents.vector import Vector
from workflow_src.config.agents import AgentProtocol, AgentEnvironment

# A suite that was started in the background of a script ignores it, and what it starts does, too.
signal.signal(signal.SIGINT, signal.default_int_handler)
protocol = AgentProtocol(
    sticky=0, noop_max=0, life_loss=False, clear_history=False, max_frames=None, epsilon=0
)
def make():
    settings = AgentEnvironment(kind="catch")
    return Vector(settings, protocol, game="catch", num_envs=2, workers=2, training=True)
with make() as first, make() as second:
    for envs in (first, second):
        envs.new_games([np.random.default_rng(i) for i in (0, 1)])
    try:
        print(*(p.pid for envs in (first, second) for p in envs._processes), flush=True)
        while True:
            for envs in (first, second):
                envs.step(np.zeros(2, int))
    except KeyboardInterrupt:
        pass
print("closed")
"""


def running(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def ignores_interrupts(pid):
    with open(f"/proc/{pid}/status") as status:
        (ignored,) = (line.split()[1] for line in status if line.startswith("SigIgn:"))
    return bool(int(ignored, 16) & 1 << signal.SIGINT - 1)


@pytest.mark.parametrize("how", ["killed", "interrupted"])
def test_processes_end_with_their_parent(how):
    """When it is killed; and Ctrl+C, which all of them get, is the parent's matter."""
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(pids) == 4 and all(running(pid) for pid in pids)
        if how == "killed":
            parent.kill()
            assert parent.wait(20) == -signal.SIGKILL
        else:
            until = time.monotonic() + 20
            while not all(map(ignores_interrupts, pids)) and time.monotonic() < until:
                time.sleep(0.02)
            os.killpg(parent.pid, signal.SIGINT)
            said = parent.communicate(timeout=20)
            assert said == ("closed\n", "") and parent.returncode == 0
        until = time.monotonic() + 20
        while any(running(pid) for pid in pids) and time.monotonic() < until:
            time.sleep(0.02)
        assert not any(running(pid) for pid in pids)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(parent.pid, signal.SIGKILL)
        parent.communicate()


def test_no_process_is_left():
    before = set(multiprocessing.active_children())
    with vector("catch", 4, 3, settings={"kind": "catch"}) as envs:
        envs.new_games([rng(i) for i in range(4)])
        assert len(set(multiprocessing.active_children()) - before) == 3
    assert set(multiprocessing.active_children()) == before


def test_a_killed_process_is_named():
    with vector("catch", 4, 2, settings={"kind": "catch"}) as envs:
        envs.new_games([rng(i) for i in range(4)])
        os.kill(envs._processes[0].pid, signal.SIGKILL)
        with pytest.raises(UserError, match=r"that plays catch was killed \(exit code -9\)") as no:
            for _ in range(3):
                envs.step(np.zeros(4, int))
        assert "\n" not in str(no.value)


# The small ones


@pytest.mark.parametrize("env", [Catch(), Catch(12, 1, 0.5, True), GridWorld()])
def test_gymnasium_accepts_them(env):
    check_env(env, skip_render_check=True)


def chance_of_random_play():
    """That a paddle that moves at random catches the ball: summed over columns and drifts."""
    x, drift = (a.ravel() for a in np.meshgrid(np.arange(24.0), np.linspace(-1, 1, 2001) / 3))
    paddle = np.eye(23)[11]
    for _ in range(23):
        x = x + drift
        drift, x = np.where((x < 0) | (x > 23), -drift, drift), np.clip(x, 0, 23)
        left, right = np.append(paddle[1:], 0), np.append(0, paddle[:-1])
        left[0] += paddle[0]
        right[-1] += paddle[-1]
        paddle = (paddle + left + right) / 3
    on = np.arange(23)[:, None]
    return float(paddle @ ((on <= x) & (x <= on + 1)).mean(1))


def test_random_play_of_catch():
    """Measured by others: 0.038 of 1,000 games."""
    expected = chance_of_random_play()
    assert expected == pytest.approx(0.038, abs=2 * (0.038 * 0.962 / 1000) ** 0.5)
    env, scores = Catch(), []
    env.reset(seed=0)
    for actions in rng(0).integers(3, size=(4000, 23)).tolist():
        env.reset()
        for action in actions:
            _, reward, over, _, _ = env.step(action)
        assert over
        scores.append(reward)
    assert np.mean(scores) == pytest.approx(expected, abs=3 * (expected / 4000) ** 0.5)


def test_walls_turn_the_drift():
    """The ball stays on the screen, and both walls are met."""
    env, met = Catch(), set()
    for seed in range(300):
        env.reset(seed=seed)
        before = env._drift
        for _ in range(23):
            x = env._x + before
            env.step(0)
            if 0 <= x <= 23:
                assert env._x == x and env._drift == before
            else:
                assert env._x == (0 if x < 0 else 23) and env._drift == -before
                met.add(x < 0)
            before = env._drift
    assert met == {True, False}


def test_sizes_of_catch():
    for size, width in ((2, 1), (12, 1), (13, 2), (84, 7)):
        env = Catch(size)
        screen, _ = env.reset(seed=0)
        assert screen.shape == (size, size) and (screen[-1] == 255).sum() == width
        steps = 1
        while not env.step(2)[2]:
            steps += 1
        assert steps == size - 1
    for options, text in (
        ({"size": 1}, r"environment\.options\.size: a ball cannot fall in 1 row: choose 2"),
        ({"flickering": 3.0}, r"environment\.options\.flickering: 3.0 is no chance"),
    ):
        with pytest.raises(UserError, match=text):
            world("catch", {"kind": "catch", "options": options})


def test_the_ball_falls_drifts_and_bounces():
    env = Catch(24, level=2)
    for seed in range(20):
        screen, _ = env.reset(seed=seed)
        assert screen.dtype == np.uint8 and set(np.unique(screen)) <= {0, 255}
        assert np.flatnonzero(screen[-1]).tolist() == [11, 12]  # two pixels, in the middle
        columns, over = [], False
        while not over:
            ball = np.argwhere(screen[:-1] == 255)
            assert len(ball) == 1 and ball[0, 0] == len(columns)  # a row a step
            columns.append(int(ball[0, 1]))
            screen, _, over, _, _ = env.step(0)
        assert len(columns) == 23
        assert np.abs(np.diff(columns)).max() <= 1
    straight = Catch(24, level=1)
    screen, _ = straight.reset(seed=3)
    column = np.flatnonzero(screen[0])[0]
    for _ in range(22):
        screen, *_ = straight.step(0)
    assert screen[22, column] == 255


@pytest.mark.parametrize("move", [0, 1, 2])
def test_the_paddle_catches_what_is_on_it(move):
    """By where the ball really is, which can be beside the pixel that is drawn."""
    env = Catch()
    for seed in range(60):
        env.reset(seed=seed)
        for _ in range(23):
            _, reward, over, _, _ = env.step(move)
        paddle = {0: 11, 1: 0, 2: 22}[move]
        assert over and env._paddle == paddle
        assert reward == float(paddle <= env._x <= paddle + 1)


def test_flickering_and_obscured_screens():
    env = Catch(flickering=0.5)
    env.reset(seed=0)
    blank = []
    for _ in range(200):
        env.reset()
        blank += [not env.step(0)[0].any() for _ in range(22)]
    assert np.mean(blank) == pytest.approx(0.5, abs=0.03)
    env = Catch(obscured=True)
    env.reset(seed=1)
    for row in range(1, 23):
        screen, *_ = env.step(0)
        assert screen[:-1].any() == (row < 17) and screen[-1].any()


def test_gridworld():
    env = GridWorld(max_steps=40)
    at, _ = env.reset()
    assert at == pytest.approx([0.2, 0.4]) and at.dtype == np.float32
    total, over = 0.0, False
    for action in [0] * 12 + [3] * 16:  # up, then right
        at, reward, over, cut, _ = env.step(action)
        total += reward
    assert at == pytest.approx([1, 1]) and over and not cut and total == -14
    env.reset()
    for step in range(40):
        at, _, over, cut, _ = env.step(2)
        assert cut == (step == 39) and not over
    assert at == pytest.approx([0, 0.4])


# Environments of one's own


OWN = """
import gymnasium as gym
import numpy as np

class Base(gym.Env):
    observation_space = gym.spaces.Box(-2, 2, (3,), np.float64)
    action_space = gym.spaces.Discrete(2, start=1)
    def __init__(self, length=5):
        self.length = length
    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.at = 0
        return self.np_random.random(3), {}
    def step(self, action):
        assert action in (1, 2)
        self.at += 1
        return np.full(3, self.at), float(action), self.at >= self.length, False, {}

class Picture(Base):
    observation_space = gym.spaces.Box(0, 255, (4, 5), np.uint8)
    def reset(self, **options):
        super().reset(**options)
        return np.zeros((4, 5), np.uint8), {}
    def step(self, action):
        return np.ones((4, 5), np.uint8), *super().step(action)[1:]

class Broken(Base):
    def __init__(self):
        raise RuntimeError("no\\nway")

class Continuous(Base):
    action_space = gym.spaces.Box(-1, 1, (1,))

class Parts(Base):
    observation_space = gym.spaces.Dict({"a": Base.observation_space})

class Whole(Base):
    observation_space = gym.spaces.Box(0, 9, (3,), np.int64)

class Shape(Base):
    observation_space = gym.spaces.Box(-2, 2, (4,), np.float64)

class Reward(Base):
    def step(self, action):
        return np.zeros(3), float("nan"), False, False, {}

class Fails(Base):
    def step(self, action):
        raise KeyError("x")

called = []
def function(**options):
    called.append(options)
    raise SystemExit("it was called")
other = dict
"""


def own(tmp_path, name, **options):
    file = tmp_path / "own.py"
    if not file.exists():
        file.write_text(OWN)
    return world("own", {"kind": "custom", "module": f"{file}:{name}", "options": options})


def test_an_environment_of_ones_own(tmp_path):
    one = own(tmp_path, "Base", length=3)
    assert one.num_actions == 2 and one.frame_shape == (3,) and one.dtype == np.float32
    out = np.zeros(3, np.float32)
    one.new_game(rng(1), out)
    first = out.copy()
    one.new_game(rng(1), out)
    assert np.array_equal(first, out) and (first > 0).all()  # seeded by the generator
    assert [one.step(i % 2, out) for i in range(3)] == [
        (1.0, CONTINUES),
        (2.0, CONTINUES),
        (1.0, TERMINATED),
    ]
    assert own(tmp_path, "Picture").dtype == np.uint8


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Missing", "own.py:Missing is missing: name an environment"),
        ("function", "function is not a class derived from gymnasium.Env"),
        ("other", "other is not a class derived from gymnasium.Env"),
        ("Broken", r"Broken\(\) cannot be made: RuntimeError: no way; correct"),
        ("Continuous", r"has the actions Box.*need a gymnasium.spaces.Discrete"),
        ("Parts", r"has the observations Dict.*need one array"),
        ("Whole", "has observations of type int64: give uint8"),
        ("Shape", r"reset gives an observation of shape \(3,\), not \(4,\)"),
        ("Reward", "step gives the reward nan: return a finite number"),
        ("Fails", "fails in a first reset and step: KeyError: 'x'; correct"),
    ],
)
def test_what_does_not_fit_is_one_line(tmp_path, name, text):
    with pytest.raises(UserError, match=text) as refused:
        own(tmp_path, name)
    assert "\n" not in str(refused.value)


def test_files_that_cannot_be_read(tmp_path):
    for content, text in ((None, "cannot read .*none.py"), ("def", "cannot be imported: Syntax")):
        file = tmp_path / "none.py"
        if content is not None:
            file.write_text(content)
        with pytest.raises(UserError, match=text):
            world("own", {"kind": "custom", "module": f"{file}:A"})


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(
    ("change", "text"),
    [
        (("assert action in", "assert self.at < 2, action in"), "AssertionError"),
        (("float(action), self", "self.at / (2 - self.at), self"), "ZeroDivisionError: "),
        (
            ("float(action), self", "[1, 1, np.nan][self.at % 3], self"),
            "ValueError: the reward is nan: return a finite number",
        ),
        (
            ("np.full(3, self.at)", "np.full(3 if self.at < 2 else 1, 0.0)"),
            r"ValueError: the observation has the shape \(1,\), not \(3,\)",
        ),
    ],
)
def test_an_error_after_some_steps_is_one_line(tmp_path, workers, change, text):
    """In this process as in forked ones."""
    assert change[0] in OWN
    text = "^own: its environment failed in a step: " + text
    (tmp_path / "own.py").write_text(OWN.replace(*change))
    module = f"{tmp_path / 'own.py'}:Base"
    with vector("own", 2, workers, {"kind": "custom", "module": module}, history=1) as envs:
        envs.new_games([rng(0), rng(1)])
        with pytest.raises(UserError, match=text) as failed:
            for _ in range(4):
                envs.step(np.zeros(2, int))
    assert "\n" not in str(failed.value)


@pytest.mark.parametrize("workers", [1, 2])
def test_an_environment_of_ones_own_is_closed(tmp_path, workers):
    """Wherever it runs."""
    (tmp_path / "own.py").write_text(
        OWN + "class Closes(Base):\n    def close(self):\n        open(FILE, 'a').write('.')\n"
        f"FILE = {str(tmp_path / 'closed')!r}\n"
    )
    module = f"{tmp_path / 'own.py'}:Closes"
    with vector("own", 2, workers, {"kind": "custom", "module": module}, history=1) as envs:
        envs.new_games([rng(0), rng(1)])
    closed = (tmp_path / "closed").read_text()
    assert closed == "." * (2 if workers == 1 else 3)  # one was made to know its shapes


def test_sizes_are_named():
    assert set(atari.SIZES) == {"atari", "frame"}
    assert isinstance(Catch(), gym.Env)
