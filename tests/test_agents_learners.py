"""Learners: every target and loss against numbers worked out by hand, in double precision."""

import copy
import itertools
import math

import numpy as np
import pydantic
import pytest
import torch
from torch import nn

from workflow_src import kinds
from workflow_src.agents import learner as learners
from workflow_src.agents import optimizers
from workflow_src.agents.batch import Batch
from workflow_src.agents.learners.dqn import pick
from workflow_src.agents.network import Heads, scale_gradient, unrolled
from workflow_src.config.agents import VARIANTS, Agent, Optimizer
from workflow_src.errors import UserError

pytestmark = pytest.mark.usefixtures("one_thread")

CPU = torch.device("cpu")
ALL = kinds.names(VARIANTS)
G = 0.5


def row(*variants, **change):
    base = {"body": "mlp", "hidden": 8, "history": 1, "gamma": G, "variants": list(variants)}
    base["optimizer"] = {"kind": "adam", "lr": 1e-2, "eps": 1e-8, "max_norm": None}
    return Agent.model_validate(base | change)


def build(settings, shape=(1,), actions=3, seed=0):
    return learners.build(
        settings,
        actions=actions,
        frame_shape=shape,
        generator=torch.Generator().manual_seed(seed),
        device=CPU,
    )


class Table(nn.Module):
    """Values (states, heads, actions, units), looked up by the number that the newest frame is."""

    def __init__(self, values):
        super().__init__()
        self.values = nn.Parameter(torch.tensor(values, dtype=torch.float64))

    def forward(self, observation):
        return self.values[observation[:, -1, 0].long()]


def with_tables(settings, online, target, actions=3):
    """A learner whose network and target are tables; without heads or units they have one."""
    made = build(settings, actions=actions)
    arrays = [np.array(values, float) for values in (online, target)]
    arrays = [a.reshape(len(a), 1, actions, -1) if a.ndim == 2 else a for a in arrays]
    made.network, made.target = Table(arrays[0]), Table(arrays[1])
    made.optimizer = torch.optim.SGD(made.network.parameters(), lr=1.0)
    return made


def batch(now, action, reward, discount, then, weight=None, mask=None):
    n = len(now)

    def states(which):
        return torch.tensor(which, dtype=torch.float32).reshape(n, 1, 1)

    return Batch(
        observation=states(now),
        action=torch.tensor(action),
        reward=torch.tensor(reward, dtype=torch.float64),
        discount=torch.tensor(discount, dtype=torch.float64),
        next_observation=states(then),
        weight=torch.ones(n) if weight is None else torch.tensor(weight),
        mask=None if mask is None else torch.tensor(mask, dtype=torch.float32),
        slot=np.arange(n),
    )


Q = [[1.0, 2.0, 3.0], [0.5, -1.0, 0.25], [4.0, 0.0, 2.0]]  # of the network
T = [[0.0, 1.0, -1.0], [2.0, 3.0, 1.0], [-2.0, 5.0, 4.0]]  # of the target
# From state 0 to 1, from 1 to 2, and from 2 to the end.
STEPS = {
    "now": [0, 1, 2],
    "action": [2, 0, 1],
    "reward": [1.0, -1.0, 0.5],
    "discount": [G, G, 0.0],
    "then": [1, 2, 0],
}


def test_the_goal_of_dqn():
    goal = with_tables(row(), Q, T).goal(batch(**STEPS))
    assert goal.flatten().tolist() == [1 + G * 3, -1 + G * 5, 0.5]


def test_double_lets_the_network_choose():
    """In state 1 the network prefers action 0, in state 2 action 0: the target judges them."""
    goal = with_tables(row("double"), Q, T).goal(batch(**STEPS))
    assert goal.flatten().tolist() == [1 + G * 2, -1 + G * -2, 0.5]


