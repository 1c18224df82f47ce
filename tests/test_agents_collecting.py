"""Frames that an agent of ours plays: what it sees and does, and that the bytes are the same."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from workflow_src.agents import learner as learners
from workflow_src.agents import weights
from workflow_src.agents.learners import a3c
from workflow_src.config.agents import Agent
from workflow_src.config.episodes import Episodes, Frames, Policy
from workflow_src.config.run import defaults
from workflow_src.emulator.environment import CONTINUES, Environment
from workflow_src.episodes import collect as collecting
from workflow_src.episodes import store
from workflow_src.episodes.policies import agent as agent_policy
from workflow_src.episodes.policy import GAME, Player
from workflow_src.episodes.store import NO_ACTION, FrameStore
from workflow_src.errors import UserError

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]

AGENT = {"kind": "a3c", "body": "small", "hidden": 16, "num_envs": 4, "validate_every": 20}
AGENT |= {"steps": 40, "checkpoints": "all"}


def actions_of(game):
    return {"breakout": 4, "pong": 6}[game]


def saved(path, row, game="breakout", seed=0, name="mine"):
    """Weights of an agent that has learned nothing, and the player that has them."""
    shape = (84, 84) if row.environment.observation == "atari" else (210, 160)
    learner = learners.build(
        row,
        actions=actions_of(game),
        frame_shape=shape,
        generator=torch.Generator().manual_seed(seed),
        device=torch.device("cpu"),
    )
    weights.save(path, learner.weights(), {"agent": name, "game": game, "step": 40})
    return Player(row, clear_history=False, game=game, weights=path)


def played(path, players, policy=None, game="breakout", frames=2100, workers=1, num_envs=3):
    settings = Episodes(
        frames=Frames(pretrain=frames, probe=frames), num_envs=num_envs, frame_skip=4, noop_max=30
    )
    collecting.collect(
        game=game,
        policy="mine",
        policy_settings=policy or Policy(kind="agent", agent="mine"),
        settings=settings,
        purpose="probe",
        seed=0,
        out=path,
        players=players,
        workers=workers,
        progress=False,
    )
    return FrameStore.open(path)


@pytest.fixture
def player(tmp_path):
    return saved(tmp_path / "weights.safetensors", Agent.model_validate(AGENT))


def test_any_number_of_workers_gives_the_same_bytes(player, tmp_path):
    files = [tmp_path / f"{workers}.b2nd" for workers in (1, 3)]
    for file, workers in zip(files, (1, 3), strict=True):
        played(file, [player], workers=workers)
    assert files[0].read_bytes() == files[1].read_bytes()


def test_the_file_says_who_played(player, tmp_path):
    header = played(tmp_path / "x.b2nd", [player]).header
    assert header["policy_settings"] == {
        "kind": "agent",
        "options": {},
        "agent": "mine",
        "checkpoint": "last",
        "random": 0.2,
        "sample": True,
    }


@pytest.mark.parametrize("observation", ["atari", "frame"])
@pytest.mark.parametrize("clears", [False, True])
def test_it_sees_the_frames_that_are_stored(tmp_path, monkeypatch, observation, clears):
    """Its history is made of the episode's frames, or of the game's where a life does not end it;
    frames before that are blank.
    """
    row = Agent.model_validate(
        AGENT | {"environment": {"observation": observation}, "history": 3, "hidden": 8}
    )
    player = saved(tmp_path / "weights.safetensors", row)
    player = Player(row, clears, player.game, player.weights)
    seen = []

    class Actor:
        samples = True

        def values(self, history, first, rng):
            seen.append((history[0].copy(), bool(first[0])))
            return np.eye(4)[[1 + len(seen) % 3]]

    monkeypatch.setattr(a3c.A3C, "actor", lambda *_, **__: Actor())
    made = agent_policy.AgentPolicy(
        Policy(kind="agent", agent="mine", random=0.0), 4, np.random.default_rng(0), player
    )
    environment = Environment("breakout", np.random.default_rng(0))
    columns = store.empty_columns(700)
    chunks = [chunk.copy() for chunk in collecting._record(environment, made, columns)]
    frames = np.concatenate(chunks)[:700]
    if observation == "atari":
        frames = np.stack(
            [cv2.resize(one, (84, 84), interpolation=cv2.INTER_AREA) for one in frames]
        )
    assert columns["game"][-1] > 0 and columns["episode"][-1] > columns["game"][-1]
    group = columns["episode" if clears else "game"]
    # Every frame but the last of an episode, and but the very last.
    acted = [i for i in range(699) if columns["end"][i] == CONTINUES]
    assert len(seen) == len(acted)
    episode, expected = [], []
    for i in acted:
        begins = columns["action"][i] == NO_ACTION and (
            clears or i == 0 or group[i] != group[i - 1]
        )
        episode = [i] if begins else [*episode, i]
        blank = np.zeros_like(frames[0])
        window = [blank, blank, *(frames[k] for k in episode[-3:])][-3:]
        expected.append((np.stack(window), begins))
    for (history, first), (wanted, begins) in zip(seen, expected, strict=True):
        assert first == begins
        np.testing.assert_array_equal(history, wanted)


def test_a_share_of_its_actions_is_uniform(tmp_path):
    """The rest is the network's own, here always the same action."""
    row = Agent.model_validate(AGENT)
    path = tmp_path / "weights.safetensors"
    player = saved(path, row)
    learner = learners.build(
        row,
        actions=4,
        frame_shape=(84, 84),
        generator=torch.Generator(),
        device=torch.device("cpu"),
    )
    with torch.no_grad():
        for parameter in learner.network.policy.parameters():
            parameter.zero_()
        learner.network.policy.bias[2] = 50.0
    weights.save(path, learner.weights(), {"agent": "mine", "game": "breakout"})
    for share in (0.0, 0.4, 1.0):
        policy = Policy(kind="agent", agent="mine", random=share)
        found = played(tmp_path / f"{share}.b2nd", [player], policy)
        actions = found.action[found.action != NO_ACTION]
        counts = np.bincount(actions, minlength=4) / len(actions)
        expected = [share / 4, share / 4, 1 - share * 3 / 4, share / 4]
        np.testing.assert_allclose(counts, expected, atol=0.04)


