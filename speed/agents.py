"""Agents: playing without a network, learning by replay, and the memory's share of a step."""

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from speed import limits
from speed.baselines import dqn as baseline
from speed.measure import Bench, Row, interleaved, row, script
from workflow_src import devices
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
    whole = settings["learn_start"] + steps
    settings |= {"validate_every": whole, "steps": whole}
    row, clock = Agent.model_validate(settings), Clock(settings["learn_start"])
    switches = defaults({}).agent_protocols[row.protocol]
    files = Files(Path(), Path(), {}, "")  # nothing is written
    with (
        devices.acquire(device, threads) as place,
        Training(row, switches, game, 0, "bench", place, None, files, clock) as training,
    ):
        training.learn(0)  # ends with the loss on the processor, so with a wait for the device
        return steps / (time.perf_counter() - clock.began)


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
        "baseline": partial(baseline.learn, GAME, steps, at.threads),
    }
    yield row("agents: DQN", "steps/s", interleaved(at.rounds, sides))


if __name__ == "__main__":
    script(rows)