@pytest.mark.parametrize("clip", [1.0, 0.25, None])
def test_losses_of_errors(clip):
    losses, delta = with_tables(row(delta_clip=clip), Q, T).losses(batch(**STEPS))
    errors = np.array([2.5 - 3, 1.5 - 0.5, 0.5 - 0])
    if clip is None:
        wanted, sizes = errors**2, np.abs(errors)
    else:
        size = np.abs(errors)
        wanted = np.where(size <= clip, errors**2 / 2, clip * (size - clip / 2))
        sizes = np.minimum(size, clip)
    assert losses.flatten().tolist() == pytest.approx(wanted.tolist())
    assert delta.flatten().tolist() == pytest.approx(sizes.tolist())


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_a_step_follows_the_clipped_errors(reduction):
    """With a rate of 1 the values move by the errors, clipped at 1, times the weights."""
    settings = row(optimizer={"kind": "adam", "max_norm": "none", "reduction": reduction})
    made = with_tables(settings, Q, T)
    weight = [1.0, 0.5, 0.25]
    made.learn(batch(**STEPS, weight=weight))
    share = 3 if reduction == "mean" else 1
    moved = (made.network.values.detach()[:, 0, :, 0] - torch.tensor(Q)).numpy()
    wanted = np.zeros((3, 3))
    wanted[0, 2], wanted[1, 0], wanted[2, 1] = -0.5 / share, 1 * 0.5 / share, 0.5 * 0.25 / share
    assert moved == pytest.approx(wanted)


def test_the_norm_of_the_gradient_is_clipped():
    settings = row(optimizer={"kind": "adam", "max_norm": 0.1})
    made = with_tables(settings, Q, T)
    made.learn(batch(**STEPS))
    moved = made.network.values.detach()[:, 0, :, 0] - torch.tensor(Q, dtype=torch.float64)
    assert moved.norm().item() == pytest.approx(0.1, rel=1e-4)


def test_persistent_advantage_widens_the_gap():
    alpha, steps = 0.9, STEPS | {"action": [2, 0, 0]}
    made = with_tables(row("persistent-advantage"), Q, T)
    plain = np.array([1 + G * 3, -1 + G * 5, 0.5])
    # max T(s) - T(s, a): now and in the next state; none after the end.
    now = np.array([1 - -1, 3 - 2, 5 - -2])
    then = np.array([3 - 1, 5 - -2, 0])
    wanted = plain - alpha * np.minimum(now, then)
    assert made.goal(batch(**steps)).flatten().tolist() == pytest.approx(wanted.tolist())
    # The same as the larger of both errors, as Bellemare et al. write it.
    delta = plain - np.array([Q[0][2], Q[1][0], Q[2][0]])
    larger = np.maximum(delta - alpha * now, delta - alpha * then)
    assert wanted - np.array([3, 0.5, 4.0]) == pytest.approx(larger)


def test_persistent_advantage_with_a_double_error():
    """The error is double's; both gaps stay the target's."""
    made = with_tables(row("persistent-advantage", "double"), Q, T)
    plain = np.array([1 + G * 2, -1 + G * -2, 0.5])
    wanted = plain - 0.9 * np.minimum([1 - -1, 3 - 2, 5 - 5], [3 - 1, 5 - -2, 0])
    assert made.goal(batch(**STEPS)).flatten().tolist() == pytest.approx(wanted.tolist())


@pytest.mark.parametrize(
    ("variants", "online", "target"),
    [
        ((), 1, 1),
        (("double",), 2, 1),
        (("munchausen",), 1, 2),
        (("persistent-advantage",), 1, 2),
        (("persistent-advantage", "double"), 2, 2),
        (("c51", "double"), 2, 1),
    ],
)
def test_no_state_passes_a_network_twice(variants, online, target):
    made, calls = build(row(*variants), shape=(3,)), {"network": 0, "target": 0}
    for name in calls:

        def count(*_, name=name):
            calls[name] += 1

        getattr(made, name).register_forward_hook(count)
    made.learn(random_batch(made, np.random.default_rng(0)))
    assert calls == {"network": online, "target": target}


