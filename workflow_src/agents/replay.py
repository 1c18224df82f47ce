"""Learning by replay: play a step, store it, learn from what the memory draws."""

from __future__ import annotations

import math
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from workflow_src import graphs
from workflow_src.agents import learner as learners
from workflow_src.agents import play
from workflow_src.agents.batch import Batch
from workflow_src.agents.loop import Loop, Room

if TYPE_CHECKING:
    from workflow_src.agents.learners.dqn import DQN

# Transitions on which the mean value and error are followed, as in Kaixhin/Atari.
FOLLOWED = 500


class Replay(Loop):
    """The loop of DQN and its variants."""

    def __init__(self, room: Room, learner: DQN):
        """`UserError` when memory is short."""
        self._room, self._learner = room, learner
        vector = room.vector
        self._memory = learners.memory(
            room.row,
            learner,
            frame_shape=vector.frame_shape,
            dtype=vector.dtype,
            device=room.device,
        )
        self._learn = graphs.Recorded(self._learn_from, room.device, room.row.cuda_graphs)
        self._followed: dict[str, torch.Tensor] = {}  # a `Batch`

    def learn(self, epoch: int) -> dict[str, Any]:
        """Play and learn for an epoch; its row of the history."""
        room, memory, learner = self._room, self._memory, self._learner
        row, vector, n = room.row, room.vector, room.row.num_envs
        explore, replay, heads = (room.rng(epoch, what) for what in ("act", "replay", "masks"))
        steps = room.begin(epoch)
        actor = learner.actor(n, evaluation=False)
        scores: list[float] = []
        losses, updates = torch.zeros((), device=room.device), 0
        drawn: Batch | None = None
        for step in steps:
            actions = play.choose(actor, vector, row.epsilon.at(step), explore)
            frames, first = vector.observation[:, -1].copy(), vector.first.copy()
            # The environments play while the network learns from the steps before.
            vector.send(actions)
            if step >= row.learn_start:
                self._follow(epoch)
                if due := self._due(step):
                    losses += self._update(step, due, drawn, replay)
                    updates += due
                # The next batches are drawn while a GPU still learns from these.
                due = self._due(step + n) if step + n < steps.stop else 0
                drawn = self._draw(due, replay) if due else None
            if step % row.target_every == 0:
                learner.sync()
            vector.receive()
            scores += [score for _, score, _, _ in vector.finished]
            masks = learner.draw_masks(n, heads)
            memory.add(frames, actions, vector.reward, vector.end, first, masks)
            room.line.at(step + n)
        memory.cut()
        return room.summary(epoch, scores, row.epsilon.at(steps.stop), updates, losses)

    def _due(self, done: int) -> int:
        """How many updates are due after so many steps."""
        n, every = self._room.row.num_envs, self._room.row.learn_every
        return n // every if n >= every else int(done % every == 0)

    def _draw(self, due: int, rng: np.random.Generator) -> Batch | None:
        """``due`` batches in one, ahead of their update; None where errors decide what is drawn."""
        if self._learner.prioritised:
            return None
        return self._memory.sample(due * self._room.row.batch_size, rng)

    def _update(
        self, done: int, due: int, drawn: Batch | None, rng: np.random.Generator
    ) -> torch.Tensor:
        """Learn from ``due`` batches; the sum of their losses, which stays on the device."""
        row, memory = self._room.row, self._memory
        if drawn := drawn or self._draw(due, rng):
            return self._learn(*drawn.tensors().values())[0]
        share = (done - row.learn_start) / max(row.steps - row.learn_start, 1)
        beta = self._learner.beta(share)
        total = torch.zeros((), device=self._room.device)
        for _ in range(due):
            # What is drawn depends on the errors of the batch before.
            batch = memory.sample(row.batch_size, rng, beta)
            loss, delta = self._learn(*batch.tensors().values())
            memory.update(batch.slot, delta)
            total += loss
        return total

    def _learn_from(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """An update from each batch of those that a `Batch` holds; losses summed, and errors."""
        names = [field.name for field in fields(Batch) if field.name != "slot"]
        batch = Batch.from_tensors(dict(zip(names, tensors, strict=False)), self._room.device)
        learned = [self._learner.learn(part) for part in batch.split(self._room.row.batch_size)]
        losses = torch.stack([one.loss for one in learned])
        return losses.sum(), torch.cat([one.delta for one in learned])

    def _follow(self, epoch: int) -> None:
        """Set transitions aside when learning begins."""
        if not self._followed:
            rng = self._room.rng(epoch, "followed")
            batch = self._memory.sample(min(FOLLOWED, len(self._memory) // 2), rng, None)
            self._followed = {name: one.cpu().clone() for name, one in batch.tensors().items()}

    def diagnose(self) -> dict[str, float]:
        """The mean value and absolute error on the transitions that are followed."""
        value = delta = math.nan
        if self._followed:
            batch = Batch.from_tensors(self._followed, self._room.device)
            value, delta = map(float, self._learner.diagnose(batch))
        return {"value": value, "delta": delta}

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the memory's chunks that changed, and return the rest."""
        return {"memory": self._memory.save(folder), "followed": self._followed}

    def prune(self, folder: Path, state: dict[str, Any]) -> None:
        """Delete old chunks."""
        self._memory.prune(folder, state["memory"])

    def load(self, folder: Path, state: dict[str, Any]) -> bool:
        """Go on from a state; False, and nothing is changed, if its files are not all whole."""
        if not self._memory.load(folder, state["memory"]):
            return False
        self._followed = state["followed"]
        return True
