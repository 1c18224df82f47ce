"""Agents: playing without a network, DQN and PPO against plain scripts."""

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from speed import limits
from speed.baselines import dqn, ppo
from speed.measure import Bench, Row, interleaved, row, script
from workflow_src import devices
from workflow_src.agents import priorities
from workflow_src.agents.progress import Line
from workflow_src.agents.train import Files, Training
from workflow_src.config.agents import Agent
from workflow_src.config.run import defaults

GAME = "pong"


def acting(game: str, steps: int) -> float:
    """Steps a second of one of our environments in this process, by processor time."""
    from workflow_src.agents import environment

    agent = Agent()
    protocol = defaults({}).agent_protocols[agent.protocol]
    world = environment.make(agent.environment, protocol, game=game, training=True)
    out, ram = np.zeros(world.frame_shape, np.uint8), np.zeros(128, np.uint8)
    world.new_game(np.random.default_rng(0), out)
    actions = np.random.default_rng(1).integers(world.num_actions, size=steps).tolist()
    start = time.process_time()
    for action in actions:
        _, end = world.step(action, out)
        world.ram(ram)
        if end > 1:
            world.next_game(out)
    return steps / (time.process_time() - start)


def vector_env(game: str, steps: int, envs: int = 8) -> float:
    """Steps a second of ale-py's own vector environment on one thread, by processor time."""
    from ale_py.vector_env import AtariVectorEnv

    from workflow_src.ari.games import rom_name

    made = AtariVectorEnv(rom_name(game), num_envs=envs, num_threads=1)
    made.reset(seed=0)
    actions = np.random.default_rng(1).integers(
        made.single_action_space.n, size=(steps // envs, envs)
    )
    start = time.process_time()
    for some in actions:
        made.step(some)
    taken = time.process_time() - start
    made.close()
    return steps / taken


def bare(game: str, steps: int) -> float:
    """Steps a second of the bare emulator: four frames each."""
    return steps / limits.play_bare(game, steps, 0)


def learning(
    game: str, steps: int, threads: int, change: dict | None = None, device: str = "cpu"
) -> float:
    """Steps a second of playing and learning together, as the loop does both."""
    settings = {"num_envs": 8, "learn_start": 2000, "memory": {"size": 20_000}, "threads": threads}
    settings |= {"optimizer": {"kind": "adam", "lr": 1e-4, "eps": 1e-8, "reduction": "mean"}}
    settings |= {"epsilon": {"start": 0.05, "end": 0.05}, "delta_clip": None} | (change or {})
    return _timed(game, settings, settings["learn_start"], steps, device)


def learning_ppo(game: str, updates: int, threads: int, precision: str = "float32") -> float:
    """Steps a second of PPO's rollouts and updates, with the settings of the preset."""
    settings = {"preset": "ppo", "threads": threads, "precision": precision}
    return _timed(game, settings, 0, updates * 8 * 128, "cpu")


def _timed(game: str, settings: dict, warm: int, steps: int, device: str) -> float:
    """Steps a second after the first ``warm`` steps."""
    settings = settings | {"validate_every": warm + steps, "steps": warm + steps}
    row, clock = Agent.model_validate(settings), Clock(warm)
    switches = defaults({}).agent_protocols[row.protocol]
    files = Files(Path(), Path(), {}, "")  # nothing is written
    with (
        devices.acquire(device, row.threads) as place,
        Training(row, switches, game, 0, "bench", place, None, files, clock) as training,
    ):
        if not warm:
            clock.began = time.perf_counter()
        training.learn(0)  # ends with the loss on the processor, so with a wait for the device
        return steps / (time.perf_counter() - clock.began)


def drawing(kind: str, size: int, updates: int) -> float:
    """Seconds in which 32 of ``size`` transitions are drawn by priority, and get new ones."""
    made, rng = priorities.build(size, kind=kind, alpha=0.6), np.random.default_rng(0)
    made.add(np.arange(size))
    for slots in np.arange(size).reshape(-1, 100):
        made.update(slots, rng.random(100))
    deltas = rng.random((updates, 32))
    start = time.perf_counter()
    for some in deltas:
        slots, _ = made.sample(32, rng)
        made.update(slots, some)
    return (time.perf_counter() - start) / updates


class Clock(Line):
    """Notes when learning begins."""

    def __init__(self, at: int):
        super().__init__("bench", at, shown=False)
        self._from, self.began = at, 0.0

    def at(self, step: int) -> None:
        """A step was played."""
        if step == self._from:
            self.began = time.perf_counter()


def rows(at: Bench) -> Iterator[Row]:
    """Playing and learning, on Pong."""
    played = at.size(12_000, 80)
    sides = {
        "ours": partial(acting, GAME, played),
        "baseline": partial(vector_env, GAME, played),
        "limit": partial(bare, GAME, played),
    }
    yield row("agents: play", "steps/s", interleaved(at.rounds, sides))
    steps = at.size(2_000, 64)
    sides = {
        "ours": partial(learning, GAME, steps, at.threads),
        "baseline": partial(dqn.learn, GAME, steps, at.threads),
    }
    sides["reduced"] = partial(learning, GAME, steps, at.threads, {"precision": "bfloat16"})
    found = interleaved(at.rounds, sides)
    learned = row("agents: DQN, float32", "steps/s", found)
    yield learned
    yield row("agents: DQN, bfloat16", "steps/s", found | {"ours": found["reduced"]})
    for kind in ("proportional", "rank"):
        taken = drawing(kind, at.size(1_000_000, 1000), at.size(2000, 10))
        # Of an update and of the steps that are played for it.
        share = 100 * taken * learned.ours / Agent().learn_every
        yield Row(f"agents: {kind} priorities", "% of an update", share)
    updates = at.size(2, 1)
    for precision in ("float32", "bfloat16"):
        sides = {
            "ours": partial(learning_ppo, GAME, updates, at.threads, precision),
            "baseline": partial(ppo.learn, GAME, updates, at.threads),
        }
        yield row(f"agents: PPO, {precision}", "steps/s", interleaved(at.rounds, sides))


if __name__ == "__main__":
    script(rows)