def test_munchausen_by_the_formula():
    options = {"munchausen": {"alpha": 0.9, "tau": 0.5, "clip": 1.0}}
    made = with_tables(row("munchausen", options=options), Q, T)
    tau = 0.5

    def policy(values):
        weights = [math.exp(value / tau) for value in values]
        return [weight / sum(weights) for weight in weights]

    wanted = []
    for i in range(3):
        log = math.log(policy(T[STEPS["now"][i]])[STEPS["action"][i]])
        bonus = 0.9 * min(max(tau * log, -1.0), 0.0)
        then = T[STEPS["then"][i]]
        future = sum(p * (q - tau * math.log(p)) for p, q in zip(policy(then), then, strict=True))
        wanted.append(STEPS["reward"][i] + bonus + STEPS["discount"][i] * future)
    assert made.goal(batch(**STEPS)).flatten().tolist() == pytest.approx(wanted)
    # The first bonus is clipped: tau log pi is -2.07.
    assert 0.5 * math.log(policy(T[0])[2]) < -2


def projected(atoms, probabilities, reward, discount):
    """C51's projection, an atom at a time (algorithm 1 of arXiv 1707.06887)."""
    low, step = atoms[0], atoms[1] - atoms[0]
    found = np.zeros(len(atoms))
    for z, p in zip(atoms, probabilities, strict=True):
        b = (min(max(reward + discount * z, atoms[0]), atoms[-1]) - low) / step
        lower, upper = math.floor(b + 1e-12), math.ceil(b - 1e-12)
        if lower == upper:  # on an atom, which takes all: the mass must not vanish
            found[lower] += p
        else:
            found[lower] += p * (upper - b)
            found[upper] += p * (b - lower)
    return found


@pytest.mark.parametrize(
    ("reward", "discount"),
    [(0.0, 1.0), (1.0, 1.0), (0.3, 0.9), (5.0, 1.0), (-5.0, 1.0), (0.5, 0.0), (2.0, 0.0)],
)
def test_c51_projects_all_of_the_mass(reward, discount):
    """Whole steps of the atoms, both ends, clipped returns, the end of an episode."""
    made = build(row("c51", options={"c51": {"atoms": 5, "vmax": 2.0}}))
    atoms = np.linspace(-2, 2, 5)
    logits = np.array([0.1, 1.0, -0.5, 0.3, 0.0])
    probabilities = np.exp(logits) / np.exp(logits).sum()
    goal = made.discounted(
        torch.tensor([[[reward]]]),
        torch.tensor([[[discount]]]),
        torch.tensor(logits[None, None], dtype=torch.float32),
    )
    wanted = projected(atoms, probabilities, reward, discount)
    assert goal.flatten().numpy() == pytest.approx(wanted, abs=1e-6)
    assert goal.sum().item() == pytest.approx(1.0)


def test_c51_learns_by_cross_entropy():
    made = build(row("c51", options={"c51": {"atoms": 3, "vmax": 1.0}}))
    chosen = torch.tensor([[[0.2, -1.0, 0.5]]])
    goal = torch.tensor([[[0.25, 0.75, 0.0]]])
    loss, delta = made.error(chosen, goal)
    logs = np.array([0.2, -1.0, 0.5]) - math.log(sum(map(math.exp, [0.2, -1.0, 0.5])))
    assert loss.item() == pytest.approx(-(0.25 * logs[0] + 0.75 * logs[1]))
    assert delta.item() == pytest.approx(loss.item())
    expected = made.expected(torch.log(torch.tensor([[0.1, 0.2, 0.7]])))
    assert expected.item() == pytest.approx(-0.1 + 0.7)


