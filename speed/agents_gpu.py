"""How fast agents learn on a GPU, and whether twice gives the same bytes: three tables.

Every preset learns for a few steps, twice with CUDA graphs and once without. DQN's speed is of
playing and learning together, with an update of 32 transitions every four steps. `--device cpu`
runs the same code at a tiny scale.
"""

import functools
import hashlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import numpy as np
import pandas as pd
import torch

from speed.agents import GAME, Clock, learning
from speed.bench import check_device, hardware
from workflow_src import devices, graphs
from workflow_src.agents import learner as learners
from workflow_src.agents.learners.dqn import DQN
from workflow_src.agents.train import Files, Training
from workflow_src.agents.vector import Vector
from workflow_src.config.agents import Agent, presets
from workflow_src.config.run import defaults

SETTINGS = {
    "learn_start": 1600,
    "target_every": 8000,
    "memory": {"size": 64_000},
    "optimizer": {"kind": "adam", "lr": 1e-4, "eps": 1e-8, "reduction": "mean"},
    "delta_clip": None,
}


def learned(preset: str, device: torch.device, steps: int, cuda_graphs: bool) -> dict:
    """A preset's losses and weights after ``steps`` steps, half of them before it learns."""
    named = Agent.model_validate({"preset": preset})
    change = {
        "preset": preset,
        "num_envs": 4,
        "learn_start": steps // 2,
        "learn_every": 4,
        "target_every": 128,
        "memory": {"size": 8192},
        "steps": steps,
        "validate_every": steps,
        "cuda_graphs": cuda_graphs,
        "threads": 1,
    }
    row = Agent.model_validate(change)
    switches = defaults({}).agent_protocols[row.protocol]
    files = Files(Path(), Path(), {}, "")
    game = GAME if named.environment.kind == "atari" else named.environment.kind
    start = time.perf_counter()
    with Training(row, switches, game, 0, preset, device, None, files, Clock(-1)) as training:
        found = training.learn(0)
        digest = hashlib.sha256()
        for name, tensor in sorted(training._learner.weights().items()):
            digest.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
    seconds = time.perf_counter() - start
    return {"loss": found["loss"], "s": seconds, "sha256": digest.hexdigest()[:12]}


def same_bytes(device: torch.device, steps: int) -> Iterator[dict]:
    """Every preset, twice with graphs and once without."""
    for preset in presets():
        click.echo(f"learning {preset}", err=True)
        try:
            runs = [learned(preset, device, steps, graphs) for graphs in (True, True, False)]
        except Exception as error:  # what else is measured is not lost
            yield {"preset": preset, "failed": f"{type(error).__name__}: {error}"[:300]}
            continue
        first, again, eager = runs
        yield {
            "preset": preset,
            "loss": first["loss"],
            "twice the same": first["sha256"] == again["sha256"],
            "same as without graphs": first["sha256"] == eager["sha256"],
            "s with": again["s"],
            "s without": eager["s"],
        }


def microseconds(device: torch.device, run: Callable[[], object], times: int) -> float:
    """The median of five rounds, with a wait for the device at their ends only."""
    taken = []
    for _ in range(6):
        start = time.perf_counter()
        for _ in range(times):
            run()
        if device.type == "cuda":
            torch.cuda.synchronize()
        taken.append((time.perf_counter() - start) / times * 1e6)
    return float(np.median(taken[1:]))


def parts(device: torch.device, envs: int, times: int) -> Iterator[dict]:
    """What the parts of a step take: of ``envs`` environments, and of an update from 32."""
    row = Agent.model_validate(SETTINGS | {"num_envs": envs, "learn_every": 4})
    switches = defaults({}).agent_protocols[row.protocol]
    rng = np.random.default_rng(0)
    with Vector(
        row.environment, switches, game=GAME, num_envs=envs, history=row.history, training=True
    ) as vector:
        vector.new_games([np.random.default_rng(i) for i in range(envs)])

        def build() -> DQN:
            return learners.build(
                row,
                actions=vector.num_actions,
                frame_shape=vector.frame_shape,
                generator=torch.Generator().manual_seed(0),
                device=device,
            )

        learner = build()
        memory = learners.memory(
            row, learner, frame_shape=vector.frame_shape, dtype=vector.dtype, device=device
        )
        actions = np.zeros(envs, np.int64)

        def add() -> None:
            memory.add(
                vector.observation[:, -1], actions, vector.reward, vector.end, vector.first, None
            )

        def play() -> None:
            vector.step(rng.integers(vector.num_actions, size=envs))

        for _ in range(100):
            play()
            add()
        actor = learner.actor(envs, evaluation=False)
        yield {"part": f"play {envs}", "us": microseconds(device, play, times)}
        yield {"part": f"add {envs}", "us": microseconds(device, add, times)}
        yield {
            "part": f"act {envs}",
            "us": microseconds(
                device, lambda: actor.values(vector.observation, vector.first, rng), times
            ),
        }
        for number in (32, 128):
            yield {
                "part": f"sample {number}",
                "us": microseconds(device, lambda n=number: memory.sample(n, rng), times),
            }
        batch = memory.sample(32, rng)
        for name in ("eager", "graph", "graph, TF32"):
            if "TF32" in name and device.type != "cuda":
                continue
            torch.backends.cudnn.allow_tf32 = "TF32" in name
            torch.backends.cuda.matmul.allow_tf32 = "TF32" in name
            one = build()

            def learn(*tensors: torch.Tensor, one: DQN = one) -> torch.Tensor:
                return one.learn(type(batch)(*tensors, mask=None, slot=batch.slot)).loss

            update = graphs.Recorded(learn, device, "graph" in name)
            tensors = list(batch.tensors().values())
            yield {
                "part": f"update 32, {name}",
                "us": microseconds(device, functools.partial(update, *tensors), times),
            }
            torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False


@click.command()
@click.option("--device", type=click.Choice(["cuda", "cpu"]), default="cuda", show_default=True)
@click.option("--only", type=click.Choice(["parts", "speed", "bytes"]), multiple=True)
def main(device: str, only: tuple[str, ...]) -> None:
    """Measure agents on a GPU; prints tables."""
    check_device(device)
    tiny = device == "cpu"
    chosen = only or ("parts", "speed", "bytes")
    click.echo(hardware())
    if "parts" in chosen:
        with devices.acquire(device, 2) as place:
            click.echo(
                pd.DataFrame(parts(place, 4 if tiny else 16, 3 if tiny else 100)).to_string()
            )
    if "speed" in chosen:
        rows = []
        for envs in (4,) if tiny else (16, 32, 64):
            steps = 64 if tiny else 800 * envs
            change = SETTINGS | {"num_envs": envs, "target_every": 32 * envs}
            change["learn_start"] = 64 if tiny else 1600
            speed = learning(GAME, steps, 2, change, device)
            rows.append({"environments": envs, "steps/s": speed, "updates/s": speed / 4})
        click.echo(pd.DataFrame(rows).to_string(index=False))
    if "bytes" in chosen:
        with devices.acquire(device, 2) as place:
            found = pd.DataFrame(same_bytes(place, 128 if tiny else 512))
        click.echo(found.to_string(index=False))


if __name__ == "__main__":
    main()
