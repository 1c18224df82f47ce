"""``get_episodes`` with the keywords of 2019."""

from typing import Any

import numpy as np
import torch

from atariari.benchmark.ram_annotations import LABEL_SET
from workflow_src import benchmark
from workflow_src.errors import UserError


def get_episodes(
    env_name: str,
    steps: int = 50000,
    seed: int = 42,
    num_processes: int = 8,
    num_frame_stack: int = 1,
    downsample: bool = False,
    color: bool = False,
    entropy_threshold: float = 0.6,
    collect_mode: str = "random_agent",
    train_mode: str = "probe",
    checkpoint_index: int = -1,
    min_episode_length: int = 64,
    **kwargs: Any,
) -> tuple[list, ...]:
    """Play a game and split its frames, as `workflow_src.benchmark.get_episodes`.

    ``num_processes``: emulators. ``num_frame_stack``: frames in the axis of channels;
    with ``color`` three channels for each.
    ``downsample``: frames of 84x84, averaged; the labels are meant for full frames.
    ``min_episode_length``: episodes must be longer. ``train_mode``: probe, train_encoder or
    dry_run. Labels of an episode can be read as a dictionary of arrays over time, or frame by
    frame. Further keywords are those of today's function. `UserError` for the agents of 2019,
    which are no longer there.
    """
    if collect_mode == "pretrained_ppo" or checkpoint_index != -1:
        raise UserError(
            "the trained agents of 2019 are no longer to be had: train one and let it play with "
            "`atariari init my-run --preset ppo`"
        )
    episodes = benchmark.get_episodes(
        env_name,
        steps,
        collect_mode,
        train_mode=train_mode,  # type: ignore[arg-type] # checked there
        seed=seed,
        num_envs=num_processes,
        frame_stack=num_frame_stack,
        color=color,
        min_entropy=entropy_threshold,
        min_episode_frames=min_episode_length + 1,
        **{"label_set": LABEL_SET} | kwargs,
    )
    if not downsample:
        return episodes
    return tuple(
        [_small(one) if isinstance(one, torch.Tensor) else one for one in part] for part in episodes
    )


def _small(episode: torch.Tensor) -> torch.Tensor:
    """An episode (T, C, 210, 160) in 84x84, by areas."""
    import cv2

    small = [
        [cv2.resize(channel, (84, 84), interpolation=cv2.INTER_AREA) for channel in frame]
        for frame in episode.numpy()
    ]
    return torch.from_numpy(np.array(small))