def test_quantiles_by_double_loops():
    made = build(row("quantile", options={"quantile": {"quantiles": 4, "kappa": 1.0}}))
    chosen, goal = [0.0, 1.0, 2.5, -1.0], [0.5, 3.0, -2.0, 1.0]
    loss, delta = made.error(torch.tensor([[chosen]]), torch.tensor([[goal]]))
    total = 0.0
    for i, theta in enumerate(chosen):
        tau = (i + 0.5) / 4
        for target in goal:
            u = target - theta
            huber = u * u / 2 if abs(u) <= 1 else abs(u) - 0.5
            total += abs(tau - (u < 0)) * huber / 4
    assert loss.item() == pytest.approx(total)
    assert delta.item() == pytest.approx(abs(np.mean(goal) - np.mean(chosen)))
    assert made.expected(torch.tensor([chosen])).item() == pytest.approx(np.mean(chosen))


def test_dueling_streams_and_the_gradient_into_the_body():
    made = build(row("dueling"), actions=4)
    features = torch.rand(5, 32)
    heads = made.network.heads
    value, advantage = heads.value(features), heads.advantage(features)
    assert value.shape == (5, 1, 1, 1) and advantage.shape == (5, 1, 4, 1)
    wanted = value + advantage - advantage.mean(2, keepdim=True)
    assert torch.equal(heads(features), wanted)
    assert heads(features).mean(2).flatten().detach().numpy() == pytest.approx(
        value.flatten().detach().numpy(), abs=1e-6
    )
    assert gradient_of_body(made) == pytest.approx(1 / math.sqrt(2), rel=1e-5)


def gradient_of_body(made):
    """The size of the body's gradient, relative to that of the same network without the scale."""
    observation = torch.rand(6, 1, 1)
    sizes = []
    for scale in (made.trunk_scale, 1.0):
        made.network._scale = scale
        made.network.zero_grad()
        made.network(observation).square().sum().backward()
        sizes.append(torch.cat([p.grad.flatten() for p in made.network.body.parameters()]).norm())
    return (sizes[0] / sizes[1]).item()


def test_a_scaled_gradient_leaves_the_values():
    values = torch.rand(4, requires_grad=True)
    scaled = scale_gradient(values, 0.25)
    assert scaled.detach().numpy() == pytest.approx(values.detach().numpy())
    scaled.sum().backward()
    assert (values.grad == 0.25).all()


# Bootstrapped


def test_each_head_has_its_own_goal_and_its_mask():
    options = {"bootstrapped": {"heads": 2}}
    online = np.stack([Q, -np.array(Q)], 1)[..., None]  # (states, heads, actions, units)
    target = np.stack([T, -np.array(T)], 1)[..., None]
    made = with_tables(row("bootstrapped", options=options), online, target)
    goal = made.goal(batch(**STEPS)).squeeze(2)
    assert goal[:, 0].tolist() == [1 + G * 3, -1 + G * 5, 0.5]
    assert goal[:, 1].tolist() == [1 + G * -1, -1 + G * 2, 0.5]  # the best of -T
    before = made.network.values.detach().clone()
    made.learn(batch(**STEPS, mask=[[1, 0], [0, 1], [0, 0]]))
    moved = (made.network.values.detach() - before).abs()[..., 0] > 0
    assert moved[0].tolist() == [[False, False, True], [False] * 3]
    assert moved[1].tolist() == [[False] * 3, [True, False, False]]
    assert not moved[2].any()


def test_heads_divide_the_gradient_of_the_body():
    made = build(row("bootstrapped", options={"bootstrapped": {"heads": 5}}))
    assert gradient_of_body(made) == pytest.approx(1 / 5, rel=1e-5)
    both = build(row("bootstrapped", "dueling", options={"bootstrapped": {"heads": 5}}))
    assert both.trunk_scale == pytest.approx(1 / 5 / math.sqrt(2))


def test_a_head_plays_an_episode_and_all_vote():
    made = build(row("bootstrapped", options={"bootstrapped": {"heads": 3}}), actions=2)
    values = torch.tensor([[[1.0, 0.0], [0.0, 2.0], [0.0, 3.0]]] * 4)
    playing, rng = made.actor(4, evaluation=False), np.random.default_rng(0)
    first = np.ones(4, bool)
    drawn = playing.choose(values, first, rng)
    goes_on = np.array([False, False, False, True])
    again = playing.choose(values, goes_on, rng)
    assert torch.equal(drawn[:3], again[:3])
    heads = [tuple(playing.choose(values, first, rng)[0].tolist()) for _ in range(60)]
    assert set(heads) == {(1.0, 0.0), (0.0, 2.0), (0.0, 3.0)}
    votes = made.actor(4, evaluation=True).choose(values, first, rng)
    assert votes.tolist() == [[1, 2]] * 4
    tie = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    assert made.actor(1, evaluation=True).choose(tie, first[:1], rng).argmax(1).item() == 0


