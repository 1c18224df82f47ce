"""Learners that learn from what their actors just played: every goal and loss by plain loops."""

import copy
import itertools
import math

import numpy as np
import pandas as pd
import pytest
import torch

from workflow_src.agents import learner as learners
from workflow_src.agents import optimizers, train
from workflow_src.agents.learners import a3c, ppo
from workflow_src.agents.loop import Room
from workflow_src.agents.on_policy import LearnedFrom
from workflow_src.agents.progress import Line
from workflow_src.agents.rollout import Rollout, Rollouts
from workflow_src.config.agents import Agent, Optimizer
from workflow_src.config.run import defaults
from workflow_src.emulator.environment import CONTINUES, LIFE_LOST, TERMINATED, TRUNCATED
from workflow_src.errors import UserError

pytestmark = pytest.mark.usefixtures("one_thread")

CPU = torch.device("cpu")
G, T, N, A = 0.9, 5, 3, 4
SWITCHES = defaults({}).agent_protocols


def row(kind, options=None, **change):
    base = {"kind": kind, "body": "mlp", "hidden": 8, "history": 1, "gamma": G}
    base |= {"options": {kind: options or {}}, "num_envs": 1, "validate_every": 640}
    base |= {"steps": 6400, "optimizer": {"kind": "adam", "lr": 1e-2, "max_norm": None}}
    return Agent.model_validate(base | change)


def build(settings, shape=(2,), seed=0):
    made = learners.build(
        settings,
        actions=A,
        frame_shape=shape,
        generator=torch.Generator().manual_seed(seed),
        device=CPU,
    )
    if hasattr(made, "target"):  # another network, so that the two cannot be mistaken
        other = learners.build(
            settings,
            actions=A,
            frame_shape=shape,
            generator=torch.Generator().manual_seed(seed + 1),
            device=CPU,
        )
        made.target.load_state_dict(other.network.state_dict())
    return made


@pytest.fixture
def played():
    """Steps with a lost life, a game that ended, and one that was cut off."""
    generator = torch.Generator().manual_seed(5)
    ends = np.full((T, N), CONTINUES)
    ends[1, 0], ends[3, 0], ends[2, 1] = LIFE_LOST, TERMINATED, TRUNCATED
    first = torch.zeros((T + 1, N), dtype=torch.bool)
    first[4, 0] = first[3, 1] = True
    return Rollout(
        observation=torch.rand((T + 1, N, 1, 2), generator=generator),
        first=first,
        action=torch.randint(A, (T, N), generator=generator),
        reward=torch.randn((T, N), generator=generator),
        goes_on=torch.from_numpy((ends == CONTINUES).astype(np.float32)),
        weight=torch.from_numpy((ends != TRUNCATED).astype(np.float32)),
        noted={
            "logits": torch.randn((T, N, A), generator=generator),
            "value": torch.randn((T, N), generator=generator),
        },
        next_action=torch.randint(A, (N,), generator=generator),
        state=None,
    )


def returns(played, last, own):
    """Discounted sums by double loops: from ``last`` (n,), or ``own`` (t, n) where not known."""
    found = np.zeros((T, N))
    for e in range(N):
        back = last[e]
        for t in reversed(range(T)):
            if played.weight[t, e] == 0:
                back = own[t, e]
            elif played.goes_on[t, e] == 0:
                back = float(played.reward[t, e])
            else:
                back = float(played.reward[t, e]) + G * back
            found[t, e] = back
    return found


def values_of(network, played):
    with torch.no_grad():
        return network(played.observation.flatten(0, 1))[:, 0, :, 0].unflatten(0, (T + 1, N))


@pytest.mark.parametrize("double", [False, True])
def test_n_step_goals(played, double):
    made = build(row("n-step-q", variants=["double"] if double else []))
    online, target = values_of(made.network, played), values_of(made.target, played)
    best = (online if double else target)[T].argmax(1)
    expected = returns(played, target[T, torch.arange(N), best].numpy(), online.amax(2).numpy())
    with torch.no_grad():
        found = made.goals(played, online)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5)


