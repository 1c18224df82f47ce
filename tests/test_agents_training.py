"""Training an agent: what it leaves, that it learns, and that killing it changes nothing."""

import hashlib
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from workflow_src.agents import evaluate as evaluating
from workflow_src.agents import play, replay, train, weights
from workflow_src.agents.learners.dqn import DQN
from workflow_src.agents.memory import Memory
from workflow_src.agents.vector import Vector
from workflow_src.config.agents import Agent, geometric
from workflow_src.config.run import defaults
from workflow_src.errors import UserError

pytestmark = pytest.mark.usefixtures("one_thread")

TINY = {
    "environment": {"kind": "catch"},
    "body": "catch",
    "hidden": 16,
    "variants": ["double", "dueling", "prioritised", "n-step"],
    "memory": {"size": 640},
    "num_envs": 4,
    "steps": 1600,
    "learn_start": 200,
    "batch_size": 16,
    "epsilon": {"steps": 1000},
    "target_every": 200,
    "optimizer": {"kind": "adam", "lr": 1.0e-3, "eps": 1.0e-8},
    "validate_every": 400,
    "validate_steps": 200,
    "threads": 1,
    "checkpoints": "all",
}
SWITCHES = defaults({}).agent_protocols


def trained(directory, row=TINY, workers=1, **change):
    """Train, and give the SHA-256 of all files that it left, by name."""
    row = Agent.model_validate(row | change)
    train.train(
        game="catch",
        agent="tiny",
        seed=3,
        row=row,
        switches=SWITCHES[row.protocol],
        out=directory / "out",
        history=directory / "out" / "history.csv",
        working=directory / "working",
        workers=workers,
        device="cpu",
        progress=False,
    )
    return hashes(directory / "out")


def hashes(folder):
    return {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.iterdir())
    }


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    directory = tmp_path_factory.mktemp("undisturbed")
    return directory, trained(directory)


def test_what_training_leaves(undisturbed):
    directory, found = undisturbed
    steps = [f"step-{step:09}.safetensors" for step in (400, 800, 1200, 1600)]
    assert set(found) == {"best.safetensors", "last.safetensors", "history.csv", *steps}
    assert found["last.safetensors"] == found[steps[-1]]
    assert not (directory / "working").exists()
    history = pd.read_csv(directory / "out" / "history.csv")
    assert list(history["step"]) == [400, 800, 1200, 1600]
    assert list(history["frames"]) == [400, 800, 1200, 1600]  # one frame a step
    assert history["epsilon"].iloc[-1] == pytest.approx(0.01)
    # A game of Catch has 23 steps: each environment ends 4 games in 100 steps.
    assert (history["games"] == 16).all()
    assert history["score"].between(0, 1).all() and history["training_score"].between(0, 1).all()
    assert list(history["updates"]) == [50, 100, 100, 100]
    best = history["step"][history["score"].idxmax()]
    assert found["best.safetensors"] == found[f"step-{best:09}.safetensors"]


def test_any_number_of_workers_gives_the_same_bytes(undisturbed, tmp_path):
    assert trained(tmp_path, workers=3) == undisturbed[1]


def test_another_setting_gives_other_weights(undisturbed, tmp_path):
    assert trained(tmp_path, gamma=0.9)["last.safetensors"] != undisturbed[1]["last.safetensors"]


@pytest.mark.parametrize("at", [0, 1, 3])
def test_an_error_in_any_epoch_loses_at_most_that_epoch(undisturbed, tmp_path, monkeypatch, at):
    judged, seen = train.Training.judge, []

    def judge(self, epoch):
        seen.append(epoch)
        if len(seen) == at + 1:
            raise KeyboardInterrupt
        return judged(self, epoch)

    monkeypatch.setattr(train.Training, "judge", judge)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path)
    assert trained(tmp_path) == undisturbed[1]
    assert seen == [*range(at + 1), *range(at, 4)]