def test_masks_are_drawn_with_their_chance():
    made = build(row("bootstrapped", options={"bootstrapped": {"mask_probability": 0.25}}))
    masks = made.draw_masks(4000, np.random.default_rng(0))
    assert masks.shape == (4000, 10) and masks.mean() == pytest.approx(0.25, abs=0.01)
    assert build(row()).draw_masks(4, np.random.default_rng(0)) is None


# Recurrent


def recurrent(seed=0):
    return build(row("recurrent", history=4), shape=(3,), seed=seed)


def test_acting_step_by_step_is_the_unrolled_network():
    made, rng = recurrent(), np.random.default_rng(0)
    frames = rng.random((2, 4, 3)).astype(np.float32)  # two environments, four steps
    actor = made.actor(2, evaluation=False)
    for step in range(4):
        seen = np.zeros((2, 4, 3), np.float32)
        seen[:, -1] = frames[:, step]
        found = actor.values(seen, np.full(2, step == 0), rng)
    with torch.no_grad():
        wanted = made.expected(made.network(torch.from_numpy(frames)))[:, 0]
    assert found == pytest.approx(wanted.numpy(), abs=1e-6)


def test_the_state_begins_at_zero_with_an_episode_and_learning_does_not_touch_it():
    made, rng = recurrent(), np.random.default_rng(0)
    seen = rng.random((2, 4, 3)).astype(np.float32)
    actor, fresh = made.actor(2, evaluation=False), made.actor(2, evaluation=False)
    actor.values(seen, np.ones(2, bool), rng)
    state = [part.clone() for part in actor._state]
    made.learn(random_batch(made, rng))
    assert all(torch.equal(a, b) for a, b in zip(state, actor._state, strict=True))
    mixed = actor.values(seen, np.array([True, False]), rng)
    begun = fresh.values(seen, np.ones(2, bool), rng)
    assert mixed[0] == pytest.approx(begun[0], abs=1e-6) and not np.allclose(mixed[1], begun[1])


def test_the_forget_gate_begins_open():
    lstm = recurrent().network.lstm
    hidden = lstm.hidden_size
    assert (lstm.bias_ih_l0[hidden : 2 * hidden] == 1).all()
    assert (lstm.bias_ih_l0[:hidden].abs() < 1).all()


# All of them together


def random_batch(made, rng, n=6):
    history = made.row.history
    frames = [
        torch.from_numpy(rng.random((n, history, *made.frame_shape), np.float32)) for _ in range(2)
    ]
    mask = made.draw_masks(n, rng)
    return Batch(
        observation=frames[0],
        action=torch.from_numpy(rng.integers(made.actions, size=n)),
        reward=torch.from_numpy(rng.standard_normal(n).astype(np.float32)),
        discount=torch.from_numpy(rng.choice([0.0, 0.9], n).astype(np.float32)),
        next_observation=frames[1],
        weight=torch.from_numpy(rng.random(n, np.float32)),
        mask=None if mask is None else torch.from_numpy(mask.astype(np.float32)),
        slot=np.arange(n),
    )


def excluded(*variants):
    return any(
        other in variants
        for one in variants
        for other in kinds.declared(VARIANTS, one).get("EXCLUDES", ())
    )


PAIRS = list(itertools.combinations(ALL, 2))


