"""The step that judges a trained agent: weights -> a row for each game that it played."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import torch

from workflow_src import artifacts, devices, seeds
from workflow_src.agents import learner as learners
from workflow_src.agents import play, weights
from workflow_src.agents.encoded import Frozen, seen_through
from workflow_src.agents.train import EVALUATED
from workflow_src.agents.vector import Vector
from workflow_src.config.agents import Agent, AgentProtocol
from workflow_src.csv_files import write_csv

COLUMNS = [
    "agent",
    "game",
    "seed",
    "weights",
    "step",
    "protocol",
    "sticky",
    "epsilon",
    "number",
    "steps",
    "frames",
    "finished",
    "score",
]


def evaluate(
    *,
    game: str,
    agent: str,
    seed: int,
    row: Agent,
    switches: AgentProtocol,
    files: Mapping[str, Path],
    out: Path,
    frozen: Frozen | None = None,
    workers: int | None = None,
    device: str = "auto",
) -> None:
    """Play with each file of weights and write a CSV with a row a game.

    ``files``: {name of the weights: file}; ``frozen``: the encoder of an agent that has one. The
    score is the sum of a game's raw rewards; a game that was cut off has finished 0. The generators
    follow from the seed and the name of the weights, and are others than those of training.
    """
    artifacts.check_writable(out)
    rows: list[dict] = []
    with (
        devices.acquire(device, row.threads) as place,
        Vector(
            row.environment,
            switches,
            game=game,
            num_envs=EVALUATED,
            workers=workers,
            history=row.history if frozen is None else frozen.row.frame_stack,
            training=False,
        ) as played,
    ):
        vector = seen_through(frozen, played, game, row.history, place)
        learner = learners.build(
            row,
            actions=vector.num_actions,
            frame_shape=vector.frame_shape,
            generator=torch.Generator().manual_seed(0),  # the weights are read
            device=place,
        )
        for name, file in files.items():
            header = weights.load(file, learner.network, {"agent": agent, "game": game})
            names = (game, "evaluations", agent, name)
            games = play.evaluate(
                learner.actor(EVALUATED, evaluation=True),
                vector,
                row.validate_steps,
                switches.epsilon,
                [seeds.generator(seed, *names, i) for i in range(EVALUATED)],
                seeds.generator(seed, *names),
            )
            which = {"agent": agent, "game": game, "seed": seed, "weights": name}
            which |= {"step": header["step"], "protocol": row.protocol}
            which |= {"sticky": switches.sticky, "epsilon": switches.epsilon}
            rows += [which | {"number": i} | vars(one) for i, one in enumerate(games)]
    table = pd.DataFrame(rows, columns=COLUMNS).astype({"finished": int})
    write_csv(out, table)
