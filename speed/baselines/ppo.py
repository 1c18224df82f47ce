"""PPO as a plain script of one file: eight environments one after another, an update a rollout.

Has the shape of the single-file scripts that people start from: gymnasium's wrappers and its
synchronous vector environment, float32 throughout, a forward pass for each use of a value. Frames
are 84x84, four in a stack, and settings are those of the preset ``ppo``, as ours.
"""

import time

import gymnasium as gym
import numpy as np
import torch
from ale_py import ALEInterface, LoggerMode
from gymnasium.wrappers import AtariPreprocessing, FrameStackObservation
from torch import nn

from workflow_src.ari import gym_id

ENVS, HORIZON, EPOCHS, MINIBATCHES = 8, 128, 4, 4
GAMMA, GAE, CLIP, ENTROPY, VALUE, NORM = 0.99, 0.95, 0.1, 0.01, 0.5, 0.5


class Network(nn.Module):
    """Logits (N, actions) and values (N,) of stacks (N, 4, 84, 84) of bytes."""

    def __init__(self, actions: int):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(4, 32, 8, stride=4),
            nn.ReLU(),
            nn.Conv2d(32, 64, 4, stride=2),
            nn.ReLU(),
            nn.Conv2d(64, 64, 3, stride=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(3136, 512),
            nn.ReLU(),
        )
        self.actor, self.critic = nn.Linear(512, actions), nn.Linear(512, 1)

    def forward(self, stacks: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits and values of bytes, which become fractions of one."""
        found = self.body(stacks / 255.0)
        return self.actor(found), self.critic(found)[:, 0]


def _make(game: str) -> gym.Env:
    return FrameStackObservation(AtariPreprocessing(gym.make(gym_id(game)), frame_skip=4), 4)


def learn(game: str, updates: int, threads: int) -> float:
    """Steps a second of ``updates`` rollouts and what is learned from them."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    ALEInterface.setLoggerMode(LoggerMode.Error)
    envs = gym.vector.SyncVectorEnv([lambda: _make(game)] * ENVS)
    network = Network(int(envs.single_action_space.n))
    optimizer = torch.optim.Adam(network.parameters(), lr=2.5e-4, eps=1e-5)
    seen = torch.zeros(HORIZON, ENVS, 4, 84, 84, dtype=torch.uint8)
    acted = torch.zeros(HORIZON, ENVS, dtype=torch.long)
    chosen, rewards, over, values = torch.zeros(4, HORIZON, ENVS)
    observation, _ = envs.reset(seed=0)
    ended = torch.zeros(ENVS)
    start = time.perf_counter()
    for _ in range(updates):
        for t in range(HORIZON):
            seen[t], over[t] = torch.as_tensor(observation), ended
            with torch.no_grad():
                logits, values[t] = network(seen[t])
            drawn = torch.distributions.Categorical(logits=logits)
            acted[t] = drawn.sample()
            chosen[t] = drawn.log_prob(acted[t])
            observation, reward, done, cut, _ = envs.step(acted[t].numpy())
            rewards[t] = torch.as_tensor(np.sign(reward))
            ended = torch.as_tensor(done | cut, dtype=torch.float32)
        with torch.no_grad():
            following = network(torch.as_tensor(observation))[1]
        advantage, back = torch.zeros(HORIZON, ENVS), torch.zeros(ENVS)
        for t in reversed(range(HORIZON)):
            goes_on = 1 - (ended if t == HORIZON - 1 else over[t + 1])
            after = following if t == HORIZON - 1 else values[t + 1]
            back = rewards[t] + GAMMA * after * goes_on - values[t] + GAMMA * GAE * goes_on * back
            advantage[t] = back
        flat = [one.flatten(0, 1) for one in (seen, acted, chosen, advantage, values)]
        for _ in range(EPOCHS):
            for rows in torch.randperm(HORIZON * ENVS).chunk(MINIBATCHES):
                stacks, action, before, gain, value_before = (one[rows] for one in flat)
                logits, value = network(stacks)
                drawn = torch.distributions.Categorical(logits=logits)
                ratio = (drawn.log_prob(action) - before).exp()
                goal = gain + value_before
                gain = (gain - gain.mean()) / (gain.std() + 1e-8)
                policy = torch.max(-gain * ratio, -gain * ratio.clamp(1 - CLIP, 1 + CLIP)).mean()
                near = value_before + (value - value_before).clamp(-CLIP, CLIP)
                error = torch.max((value - goal) ** 2, (near - goal) ** 2).mean() / 2
                loss = policy - ENTROPY * drawn.entropy().mean() + VALUE * error
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(network.parameters(), NORM)
                optimizer.step()
    taken = time.perf_counter() - start
    envs.close()
    return updates * HORIZON * ENVS / taken