@pytest.mark.parametrize("variants", [(), *[(one,) for one in ALL], *PAIRS], ids="+".join)
def test_every_variant_and_pair_learns_or_is_refused(variants):
    if excluded(*variants):
        with pytest.raises(pydantic.ValidationError, match="cannot be combined; remove one") as no:
            row(*variants)
        assert all(name in str(no.value) for name in variants)
        return
    states = []
    for order in (variants, variants[::-1]):
        made, rng = build(row(*order, history=2), shape=(3,)), np.random.default_rng(0)
        for _ in range(3):
            learned = made.learn(random_batch(made, rng))
        assert torch.isfinite(learned.loss) and learned.delta.shape == (6,)
        assert not learned.delta.requires_grad and (learned.delta >= 0).all()
        value, delta = made.diagnose(random_batch(made, rng))
        assert torch.isfinite(value) and torch.isfinite(delta)
        seen = rng.random((4, 2, 3)).astype(np.float32)
        assert made.actor(4, False).values(seen, np.ones(4, bool), rng).shape == (4, 3)
        states.append(made.weights())
    # The same bytes, whatever the order in the row.
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_exclusions_are_of_variants_that_exist():
    for name in ALL:
        assert set(kinds.declared(VARIANTS, name).get("EXCLUDES", ())) <= set(ALL) - {name}


def test_settings_of_variants_are_as_published():
    published = {
        "bootstrapped": {"heads": 10, "mask_probability": 0.5},
        "c51": {"atoms": 51, "vmax": 10.0},
        "munchausen": {"alpha": 0.9, "tau": 0.03, "clip": 1.0},
        "n-step": {"n": 3},
        "persistent-advantage": {"alpha": 0.9},
        "prioritised": {"kind": "rank", "alpha": 0.7, "beta": 0.5},
        "quantile": {"quantiles": 201, "kappa": 1.0},
    }
    found = {name: kinds.declared(VARIANTS, name).get("OPTIONS") for name in ALL}
    assert {name: options for name, options in found.items() if options} == published


def test_what_the_memory_has_to_do():
    assert build(row()).n_step == 1 and not build(row()).prioritised
    made = build(row("n-step", "prioritised", options={"n-step": {"n": 5}}))
    assert made.n_step == 5 and made.prioritised
    assert [made.beta(share) for share in (-1, 0, 0.5, 1, 2)] == [0.5, 0.5, 0.75, 1, 1]
    assert build(row()).beta(0.5) is None


def test_the_target_follows_only_when_told():
    made, rng = build(row(), shape=(3,)), np.random.default_rng(0)
    before = {name: value.clone() for name, value in made.target.state_dict().items()}
    made.learn(random_batch(made, rng))
    after = made.target.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    made.sync()
    online = made.network.state_dict()
    assert all(torch.equal(online[name], value) for name, value in made.target.state_dict().items())


def test_weights_are_drawn_from_the_generator_alone():
    torch.manual_seed(5)
    state = torch.random.get_rng_state()
    one, same, other = (build(row("recurrent"), shape=(3,), seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), state)
    for name, value in one.weights().items():
        assert torch.equal(value, same.weights()[name])
    assert not torch.equal(one.network.lstm.weight_hh_l0, other.network.lstm.weight_hh_l0)


@pytest.mark.parametrize("kind", ["rmsprop", "adam", "adadelta"])
def test_a_learner_goes_on_from_its_state(kind):
    optimizer = {"kind": kind, "lr": 1e-2, "eps": 1e-2}
    one = build(row("double", "dueling", optimizer=optimizer), shape=(3,))
    rng = np.random.default_rng(0)
    batches = [random_batch(one, rng) for _ in range(6)]
    for some in batches[:3]:
        one.learn(some)
    other = build(row("double", "dueling", optimizer=optimizer), shape=(3,), seed=9)
    other.load_state_dict(copy.deepcopy(one.state_dict()))
    for some in batches[3:]:
        one.learn(some), other.learn(some)
    assert all(torch.equal(value, other.weights()[name]) for name, value in one.weights().items())


# Optimizers