def test_actions_are_drawn_or_the_likeliest(player):
    frame = np.random.default_rng(0).integers(256, size=(210, 160)).astype(np.uint8)
    for sample in (True, False):
        settings = Policy(kind="agent", agent="mine", random=0.0, sample=sample)
        made = agent_policy.AgentPolicy(settings, 4, np.random.default_rng(0), player)
        chosen = {made(frame, GAME) for _ in range(60)}
        assert len(chosen) > 1 if sample else len(chosen) == 1


def test_it_plays_in_float32_whatever_it_learned_in(player, tmp_path):
    reduced = replace(player, row=player.row.model_copy(update={"precision": "bfloat16"}))
    found = [
        played(tmp_path / f"{i}.b2nd", [one], frames=300) for i, one in enumerate((player, reduced))
    ]
    assert found[0].sha256 == found[1].sha256


def test_environments_take_checkpoints_in_turn(tmp_path):
    row = Agent.model_validate(AGENT)
    players = [saved(tmp_path / f"{i}.safetensors", row, seed=i) for i in range(2)]
    both = played(tmp_path / "both.b2nd", players, frames=3000)
    alone = [
        played(tmp_path / f"{i}.b2nd", [player], frames=3000) for i, player in enumerate(players)
    ]
    shares = both.header["frames_per_env"]
    first, second = (slice(sum(shares[:i]), sum(shares[: i + 1])) for i in range(2))
    for part, whose in ((first, alone[0]), (second, alone[1])):
        assert (both.action[part] == whose.action[part]).all()
    assert (both.action[second] != alone[0].action[second]).any()


def test_weights_of_another_agent_are_refused(player, tmp_path):
    other = saved(tmp_path / "w.safetensors", player.row, name="other")
    with pytest.raises(UserError, match=r"w\.safetensors was made with agent other, not mine"):
        played(tmp_path / "x.b2nd", [other])
    assert not (tmp_path / "x.b2nd").exists()


BASE = {
    "agents": {
        "mine": AGENT,
        "catch": AGENT | {"environment": {"kind": "catch"}, "body": "catch"},
        "resized": AGENT | {"environment": {"pool": "resize-first"}},
    },
    "agent_protocols": {
        name: row.model_dump() for name, row in defaults({}).agent_protocols.items()
    },
}


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"kind": "agent"}, "policies.p: kind agent needs agent: the name of a row of agents"),
        (
            {"kind": "agent", "agent": "me"},
            "policies.p.agent: unknown agent 'me' (did you mean mine?); known: mine, catch",
        ),
        (
            {"kind": "agent", "agent": "mine", "noop": True},
            "policies.p: noop belongs to kind random; remove it",
        ),
        (
            {"kind": "random", "agent": "mine"},
            "policies.p: agent belongs to kind agent; remove it or set kind: agent",
        ),
        (
            {"kind": "agent", "agent": "catch"},
            "policies.p.agent: catch plays catch, not the games of the run; name another agent",
        ),
        (
            {"kind": "agent", "agent": "resized"},
            "policies.p.agent: resized has environment.pool: resize-first, and frames are stored "
            "with max-first; name another agent",
        ),
        (
            {"kind": "agent", "agent": "mine", "checkpoint": 30},
            "policies.p.checkpoint: mine keeps no weights of step 30; choose last, best, or 20, 40",
        ),
        ({"kind": "agent", "agent": "mine", "checkpoint": "first"}, "policies.p.checkpoint"),
        ({"kind": "agent", "agent": "mine", "random": 1.5}, "policies.p.random"),
    ],
)
def test_what_cannot_play_is_refused_in_one_line(row, said):
    with pytest.raises(UserError) as error:
        defaults(BASE | {"policies": {"p": row}})
    assert said in str(error.value) and "\n" not in str(error.value)


def test_an_agent_plays_the_same_in_every_protocol():
    """Q2 is about the random agent."""
    config = defaults(BASE | {"policies": {"ppo": {"kind": "agent", "agent": "mine"}}})
    assert config.playing_policy("ppo", "corrected") == "ppo"
    assert config.playing_policy("random_agent", "corrected") == "random_agent-noop"
    assert config.weights_that_play("ppo") == ["last"]
    assert config.weights_that_play("random_agent") == []
    mixed = {"kind": "agent", "agent": "mine", "checkpoint": ["best", 20]}
    config = defaults(BASE | {"policies": {"ppo": mixed}})
    assert config.weights_that_play("ppo") == ["best", "step-000000020"]
