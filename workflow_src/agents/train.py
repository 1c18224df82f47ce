"""The step that trains an agent: an environment -> weights, and a history of its epochs.

An epoch is ``validate_every`` steps of play and learning, then an evaluation. Each epoch begins
with new games, as in Kaixhin/Atari after every validation, and all of its generators follow from
the seed and its number. So no emulator has to be saved: a training that was killed goes on from its
last epoch and ends with the same bytes.
"""

import hashlib
import json
import math
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from workflow_src import artifacts, checkpoints, devices, provenance, seeds
from workflow_src.agents import learner as learners
from workflow_src.agents import play, weights
from workflow_src.agents.base import Learner
from workflow_src.agents.encoded import Frozen, seen_through
from workflow_src.agents.loop import Room
from workflow_src.agents.progress import Line
from workflow_src.agents.vector import Vector
from workflow_src.config.agents import Agent, AgentProtocol
from workflow_src.csv_files import write_csv

# Evaluations play several games at a time, each in an environment of its own.
EVALUATED = 8


@dataclass
class State:
    """All that changes while training, apart from the learner and its loop."""

    epoch: int = 0  # the next one
    history: list[dict[str, Any]] = field(default_factory=list)
    best_score: float = -math.inf


def train(
    *,
    game: str,
    agent: str,
    seed: int,
    row: Agent,
    switches: AgentProtocol,
    out: Path,
    history: Path,
    working: Path,
    frozen: Frozen | None = None,
    workers: int | None = None,
    device: str = "auto",
    trainings_per_gpu: int = 1,
    progress: bool = True,
) -> None:
    """Train one agent on one game; write its weights to the folder ``out`` and its ``history``.

    ``out`` gets a safetensors file for each of ``row.kept``: the last and the best weights, and
    those of the epochs that ``row.checkpoints`` names. ``history`` is a CSV with a row an epoch,
    written after each. ``working``: a folder for the state to resume from, removed at the end.
    ``frozen``: the encoder that an agent with ``encoder`` sees through.
    ``workers``: processes that play, by default one a core; any number gives the same bytes.
    Memory: see `agents.storage`. `UserError` when the environment or the network does not fit the
    row, when memory is short, and when the loss is no number.
    """
    artifacts.check_writable(history, working / "state", *(_file(out, name) for name in row.kept))
    with devices.acquire(device, row.threads, trainings_per_gpu) as place:
        header = {"agent": agent, "game": game, "seed": seed, **identity(row, switches, frozen)}
        settled = [header, torch.__version__, place.type]
        fingerprint = hashlib.sha256(json.dumps(settled, sort_keys=True).encode()).hexdigest()
        line = Line(f"{agent} on {game}, seed {seed}", row.steps, shown=progress)
        files = Files(working, history, header, fingerprint)
        with Training(
            row, switches, game, seed, agent, place, workers, files, line, frozen
        ) as training:
            training.run()
    for name in row.kept:
        with artifacts.atomic(_file(out, name)) as temporary:
            shutil.copyfile(_file(working, name), temporary)
    shutil.rmtree(working, ignore_errors=True)


def identity(row: Agent, switches: AgentProtocol, frozen: Frozen | None = None) -> dict[str, str]:
    """What decides the weights of an agent, besides its names: checksums of settings and code."""
    settings = json.dumps([row.model_dump(), switches.model_dump()], sort_keys=True)
    files = [hashlib.sha256(file.read_bytes()).hexdigest() for file in row.files.values()]
    files += [frozen.sha256()] if frozen is not None else []
    return {
        "settings": hashlib.sha256(settings.encode()).hexdigest(),
        "code": provenance.digest("agents.train", *provenance.of_agent(row)),
        "files": " ".join(files),
    }


def _file(folder: Path, name: str) -> Path:
    return folder / f"{name}.safetensors"


@dataclass(frozen=True)
class Files:
    """Where a training keeps its state, and what the headers of its weights say."""

    working: Path
    history: Path
    header: Mapping[str, Any]
    fingerprint: str


