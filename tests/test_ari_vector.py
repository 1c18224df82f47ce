"""Labels of vector environments, velocities, and labels as JSON and as text."""

from contextlib import closing

import gymnasium as gym
import numpy as np
import pytest
from ale_py import AtariVectorEnv
from gymnasium.vector import AutoresetMode

from workflow_src.ari import (
    GAMES,
    AtariARIVectorWrapper,
    AtariARIWrapper,
    as_json,
    as_text,
    variables,
    velocities,
)
from workflow_src.errors import UserError

ID, SEEDS = "BreakoutNoFrameskip-v4", [3, 4, 5]


def alone(seed: int, actions: np.ndarray) -> list[dict[str, int]]:
    """The labels of one environment that is reset where a vector environment does."""
    with AtariARIWrapper(gym.make(ID)) as env:
        found, over = [env.reset(seed=seed)[1]["labels"]], False
        for action in actions:
            if over:
                info, over = env.reset()[1], False
            else:
                *_, terminated, truncated, info = env.step(action)
                over = terminated or truncated
            found.append(info["labels"])
    return found


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_labels_are_those_of_each_environment(mode):
    actions = np.random.default_rng(0).integers(0, 4, (900, 3))
    wrappers = [AtariARIWrapper] if mode == "async" else []
    envs = gym.make_vec(ID, 3, vectorization_mode=mode, wrappers=wrappers)
    with closing(AtariARIVectorWrapper(envs)) as env:
        _, info = env.reset(seed=SEEDS)
        found, ended = [info["labels"]], 0
        for step in actions:
            *_, terminated, _, info = env.step(step)
            found.append(info["labels"])
            ended += int(terminated.sum())
    assert ended > 1
    for at, seed in enumerate(SEEDS):
        expected = alone(seed, actions[:, at])
        ours = [{name: int(row[name][at]) for name in row} for row in found]
        assert ours == expected
    assert all(column.dtype == np.int64 for column in found[0].values())
    assert info["_labels"].all()


def test_labels_belong_to_the_new_episode_where_the_reset_is_in_the_same_step():
    envs = gym.make_vec(
        ID,
        2,
        vectorization_mode="sync",
        vector_kwargs={"autoreset_mode": AutoresetMode.SAME_STEP},
    )
    with closing(AtariARIVectorWrapper(envs)) as env:
        _, info = env.reset(seed=0)
        begun = info["labels"]["player_x"].tolist()
        rng = np.random.default_rng(1)
        for _ in range(4000):
            *_, terminated, _, info = env.step(rng.integers(0, 4, 2))
            if terminated.any():
                at = int(np.flatnonzero(terminated)[0])
                assert info["labels"]["player_x"][at] == begun[at]
                break
        else:
            pytest.fail("no episode ended")


def make(mode: str, name: str = ID, **more) -> closing:
    return closing(gym.make_vec(name, 2, vectorization_mode=mode, **more))


def test_vector_environments_without_labels_are_refused():
    names = ("Pong-v4", "Boxing-v4")
    two = [lambda name=name: gym.make(name, full_action_space=True) for name in names]
    cases = [
        (closing(AtariVectorEnv("pong", 2)), {}, "gives no RAM.*gymnasium.make_vec"),
        (make("async"), {}, "in other processes: make them with gymnasium.make_vec"),
        (
            make("async", wrappers=[AtariARIWrapper]),
            {"label_set": "revised-2020"},
            "label set paper-2019, not revised-2020",
        ),
        (closing(gym.vector.SyncVectorEnv(two)), {}, "play boxing, pong: use one game"),
        (make("sync", "CartPole-v1"), {}, "no Atari emulator"),
        (make("sync"), {"label_set": None}, "label_set is None: give text"),
        (closing(gym.make(ID)), {}, "is no vector environment: wrap a single one in AtariARIWrap"),
    ]
    for made, options, said in cases:
        with made as env:
            with pytest.raises(UserError, match=said) as error:
                AtariARIVectorWrapper(env, **options)
            assert "\n" not in str(error.value)
            env.reset()  # it is none the worse for it


def test_velocities_are_signed_and_end_with_the_episode():
    values = np.array([[250, 1], [3, 2], [5, 200], [7, 9]], np.uint8)
    found = velocities(values, ["ball_x", "player_score"], np.array([0, 0, 0, 1]))
    assert list(found) == ["ball_x_velocity"]
    assert found["ball_x_velocity"].tolist() == [0, -247, 2, 0]


def test_the_wrapper_adds_velocities():
    with AtariARIWrapper(gym.make(ID), velocities=True) as env, gym.make(env.spec) as again:
        _, info = env.reset(seed=0)
        assert info["labels"]["player_x_velocity"] == 0
        before = info["labels"]
        for _ in range(20):
            *_, info = env.step(2)
            labels = info["labels"]
            assert labels["player_x_velocity"] == labels["player_x"] - before["player_x"]
            before = labels
        assert "player_x_velocity" in again.reset()[1]["labels"]


def test_labels_as_json_and_as_text():
    labels = {"ball_x": np.int64(80), "ball_y": 54, "enemy_y": 33, "player_score": 3}
    assert as_json(labels) == '{"ball_x": 80, "ball_y": 54, "enemy_y": 33, "player_score": 3}'
    assert as_text(labels) == "ball at x 80, y 54; enemy at y 33; player score 3."
    moving = {"ball_x": 80, "ball_x_velocity": -2, "ball_y_velocity": 1}
    assert as_text(moving) == "ball at x 80; ball moves by x -2, y 1."
    asteroids = {"enemy_asteroids_x_0": 1, "enemy_asteroids_y_0": 2, "enemy_asteroids_x_1": 3}
    assert as_text(asteroids) == "enemy asteroids 0 at x 1, y 2; enemy asteroids 1 at x 3."


@pytest.mark.parametrize("game", GAMES["revised-2020"])
def test_a_sentence_has_every_value(game):
    names = variables("revised-2020", game)
    said = as_text({name: 1000 + at for at, name in enumerate(names)})
    assert all(said.count(f" {1000 + at}") == 1 for at in range(len(names)))
