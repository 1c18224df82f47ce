"""The step that records a trained agent at play: what is on the screen, what it does, and why."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from workflow_src import artifacts, seeds
from workflow_src import saliency as gradients
from workflow_src.agents import environment, weights
from workflow_src.agents.environments.atari import Atari
from workflow_src.agents.live import Live, learner_of
from workflow_src.config.agents import Agent, AgentEnvironment, AgentProtocol
from workflow_src.errors import UserError

KIND = "recording"
RAM_BYTES = 128
# Of sound in an emulator frame, a sixtieth of a second; silence is at 128.
SAMPLES, SILENCE = 512, 128


class Ear:
    """An emulator whose sound is kept, frame by frame."""

    def __init__(self, ale: Any):
        self._ale, self._heard = ale, []  # type: ignore[var-annotated]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ale, name)

    def act(self, action: Any) -> int:
        """Play an emulator frame."""
        reward = self._ale.act(action)
        self._heard.append(self._ale.getAudio().copy())
        return reward

    def take(self, frames: int) -> np.ndarray:
        """The sound of the first ``frames`` since the last call, silence where there were fewer."""
        found = np.full((frames, SAMPLES), SILENCE, np.uint8)
        for place, one in zip(found, self._heard, strict=False):
            place[:] = one
        self._heard.clear()
        return found.ravel()


class Heard(Atari):
    """A game whose sound is kept; it plays as it does without."""

    def __init__(self, settings: AgentEnvironment, protocol: AgentProtocol, game: str):
        super().__init__(settings, protocol, game, training=False)
        self.ear = Ear(self.ale)
        self.ale = self.ear  # type: ignore[assignment]

    def _prepare(self) -> None:
        self.ale.setBool("sound_obs", True)


def record(
    *,
    game: str,
    agent: str,
    seed: int,
    row: Agent,
    switches: AgentProtocol,
    weights_file: Path,
    steps: int,
    mode: str,
    out: Path,
) -> None:
    """Play ``steps`` steps from the start of a game, with the protocol's share of random actions.

    The file has, for each step, the screen before the action (``screen``, indices into
    ``palette``), the ``action``, the ``values`` of all actions (T, actions), or a policy's logits,
    the ``reward`` and the ``end`` that came of it, the ``ram``, and the ``saliency`` of the newest
    frame, of the action's value: uint8, 255 the highest of the recording. Games of the emulator
    have ``sound``, uint8 (T, 512 frame_skip): what is heard while the action is played. Values and
    saliency are of a network
    that sees the observation alone, also where the agent has a memory. On one thread of a
    processor, in float32, so that a GPU changes nothing. `UserError` as of `weights.load`.
    """
    artifacts.check_writable(out)
    torch.set_num_threads(1)
    world: environment.World
    if row.environment.kind == "atari":
        world = Heard(row.environment, switches, game)
    else:
        world = environment.make(row.environment, switches, game=game, training=False)
    try:
        learner = learner_of(row, world)
        header = weights.load(weights_file, learner.network, {"agent": agent, "game": game})
        names = (game, "recordings", agent, weights_file.stem)
        rngs = [seeds.generator(seed, *names, what) for what in ("game", "actions")]
        live = Live(world, learner, switches, *rngs)
        found = _play(live, world, learner, switches.epsilon, steps, mode)
    finally:
        world.close()
    about = {"agent": agent, "game": game, "seed": seed, "weights": weights_file.stem}
    about |= {"step": header["step"], "protocol": row.protocol, "epsilon": switches.epsilon}
    about |= {"meanings": world.meanings, "mode": mode, "has_ram": row.environment.kind == "atari"}
    artifacts.write_arrays(out, KIND, found, about)


def _play(
    live: Live,
    world: environment.World,
    learner: Any,
    epsilon: float,
    steps: int,
    mode: str,
) -> dict[str, np.ndarray]:
    ram = np.zeros(RAM_BYTES, np.uint8)
    screens: list[np.ndarray] = []
    rows: list[tuple[int, float, int]] = []
    seen: list[np.ndarray] = []
    rams: list[np.ndarray] = []
    sounds: list[np.ndarray] = []
    if isinstance(world, Heard):
        world.ear.take(0)
    for _ in range(steps):
        world.ram(ram)
        screens.append(world.screen(live.observation[-1]))
        rams.append(ram.copy())
        seen.append(live.observation.copy())
        rows.append(live.step(epsilon))
        if isinstance(world, Heard):
            sounds.append(world.ear.take(world.frame_skip))
    actions, rewards, ends = (np.array(column) for column in zip(*rows, strict=True))
    palette, screen = _indexed(np.stack(screens))
    observations = torch.from_numpy(np.stack(seen))
    with torch.no_grad():
        values = learner.action_values(observations)
    return {
        **({"sound": np.stack(sounds)} if sounds else {}),
        "palette": palette,
        "screen": screen,
        "action": actions.astype(np.uint8),
        "reward": rewards.astype(np.float32),
        "end": ends.astype(np.uint8),
        "values": values.numpy(),
        "ram": np.stack(rams),
        "saliency": _saliency(learner, observations, actions, mode),
    }


def _indexed(screens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Screens (T, H, W, 3) as a palette (colours, 3) and indices into it (T, H, W), uint8."""
    packed = screens.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
    is_seen = np.zeros(1 << 24, bool)
    is_seen[packed] = True
    colors = np.flatnonzero(is_seen)
    if len(colors) > 256:
        raise UserError(f"screens of {len(colors)} colours cannot be recorded: 256 are possible")
    number_of = np.zeros(1 << 24, np.uint8)
    number_of[colors] = np.arange(len(colors))
    palette = np.stack([colors >> 16, colors >> 8 & 255, colors & 255], axis=1).astype(np.uint8)
    return palette, number_of[packed]


def _saliency(learner: Any, seen: torch.Tensor, actions: np.ndarray, mode: str) -> np.ndarray:
    """Of the newest frames, of the values of the actions: uint8 (T, H, W)."""
    chosen = torch.from_numpy(actions.astype(np.int64))[:, None]

    def score(frames: torch.Tensor) -> torch.Tensor:
        return learner.action_values(frames).gather(1, chosen)[:, 0]

    found = gradients.saliency(score, seen, mode)[:, -1]
    highest = float(np.percentile(found, 99.9)) or 1.0
    return (np.clip(found / highest, 0, 1) * 255).round().astype(np.uint8)