class Training:
    """A training in progress: a context that ends its environments' processes."""

    def __init__(
        self,
        row: Agent,
        switches: AgentProtocol,
        game: str,
        seed: int,
        agent: str,
        device: torch.device,
        workers: int | None,
        files: Files,
        line: Line,
        frozen: Frozen | None = None,
    ):
        self._row, self._switches = row, switches
        self._names, self._seed = (game, "agents", agent), seed
        self._files, self._line = files, line
        # Forked before anything else is made, so that the processes hold nothing else.
        stack = row.history if frozen is None else frozen.row.frame_stack
        vectors = [
            Vector(
                row.environment,
                switches,
                game=game,
                num_envs=count,
                workers=workers,
                history=stack,
                training=training,
            )
            for count, training in ((row.num_envs, True), (EVALUATED, False))
        ]
        self._vector, self._evaluated = (
            seen_through(frozen, vector, game, row.history, device) for vector in vectors
        )
        world = self._vector
        self._learner: Learner = learners.build(
            row,
            actions=world.num_actions,
            frame_shape=world.frame_shape,
            generator=torch.Generator().manual_seed(seeds.derive(seed, *self._names, "weights")),
            device=device,
        )
        room = Room(row, f"{agent} on {game}", world, device, self._rng, line)
        self._loop = learners.loop(room, self._learner)
        self._state = State()

    def __enter__(self) -> "Training":
        return self

    def __exit__(self, *_: object) -> None:
        self._vector.close()
        self._evaluated.close()

    def run(self) -> None:
        """Train to the end, from the last epoch that was saved."""
        self._resume()
        while self._state.epoch < self._row.epochs:
            epoch = self._state.epoch
            self._line.begin(epoch, self._row.epochs, epoch * self._row.validate_every)
            row = self.learn(epoch) | self.judge(epoch)
            self._state.history.append(row)
            self._state.epoch += 1
            self._keep(epoch, row["score"])
            self._save()
            self._line.end(row)
        self._write_history()

    def _rng(self, epoch: int, *what: str | int) -> np.random.Generator:
        return seeds.generator(self._seed, *self._names, "epoch", epoch, *what)

    def learn(self, epoch: int) -> dict[str, Any]:
        """Play and learn for an epoch; its row of the history."""
        return self._loop.learn(epoch)

    def judge(self, epoch: int) -> dict[str, Any]:
        """Evaluate after an epoch; generators of its own, so that it changes nothing."""
        games = play.evaluate(
            self._learner.actor(EVALUATED, evaluation=True),
            self._evaluated,
            self._row.validate_steps,
            self._switches.epsilon,
            [self._rng(epoch, "evaluation", i) for i in range(EVALUATED)],
            self._rng(epoch, "evaluation"),
        )
        return {
            **self._loop.diagnose(),
            "score": play.mean_score(games),
            "evaluated_games": sum(game.finished for game in games),
        }

    def _keep(self, epoch: int, score: float) -> None:
        """Write the weights of an epoch that are to be kept: the same bytes if it is repeated."""
        step = (epoch + 1) * self._row.validate_every
        names = [self._row.step_name(step)] if step in self._row.kept_steps else []
        if epoch + 1 == self._row.epochs:
            names.append("last")
        # The first epoch is the best so far, also where no score can be had.
        if epoch == 0 or score > self._state.best_score:
            self._state.best_score = score if score == score else -math.inf
            names.append("best")
        header = {**self._files.header, "step": step}
        for name in names:
            weights.save(_file(self._files.working, name), self._learner.weights(), header)

    def _save(self) -> None:
        """Save the state: whole at any moment, since the memory's old files stay until the end."""
        folder = self._files.working / "memory"
        loop = self._loop.save(folder)
        content = {"learner": self._learner.state_dict(), "loop": loop, **vars(self._state)}
        checkpoints.save(self._files.working / "state", self._files.fingerprint, content)
        self._loop.prune(folder, loop)
        self._write_history()

    def _resume(self) -> None:
        content = checkpoints.load(self._files.working / "state", self._files.fingerprint)
        folder = self._files.working / "memory"
        if content is None or not self._loop.load(folder, content.pop("loop")):
            # Without a file, or with a damaged one: from the start.
            shutil.rmtree(self._files.working, ignore_errors=True)
            return
        self._learner.load_state_dict(content.pop("learner"))
        self._state = State(**content)

    def _write_history(self) -> None:
        write_csv(self._files.history, pd.DataFrame(self._state.history))