def test_rmsprop_has_eps_inside_the_root():
    rng = np.random.default_rng(0)
    start = rng.standard_normal(4)
    weights = nn.Parameter(torch.tensor(start))
    optimizer = optimizers.build(Optimizer(lr=0.1, eps=0.01, decay=0.95), [weights])
    w, g, n = start.copy(), np.zeros(4), np.zeros(4)
    for _ in range(5):
        d = rng.standard_normal(4)
        weights.grad = torch.tensor(d)
        optimizer.step()
        g, n = 0.95 * g + 0.05 * d, 0.95 * n + 0.05 * d**2
        w -= 0.1 * d / np.sqrt(n - g**2 + 0.01)
    assert weights.detach().numpy() == pytest.approx(w, rel=1e-12)


def test_other_optimizers_are_torchs():
    weights = [nn.Parameter(torch.zeros(2))]
    adam = optimizers.build(Optimizer(kind="adam", lr=0.1, eps=0.5), weights)
    assert isinstance(adam, torch.optim.Adam) and adam.defaults["eps"] == 0.5
    adadelta = optimizers.build(Optimizer(kind="adadelta", lr=0.1, decay=0.9), weights)
    assert isinstance(adadelta, torch.optim.Adadelta) and adadelta.defaults["rho"] == 0.9


# Bodies


@pytest.mark.parametrize(
    ("body", "shape", "features"),
    [
        ("nature", (84, 84), 64 * 7 * 7),
        ("nature", (210, 160), 64 * 22 * 16),
        ("small", (84, 84), 32 * 9 * 9),
        ("catch", (24, 24), 32 * 4 * 4),
        ("mlp", (5,), 32),
    ],
)
def test_bodies_take_bytes_and_fractions_alike(body, shape, features):
    made = build(row(body=body, history=2), shape=shape)
    rng = np.random.default_rng(0)
    frames = torch.from_numpy(rng.integers(256, size=(3, 2, *shape), dtype=np.uint8))
    with torch.no_grad():
        found, wanted = made.network.body(frames), made.network.body(frames.float() / 255)
    assert found.shape == (3, features)
    assert found.numpy() == pytest.approx(wanted.numpy(), abs=1e-5)


BODY = """
from torch import nn

class Mine(nn.Module):
    def __init__(self, channels, frame_shape):
        super().__init__()
        self.layer = nn.Linear(channels * frame_shape[0], 7)

    def forward(self, observation):
        return self.layer(observation.flatten(1))

class Plain(nn.Module):
    def __init__(self, channels, frame_shape):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Flatten()
        )

    def forward(self, observation):
        return self.layers(observation)

class Square(Mine):
    def forward(self, observation):
        return observation

function = print
"""


def test_a_body_of_ones_own(tmp_path):
    file = tmp_path / "bodies.py"
    file.write_text(BODY)
    made = build(row(body=f"{file}:Mine", history=2), shape=(3,))
    assert made.network.body(torch.zeros(5, 2, 3)).shape == (5, 7)
    made.learn(random_batch(made, np.random.default_rng(0)))
    for name, text in (
        ("Square", r"Square gives \(2, 2, 3\) for 2 observations, not \(2, d\): flatten"),
        ("function", "is a builtin_function_or_method, not a class"),
        ("Missing", "cannot be made: AttributeError"),
    ):
        with pytest.raises(UserError, match=text) as refused:
            build(row(body=f"{file}:{name}", history=2), shape=(3,))
        assert "\n" not in str(refused.value)
    with pytest.raises(UserError, match=r"body catch fails on observations \(2, 2, 3\): .*another"):
        build(row(body="catch", history=2), shape=(3,))