def test_a_state_of_another_training_is_not_resumed(undisturbed, tmp_path, monkeypatch):
    monkeypatch.setattr(train.Training, "judge", lambda self, epoch: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        trained(tmp_path, gamma=0.9)
    monkeypatch.undo()
    assert trained(tmp_path) == undisturbed[1]


def test_an_evaluation_has_a_row_a_game(undisturbed, tmp_path):
    directory, _ = undisturbed
    row = Agent.model_validate(TINY)
    out = tmp_path / "catch-s3.csv"
    which = {"game": "catch", "agent": "tiny", "seed": 3, "row": row, "device": "cpu"}
    files = {name: directory / "out" / f"{name}.safetensors" for name in ("last", "best")}
    evaluating.evaluate(switches=SWITCHES["classic"], files=files, out=out, workers=1, **which)
    games = pd.read_csv(out)
    assert list(games.columns) == [*evaluating.COLUMNS, "sha256"]
    assert set(games["weights"]) == {"last", "best"} and games["finished"].all()
    assert (games["steps"] == 23).all() and games["score"].isin([0, 1]).all()
    # 200 steps in 8 environments: each begins its second game within its 25 steps, and ends it.
    assert games.groupby("weights").size().tolist() == [16, 16]
    with pytest.raises(UserError, match=r"was made with game catch, not pong: name the right file"):
        evaluating.evaluate(
            switches=SWITCHES["classic"], files=files, out=out, **which | {"game": "pong"}
        )


def test_a_loss_that_is_no_number_ends_training(tmp_path, monkeypatch):
    monkeypatch.setattr(replay.Replay, "_update", lambda *_: torch.tensor(torch.nan))
    with pytest.raises(UserError, match=r"tiny on catch: the loss of epoch 0 is nan; lower"):
        trained(tmp_path)


def test_the_last_epochs_are_kept_most_densely():
    kept = geometric(200)
    assert len(kept) == 51 and kept[:5] == [1, 15, 28, 40, 51]
    assert kept[-19:] == [181, *range(183, 201)]
    assert geometric(1) == [1] and geometric(4) == [1, 2, 3, 4]


class Scripted:
    """A vector of environments whose games have given lengths."""

    num_actions = 2

    def __init__(self, lengths):
        self.lengths, self.end = lengths, np.zeros(len(lengths), np.uint8)
        self.observation = np.zeros((len(lengths), 1, 2, 2), np.uint8)
        self.first = np.ones(len(lengths), bool)
        self.frames, self.reward = np.zeros(len(lengths), np.int64), np.ones(len(lengths))

    def new_games(self, rngs):
        self.at = np.zeros(len(self.lengths), int)

    def step(self, actions):
        self.at += 1
        ended = np.flatnonzero(self.at == self.lengths)
        self.finished = [(int(i), float(self.at[i]), int(self.at[i]), 4) for i in ended]
        self.at[ended] = 0


class Constant:
    recurrent = False

    def values(self, observation, first, rng):
        return np.zeros((len(first), 2))


def test_a_game_that_was_begun_is_played_to_its_end():
    """Long games are not missing from the mean, and those that never end are marked."""
    rng = np.random.default_rng(0)
    games = play.evaluate(Constant(), Scripted(np.array([3, 14, 99])), 30, 0.0, [], rng)
    lengths = [(game.steps, game.finished) for game in games]
    # A share of 10 steps: games of 3 begin at 0, 3, 6 and 9; the game of 14 is played on.
    assert sorted(lengths) == [(3, True)] * 4 + [(14, True), (20, False)]
    assert play.mean_score(games) == (4 * 3 + 14) / 5
    assert play.mean_score([games[-1]]) == 20 and np.isnan(play.mean_score([]))


def test_actions_are_greedy_but_for_epsilon():
    vector, rng = Scripted(np.full(4000, 10)), np.random.default_rng(1)
    greedy = play.choose(Constant(), vector, 0.0, rng)
    assert (greedy == 0).all()  # of equal values the lowest action
    mixed = play.choose(Constant(), vector, 0.5, rng)
    assert mixed.mean() == pytest.approx(0.25, abs=0.03)


@pytest.mark.slow
def test_killed_and_started_again(undisturbed, tmp_path):
    """SIGKILL at several moments: the same bytes as of a training that was left alone."""
    config = {"agents": {"tiny": TINY}, "seeds": [3]}
    (tmp_path / "change.yaml").write_text(yaml.safe_dump(config))
    run = tmp_path / "run"
    base = [sys.executable, "-m", "workflow_src"]
    subprocess.run(
        [*base, "configure", "--preset", tmp_path / "change.yaml", "--into", run], check=True
    )
    command = [*base, "agents", "--agent", "tiny", "--game", "catch", "--seed", "3"]
    command += ["--out", "out", "--history", "out/history.csv", "--working", "working"]
    for seconds in (3.0, 3.5, 4.2, 5.0):
        process = subprocess.Popen(command, cwd=run, start_new_session=True)
        time.sleep(seconds)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert subprocess.run(command, cwd=run).returncode == 0
    found = hashes(run / "out")
    # The header of weights has the checksum of the settings; those of `trained` are the same.
    assert found == undisturbed[1]


@pytest.mark.slow
def test_catch_is_learned(tmp_path):
    """A small Catch within 9,000 steps, far better than at first."""
    small = {"kind": "catch", "options": {"size": 8, "level": 1}}
    trained(
        tmp_path,
        environment=small,
        variants=["double", "dueling", "n-step"],
        body="mlp",
        hidden=32,
        steps=9000,
        memory={"size": 4000},
        validate_every=3000,
        validate_steps=700,
        epsilon={"steps": 3000, "end": 0.05},
        learn_every=2,
        checkpoints="last",
    )
    history = pd.read_csv(tmp_path / "out" / "history.csv")
    assert history["score"].max() > 0.5
    assert history["score"].max() > 2 * history["training_score"].iloc[0]


def test_the_header_says_what_made_the_weights(undisturbed):
    directory, _ = undisturbed
    network = torch.nn.Linear(1, 1)
    with pytest.raises(UserError, match="does not fit this agent's network"):
        weights.load(directory / "out" / "last.safetensors", network, {"agent": "tiny", "seed": 3})


def test_a_tape_of_200_steps(tmp_path, monkeypatch):
    """What the loop does, call by call: it plays while the network learns from older steps."""
    tape = []

    def record(owner, name, what=None):
        plain = getattr(owner, name)

        def recorded(self, *arguments, **named):
            tape.append(what(self, *arguments) if what else name)
            return plain(self, *arguments, **named)

        monkeypatch.setattr(owner, name, recorded)

    record(Vector, "send")
    record(Vector, "receive")
    record(DQN, "learn", lambda self, batch: ("learn", len(batch.action)))
    record(DQN, "sync")
    record(Memory, "sample", lambda self, number, *_: ("sample", number, len(self)))
    record(Memory, "add")
    short = {"steps": 200, "validate_every": 200, "learn_start": 100, "target_every": 80}
    monkeypatch.setattr(train.Training, "judge", lambda self, epoch: {"score": 0.0})
    trained(tmp_path, variants=[], **short)
    expected = []
    for step in range(0, 200, 4):
        learns = step >= 100
        stored = step  # of the steps before this one
        expected.append("send")
        if step == 100:  # the transitions that are followed, and the first batch
            expected += [("sample", stored // 2, stored), ("sample", 16, stored)]
        expected += [("learn", 16)] if learns else []
        # The batch of the next step, from the same memory.
        expected += [("sample", 16, stored)] if learns and step + 4 < 200 else []
        expected += ["sync"] if step % 80 == 0 else []
        expected += ["receive", "add"]
    assert tape == expected