@pytest.mark.parametrize("kind", ["one-step-q", "sarsa"])
def test_one_step_goals(played, kind):
    made = build(row(kind))
    online, target = values_of(made.network, played), values_of(made.target, played)
    with torch.no_grad():
        found = made.goals(played, online)
    for t in range(T):
        for e in range(N):
            following = target[t + 1, e]
            if kind == "sarsa":
                then = played.action[t + 1, e] if t + 1 < T else played.next_action[e]
                future = following[then]
            else:
                future = following.max()
            goal = played.reward[t, e] + G * played.goes_on[t, e] * future
            assert found[t, e].item() == pytest.approx(goal.item(), rel=1e-5)


@pytest.mark.parametrize("kind", ["n-step-q", "one-step-q", "sarsa"])
def test_the_loss_is_of_the_actions_that_were_played(played, kind):
    """Its gradient, too: huber, summed over all steps but those that cut a game off."""
    made = build(row(kind))
    plain = copy.deepcopy(made.network)
    with torch.no_grad():
        goal = made.goals(played, values_of(made.network, played))
    total = torch.zeros(())
    for t in range(T):
        for e in range(N):
            value = plain(played.observation[t, e][None])[0, 0, played.action[t, e], 0]
            error = (goal[t, e] - value).abs()
            huber = error**2 / 2 if error <= 1 else error - 0.5
            total = total + huber * played.weight[t, e]
    total.backward()
    made.optimizer = torch.optim.SGD(made.network.parameters(), lr=0.0)
    made.learn_from(played, 0.0, np.random.default_rng(0))
    for one, other in zip(made.network.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)


def test_the_loss_of_a3c(played):
    made = build(row("a3c", {"entropy": 0.03, "value": 0.7}))
    plain = copy.deepcopy(made.network)
    with torch.no_grad():
        values = torch.stack([plain(one)[1] for one in played.observation]).numpy()
    goal, total, count = returns(played, values[T], values), torch.zeros(()), 0
    for t in range(T):
        for e in range(N):
            if not played.weight[t, e]:
                continue
            count += 1
            logits, value = plain(played.observation[t, e][None])
            chances = logits[0].softmax(0)
            error = float(goal[t, e]) - value[0]
            entropy = -sum(p * p.log() for p in chances)
            policy = -error.detach() * chances[played.action[t, e]].log()
            total = total + policy - 0.03 * entropy + 0.7 * error**2
    (total / count).backward()
    made.optimizer = torch.optim.SGD(made.network.parameters(), lr=0.0)
    learned = made.learn_from(played, 0.0, np.random.default_rng(0))
    assert learned.loss.item() == pytest.approx((total / count).item(), rel=1e-5)
    for one, other in zip(made.network.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-4, atol=1e-6)


