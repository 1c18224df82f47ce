"""Learners by name, with their variants: the class is put together from the row's list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from workflow_src.config.agents import VARIANTS, Agent
from workflow_src.kinds import Registry

if TYPE_CHECKING:
    from workflow_src.agents.learners.dqn import DQN
    from workflow_src.agents.loop import Loop, Room
    from workflow_src.agents.memory import Memory

_LEARNERS: Registry[Any] = Registry(Agent.folder)
_VARIANTS: Registry[Any] = Registry(VARIANTS)
learner, variant = _LEARNERS.register, _VARIANTS.register


def build(
    row: Agent,
    *,
    actions: int,
    frame_shape: tuple[int, ...],
    generator: torch.Generator,
    device: torch.device,
) -> Any:
    """The learner of a row; ``generator`` draws its initial weights.

    The order of the row's variants does not matter. `UserError` when the body does not fit.
    """
    # The name is for tracebacks.
    parts = [_VARIANTS.find(name) for name in sorted(row.variants)]
    made = type(row.kind, (*parts, _LEARNERS.find(row.kind)), {})
    return made(row, actions, tuple(frame_shape), generator, device)


def memory(
    row: Agent,
    of: DQN,
    *,
    frame_shape: tuple[int, ...],
    dtype: np.dtype,
    device: torch.device,
) -> Memory:
    """The memory that a learner needs; `UserError` when it does not fit the machine's."""
    from workflow_src.agents import priorities
    from workflow_src.agents.memory import Memory

    ranked = None
    if of.prioritised:
        ranked = priorities.build(row.memory.size, **row.variant_options("prioritised"))
    return Memory(
        row.memory,
        frame_shape=frame_shape,
        dtype=dtype,
        streams=row.num_envs,
        history=row.history,
        n_step=of.n_step,
        gamma=row.gamma,
        reward_clip=row.reward_clip,
        heads=of.heads if of.heads > 1 else 0,
        priorities=ranked,
        device=device,
    )


def loop(room: Room, of: Any) -> Loop:
    """The loop that a learner learns in."""
    if of.replays:
        from workflow_src.agents.replay import Replay

        return Replay(room, of)
    from workflow_src.agents.rollout import Rollouts

    return Rollouts(room, of)