def test_a_body_of_ones_own_gets_fractions_and_draws_nothing(tmp_path):
    """A plain convolution fails on bytes; dropout would draw from the global generator."""
    file = tmp_path / "bodies.py"
    file.write_text(BODY)
    made = build(row(body=f"{file}:Plain", history=2), shape=(5, 5))
    rng = np.random.default_rng(0)
    frames = rng.integers(256, size=(3, 2, 5, 5), dtype=np.uint8)
    first, state = np.ones(3, bool), torch.random.get_rng_state()
    found = made.actor(3, evaluation=False).values(frames, first, rng)
    floats = (frames / 255).astype(np.float32)
    assert found == pytest.approx(made.actor(3, evaluation=True).values(floats, first, rng))
    assert found.std(0).min() > 0
    buffers = [value.clone() for value in made.network.buffers()]
    made.learn(random_batch(made, rng))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(map(torch.equal, buffers, made.network.buffers()))


def test_heads_are_separate_and_share_no_weights():
    heads = Heads(4, 6, 3, 2, 1, torch.Generator().manual_seed(0))
    features = torch.rand(5, 4)
    values = heads(features)
    assert values.shape == (5, 3, 2, 1)
    hidden = heads.hidden(features).relu().unflatten(1, (3, 6))
    for head in range(3):
        wanted = hidden[:, head] @ heads.weight[head] + heads.bias[head]
        assert values[:, head, :, 0].detach().numpy() == pytest.approx(
            wanted.detach().numpy(), abs=1e-6
        )
    action = torch.tensor([[0], [1], [1], [0], [1]])
    assert torch.equal(pick(values, action)[3], values[3, :, 0])


@pytest.mark.parametrize(("kernel", "stride", "size"), [(2, 1, 9), (3, 1, 7), (4, 2, 12)])
def test_unrolled_convolutions_are_convolutions(kernel, stride, size):
    torch.manual_seed(0)
    maps = torch.randn(3, 5, size, size + 2, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(4, 5, kernel, kernel, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(4, dtype=torch.float64, requires_grad=True)
    inputs = (maps, weight, bias)
    plain = nn.functional.conv2d(*inputs, stride=stride)
    found = unrolled(*inputs, stride=stride)
    torch.testing.assert_close(found, plain)
    into = torch.randn_like(plain)
    torch.testing.assert_close(
        torch.autograd.grad(found, inputs, into), torch.autograd.grad(plain, inputs, into)
    )


def test_batches_that_were_drawn_together_are_split():
    values = torch.arange(6)
    both = Batch(values, values, values, values, values, values, values[:, None], values.numpy())
    parts = both.split(2)
    assert [part.action.tolist() for part in parts] == [[0, 1], [2, 3], [4, 5]]
    assert [part.mask.tolist() for part in parts] == [[[0], [1]], [[2], [3]], [[4], [5]]]
    assert [part.slot.tolist() for part in parts] == [[0, 1], [2, 3], [4, 5]]
    assert both.split(6) == [both]


@pytest.mark.parametrize(
    ("kind", "variants"),
    [("dqn", []), ("dqn", ["dueling", "c51"]), ("dqn", ["recurrent"]), ("ppo", [])],
)
def test_bfloat16_is_of_body_and_hidden_layer_alone(kind, variants):
    """Values are float32 and near those of float32, and so is the gradient."""
    made, gradients = {}, {}
    frames = torch.randint(0, 256, (8, 4, 84, 84), generator=torch.Generator().manual_seed(1))
    for precision in ("float32", "bfloat16"):
        settings = {"kind": kind, "variants": variants, "precision": precision, "hidden": 64}
        settings |= {"num_envs": 8, "validate_every": 1024, "steps": 1024} if kind == "ppo" else {}
        learner = build(Agent.model_validate(settings), shape=(84, 84))
        found = learner.network(frames.to(torch.uint8))
        made[precision] = found[0] if isinstance(found, tuple) else found
        made[precision].square().sum().backward()
        gradients[precision] = learner.network.body[0].weight.grad
    assert made["bfloat16"].dtype == gradients["bfloat16"].dtype == torch.float32
    scale = made["float32"].abs().max()
    assert 0 < (made["float32"] - made["bfloat16"]).abs().max() < 0.02 * scale
    apart = (gradients["float32"] - gradients["bfloat16"]).norm()
    assert 0 < apart < 0.1 * gradients["float32"].norm()