def test_generalised_advantages(played):
    """The sum of (gamma lambda)^k delta_(t+k), up to the end of the episode."""
    made, gae = build(row("ppo", {"gae": 0.8})), 0.8
    value = torch.cat([played.noted["value"], torch.randn((1, N))])
    found = made.advantages(played, value)
    for e in range(N):
        for t in range(T):
            total, factor = 0.0, 1.0
            for k in range(t, T):
                if not played.weight[k, e]:
                    break
                on = float(played.goes_on[k, e])
                ahead = G * float(value[k + 1, e]) * on
                total += factor * (float(played.reward[k, e]) + ahead - float(value[k, e]))
                factor *= G * gae
                if not on:
                    break
            assert found[t, e].item() == pytest.approx(total, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("clip_value", [False, True])
def test_the_loss_of_ppo(played, clip_value):
    made = build(row("ppo", {"clip": 0.2, "clip_value": clip_value, "entropy": 0.03}))
    flat = played.observation[:-1].flatten(0, 1)
    action, count = played.action.flatten(), T * N
    before = played.noted["logits"].log_softmax(2).flatten(0, 1)[torch.arange(count), action]
    advantage, goal = torch.randn(count), torch.randn(count)
    old, weight = played.noted["value"].flatten(), played.weight.flatten()
    found = made.loss(flat, action, before, advantage, goal, old, weight)
    normal = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
    total = 0.0
    for i in range(count):
        logits, value = (one[0].detach() for one in made.network(flat[i][None]))
        chances = logits.softmax(0).double()
        ratio = float(chances[action[i]]) / math.exp(float(before[i]))
        gain = min(float(normal[i]) * ratio, float(normal[i]) * min(max(ratio, 0.8), 1.2))
        error = (float(value) - float(goal[i])) ** 2
        if clip_value:
            near = float(old[i]) + min(max(float(value - old[i]), -0.2), 0.2)
            error = max(error, (near - float(goal[i])) ** 2)
        entropy = -float((chances * chances.log()).sum())
        total += float(weight[i]) * (-gain - 0.03 * entropy + 0.5 * 0.5 * error)
    assert found.item() == pytest.approx(total / float(weight.sum()), rel=1e-4)


def test_ppo_learns_from_every_step_once_an_epoch(played, monkeypatch):
    made, seen = build(row("ppo", {"horizon": T, "epochs": 2, "minibatches": 4})), []
    plain = ppo.PPO.loss

    def loss(self, observation, *others):
        seen.append(observation)
        return plain(self, observation, *others)

    monkeypatch.setattr(ppo.PPO, "loss", loss)
    made.learn_from(played, 0.0, np.random.default_rng(0))
    assert [len(one) for one in seen] == [4, 4, 4, 3] * 2
    everything = {tuple(one) for one in played.observation[:-1].flatten(0, 1)[:, 0].tolist()}
    for epoch in (seen[:4], seen[4:]):
        assert {tuple(one) for one in torch.cat(epoch)[:, 0].tolist()} == everything


@pytest.mark.parametrize("kind", ["n-step-q", "a3c", "ppo"])
def test_the_learning_rate_falls_to_zero_if_asked(played, kind):
    for anneal, rate in ((True, 0.25e-2), (False, 1e-2)):
        optimizer = {"kind": "adam", "lr": 1e-2, "anneal": anneal}
        made = build(row(kind, optimizer=optimizer))
        made.learn_from(played, 0.75, np.random.default_rng(0))
        assert made.optimizer.param_groups[0]["lr"] == pytest.approx(rate)


def test_actions_are_drawn_from_the_policy():
    made = build(row("a3c"))
    actor = made.actor(1, evaluation=False)
    observation, first = np.full((1, 1, 2), 0.5, np.float32), np.zeros(1, bool)
    with torch.no_grad():
        chances = made.network(torch.from_numpy(observation))[0].softmax(1)[0].numpy()
    rng = np.random.default_rng(0)
    drawn = [int(actor.values(observation, first, rng).argmax()) for _ in range(4000)]
    np.testing.assert_allclose(np.bincount(drawn, minlength=A) / 4000, chances, atol=0.03)


def test_actors_explore_by_chances_of_their_own():
    made = build(row("n-step-q"))
    ends = made.draw_exploration(20_000, np.random.default_rng(0))
    shares = [(ends == one).mean() for one in (0.1, 0.01, 0.5)]
    np.testing.assert_allclose(shares, (0.4, 0.3, 0.3), atol=0.02)
    plain = build(row("n-step-q", {"per_actor": False}, epsilon={"end": 0.07}))
    assert plain.draw_exploration(3, np.random.default_rng(0)).tolist() == [0.07] * 3


@pytest.mark.parametrize("kind", ["one-step-q", "sarsa"])
def test_a_recurrent_learner_goes_through_the_steps_as_its_actors_did(played, kind):
    """The state is carried from step to step, and begins anew with an episode."""
    made = build(row(kind, variants=["recurrent"]))
    actor = made.actor(N, evaluation=False)
    rng = np.random.default_rng(0)
    actor.values(np.ones((N, 1, 2), np.float32), np.ones(N, bool), rng)
    state = actor.state()
    found = made.rollout_values(made.network, dataclass_with(played, state=state))
    for t in range(T + 1):
        values = actor.values(played.observation[t].numpy(), played.first[t].numpy(), rng)
        np.testing.assert_allclose(found[t].detach().numpy(), values, rtol=1e-5, atol=1e-6)
    assert any((one != other).any() for one, other in zip(state, actor.state(), strict=True))


def dataclass_with(played, **change):
    return Rollout(**{**vars(played), **change})


def test_rmsprop_that_is_not_centred():
    """``n <- .99 n + .01 d^2``, step ``lr d / sqrt(n + eps)``."""
    weight = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
    settings = Optimizer(lr=0.1, eps=0.1, decay=0.99, centred=False)
    made, n, expected = optimizers.build(settings, [weight]), np.zeros(2), [1.0, -2.0]
    for gradient in ([0.5, -1.0], [0.25, 3.0]):
        weight.grad = torch.tensor(gradient)
        made.step()
        n = 0.99 * n + 0.01 * np.square(gradient)
        expected = expected - 0.1 * np.array(gradient) / np.sqrt(n + 0.1)
    np.testing.assert_allclose(weight.detach().numpy(), expected, rtol=1e-5)


class Counting:
    """An environment whose observation counts steps; the game of actor 1 is cut off at step 7."""

    num_actions, frame_shape, dtype, frame_skip = A, (2,), np.dtype(np.float32), 1

    def __init__(self):
        self.observation = np.zeros((2, 1, 2), np.float32)
        self.first, self.end = np.ones(2, bool), np.zeros(2, np.uint8)
        self.reward, self.played = np.zeros(2), []
        self.finished, self.count = [], 0

    def new_games(self, rngs):
        self.count = 0
        self.observation[:], self.first[:] = 0, True

    def step(self, actions):
        self.played.append(actions.copy())
        self.count += 1
        self.observation[:, 0, 0] = self.count
        self.reward[:] = (3 * self.count, -0.5)
        self.end[:] = (CONTINUES, TRUNCATED if self.count == 7 else CONTINUES)
        self.first[:] = (False, self.count == 7)
        self.finished = [(1, -3.5, 7, 7)] if self.count == 7 else []


@pytest.mark.parametrize("kind", ["sarsa", "a3c"])
def test_rollouts_follow_one_another(kind):
    settings = row(kind, {"horizon": 4}, num_envs=2, validate_every=24, steps=48)
    made, vector, seen = build(settings), Counting(), []
    room = Room(
        settings,
        "x",
        vector,
        CPU,
        lambda *what: np.random.default_rng([hash(one) % 2**32 for one in what]),
        Line("x", 48, shown=False),
    )

    def learn_from(played, share, rng):
        seen.append(Rollout(**{**vars(played), "observation": played.observation.clone()}))
        zero = torch.zeros(())
        return type("Learned", (), {"loss": zero, "value": zero})

    made.learn_from = learn_from
    found = Rollouts(room, made).learn(1)
    assert len(seen) == 3 and found["games"] == 1 and found["training_score"] == -3.5
    assert found["step"] == 48
    steps = [one.observation[:, 0, 0, 0].tolist() for one in seen]
    assert steps == [[0, 1, 2, 3, 4], [4, 5, 6, 7, 8], [8, 9, 10, 11, 12]]
    assert seen[0].reward[:, 0].tolist() == [1.0] * 4 and seen[0].reward[0, 1] == -0.5
    assert seen[1].weight[:, 1].tolist() == [1, 1, 0, 1] == seen[1].goes_on[:, 1].tolist()
    assert seen[1].first[:, 1].tolist() == [False, False, False, True, False]
    assert torch.cat([one.action for one in seen]).tolist() == np.array(vector.played).tolist()
    if kind == "sarsa":
        for one, following in itertools.pairwise(seen):
            assert one.next_action.tolist() == following.action[0].tolist()
    else:
        assert seen[0].next_action is None
        assert seen[0].noted["logits"].shape == (4, 2, A)


GRID = {
    "kind": "a3c",
    "environment": {"kind": "gridworld", "options": {"max_steps": 100}},
    "body": "mlp",
    "hidden": 32,
    "history": 1,
    "num_envs": 8,
    "reward_clip": None,
    "optimizer": {"kind": "adam", "lr": 3e-3, "eps": 1e-8},
    "validate_steps": 400,
    "threads": 1,
}


def trained(directory, settings):
    settings = Agent.model_validate(settings)
    out = directory / "out"
    train.train(
        game="gridworld",
        agent="grid",
        seed=1,
        row=settings,
        switches=SWITCHES[settings.protocol],
        out=out,
        history=out / "history.csv",
        working=directory / "working",
        workers=1,
        device="cpu",
        progress=False,
    )
    return {file.name: file.read_bytes() for file in sorted(out.iterdir())}


@pytest.mark.parametrize("kind", ["n-step-q", "one-step-q", "sarsa", "a3c", "ppo"])
def test_an_error_in_an_epoch_loses_that_epoch_alone(tmp_path, monkeypatch, kind):
    settings = GRID | {"kind": kind, "options": {kind: {"horizon": 5}}}
    settings |= {"validate_every": 400, "steps": 1200, "validate_steps": 40}
    undisturbed, judge = trained(tmp_path / "a", settings), train.Training.judge

    def fails(self, epoch):
        if epoch == 1:
            raise KeyboardInterrupt
        return judge(self, epoch)

    monkeypatch.setattr(train.Training, "judge", fails)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "b", settings)
    monkeypatch.setattr(train.Training, "judge", judge)
    learned = []
    learn = train.Training.learn
    monkeypatch.setattr(
        train.Training, "learn", lambda self, epoch: learned.append(epoch) or learn(self, epoch)
    )
    assert trained(tmp_path / "b", settings) == undisturbed
    assert learned == [1, 2]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "options", "change", "reached"),
    [
        ("a3c", {"horizon": 7}, {}, 0.6),
        ("ppo", {"horizon": 28}, {"optimizer": {"kind": "adam", "lr": 1e-3, "eps": 1e-5}}, 0.8),
        ("n-step-q", {"horizon": 7, "per_actor": False}, {"target_every": 1120}, 0.55),
    ],
)
def test_a_small_catch_is_learned(tmp_path, kind, options, change, reached):
    settings = GRID | {"environment": {"kind": "catch", "options": {"size": 8, "level": 1}}}
    settings |= {"kind": kind, "options": {kind: options}, "num_envs": 16, "validate_steps": 700}
    if kind == "n-step-q":
        settings["optimizer"] = settings["optimizer"] | {"reduction": "mean"}
        settings["epsilon"] = {"steps": 10_000, "end": 0.05}
    settings |= {"validate_every": 11_200, "steps": 33_600, **change}
    trained(tmp_path, settings)
    history = pd.read_csv(tmp_path / "out" / "history.csv")
    assert history["score"].max() > reached


def test_it_is_said_when_a_loss_is_no_number(tmp_path, monkeypatch):
    nothing = LearnedFrom(torch.tensor(math.nan), torch.zeros(()))
    monkeypatch.setattr(a3c.A3C, "learn_from", lambda *_: nothing)
    with pytest.raises(UserError, match=r"^grid on gridworld: the loss of epoch 0 is nan; lower"):
        trained(tmp_path, GRID | {"validate_every": 400, "steps": 400})
