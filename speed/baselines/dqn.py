"""DQN as a plain script of one file: one environment, stacks in memory, an update every 4 steps.

Has the shape of the single-file scripts that people start from: gymnasium's wrappers, a replay
buffer of whole stacks and their successors, plain Adam, a forward pass for each value. Frames are
84x84, four in a stack, as ours.
"""

import time

import gymnasium as gym
import numpy as np
import torch
import torch.nn.functional as F
from ale_py import ALEInterface, LoggerMode
from gymnasium.wrappers import AtariPreprocessing, FrameStackObservation
from torch import nn

from workflow_src.ari import gym_id


class Network(nn.Module):
    """Action values (N, actions) of stacks (N, 4, 84, 84) of bytes."""

    def __init__(self, actions: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(4, 32, 8, stride=4),
            nn.ReLU(),
            nn.Conv2d(32, 64, 4, stride=2),
            nn.ReLU(),
            nn.Conv2d(64, 64, 3, stride=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(3136, 512),
            nn.ReLU(),
            nn.Linear(512, actions),
        )

    def forward(self, stacks: torch.Tensor) -> torch.Tensor:
        """Values of bytes, which become fractions of one."""
        return self.layers(stacks / 255.0)


def learn(game: str, steps: int, threads: int, warm: int = 200, size: int = 4000) -> float:
    """Steps a second of playing and learning, after ``warm`` random steps."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    ALEInterface.setLoggerMode(LoggerMode.Error)
    rng = np.random.default_rng(0)
    env = FrameStackObservation(AtariPreprocessing(gym.make(gym_id(game)), frame_skip=4), 4)
    stack, _ = env.reset(seed=0)
    actions = int(env.action_space.n)
    network, target = Network(actions), Network(actions)
    target.load_state_dict(network.state_dict())
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4)
    now, then = np.zeros((2, size, 4, 84, 84), np.uint8)
    acted, rewards, ended = np.zeros(size, np.int64), np.zeros(size, np.float32), np.zeros(size)
    start = 0.0
    for step in range(warm + steps):
        if step == warm:
            start = time.perf_counter()
        if step < warm or rng.random() < 0.05:
            action = int(rng.integers(actions))
        else:
            with torch.no_grad():
                action = int(network(torch.as_tensor(stack[None])).argmax(1))
        after, reward, over, cut, _ = env.step(action)
        at = step % size
        now[at], then[at], acted[at] = stack, after, action
        rewards[at], ended[at] = np.sign(reward), over
        stack = env.reset()[0] if over or cut else after
        if step >= warm and step % 4 == 0:
            rows = rng.integers(0, min(step, size), 32)
            with torch.no_grad():
                best = target(torch.as_tensor(then[rows])).max(1).values
                goal = torch.as_tensor(rewards[rows]) + 0.99 * best * torch.as_tensor(
                    1 - ended[rows], dtype=torch.float32
                )
            values = network(torch.as_tensor(now[rows]))
            loss = F.mse_loss(goal, values.gather(1, torch.as_tensor(acted[rows])[:, None])[:, 0])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    env.close()
    return steps / (time.perf_counter() - start)
