"""The replay memory: a ring of single frames, from which histories are put together when sampled.

Streams are environments in lockstep. Time ``t`` of stream ``e`` lies in slot ``(t mod T) n + e``:
the frame in which the action was chosen, the action, and what came of it. A frame is stored once,
though it is in the histories of several observations and of their successors.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import blosc2
import numpy as np
import torch

from workflow_src import artifacts
from workflow_src.agents import storage
from workflow_src.agents.batch import Batch
from workflow_src.emulator.environment import CONTINUES, LIFE_LOST, TERMINATED, TRUNCATED
from workflow_src.errors import UserError

if TYPE_CHECKING:
    from workflow_src.agents.priorities import Priorities
    from workflow_src.config.agents import AgentMemory as Settings

CHUNK = 4096  # slots of a file of frames
_ROUNDS = 200  # of drawing again what is not valid


class Memory:
    """Add a step of all streams at a time, sample transitions, save what changed."""

    def __init__(
        self,
        settings: Settings,
        *,
        frame_shape: tuple[int, ...],
        dtype: np.dtype,
        streams: int,
        history: int,
        n_step: int,
        gamma: float,
        reward_clip: float | None,
        heads: int = 0,
        priorities: Priorities | None = None,
        device: torch.device,
    ):
        """``dtype``: of frames, uint8 or float32; ``heads``: bits of a mask, 0 for no masks.

        `UserError` when the frames need more memory than is free, or do not fit the settings.
        """
        self._times = settings.size // streams
        if self._times < history + n_step + 2:
            raise UserError(
                f"memory.size: {settings.size} is too small for {streams} environments with a "
                f"history of {history} and returns of {n_step} steps; raise it"
            )
        self._streams, self._history, self._n = streams, history, n_step
        self._gamma, self._clip, self._device = gamma, reward_clip, device
        self._discretise = settings.discretise and np.dtype(dtype) != np.uint8
        stored = np.dtype(np.uint8 if self._discretise else dtype)
        slots = self._times * streams
        self._frames = storage.build(settings, slots, frame_shape, stored, device)
        self._priorities = priorities
        self._columns: dict[str, np.ndarray] = {
            "action": np.zeros(slots, np.int32),
            "reward": np.zeros(slots, np.float32),
            "end": np.zeros(slots, np.uint8),
            "first": np.zeros(slots, bool),
        }
        if heads:
            self._columns["mask"] = np.zeros((slots, heads), bool)
        self._total = 0  # times that were added
        self._saved: dict[int, str] = {}  # chunk -> its file
        self._changed: set[int] = set()  # chunks

    def __len__(self) -> int:
        """Transitions that are stored."""
        return min(self._total, self._times) * self._streams

    def bytes(self) -> int:
        """The memory that it takes."""
        return self._frames.bytes() + sum(column.nbytes for column in self._columns.values())

    def add(
        self,
        frames: np.ndarray,
        actions: np.ndarray,
        rewards: np.ndarray,
        ends: np.ndarray,
        firsts: np.ndarray,
        masks: np.ndarray | None = None,
    ) -> None:
        """Store a step of all ``n`` streams.

        ``frames`` ``(n, *shape)``: the newest frames of the observations in which ``actions`` (n,)
        were chosen; ``rewards`` raw; ``ends``: end codes of the emulator, of which a lost life and
        the end of a game have no future, and a truncated game has one that is not known;
        ``firsts``: whether the history begins with this frame; ``masks``: bool (n, heads).
        """
        slots = self._slots(np.full(self._streams, self._total), np.arange(self._streams))
        self._frames.put(slots, self._stored(frames))
        reward = rewards if self._clip is None else np.clip(rewards, -self._clip, self._clip)
        values = {"action": actions, "reward": reward, "end": ends, "first": firsts, "mask": masks}
        for name, column in self._columns.items():
            column[slots] = values[name]
        if self._priorities is not None:
            self._priorities.add(slots)
        self._changed.update((slots // CHUNK).tolist())
        self._total += 1

    def cut(self) -> None:
        """All streams begin new games: what is stored last has no known successor."""
        slots = self._slots(np.full(self._streams, self._total - 1), np.arange(self._streams))
        ends = self._columns["end"]
        ends[slots] = np.where(ends[slots] == CONTINUES, TRUNCATED, ends[slots])

    def sample(self, number: int, rng: np.random.Generator, beta: float | None = None) -> Batch:
        """Draw transitions: uniformly, or by priority with importance weights of exponent ``beta``.

        Weights are divided by the batch's largest. `UserError` when there is hardly any to draw.
        """
        if self._priorities is None or beta is None:
            slots, weights = self._draw_uniform(number, rng), np.ones(number)
        else:
            slots, chances = self._draw_by_priority(number, rng)
            weights = (len(self) * chances) ** -beta
            weights /= weights.max()
        times, streams = self._times_of(slots), slots % self._streams
        reward, steps, ended = self._returns(times, streams)
        frames = self._observations(times, streams, times + steps)
        discount = np.where(ended, 0.0, self._gamma**steps).astype(np.float32)
        mask = self._columns["mask"][slots].astype(np.float32) if "mask" in self._columns else None
        return Batch(
            observation=frames[:number],
            action=self._tensor(self._columns["action"][slots].astype(np.int64)),
            reward=self._tensor(reward),
            discount=self._tensor(discount),
            next_observation=frames[number:],
            weight=self._tensor(weights.astype(np.float32)),
            mask=None if mask is None else self._tensor(mask),
            slot=slots,
        )

    def update(self, slots: np.ndarray, deltas: torch.Tensor) -> None:
        """Set priorities by absolute errors."""
        if self._priorities is not None:
            self._priorities.update(slots, deltas.cpu().numpy())

    # Drawing

    def _draw_uniform(self, number: int, rng: np.random.Generator) -> np.ndarray:
        def draw(missing: int) -> np.ndarray:
            return rng.integers(len(self), size=missing)

        # While the ring is not full, its slots are filled in their order.
        return self._valid_of(number, draw)

    def _draw_by_priority(
        self, number: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        assert self._priorities is not None
        slots, chances = self._priorities.sample(number, rng)
        for _ in range(_ROUNDS):
            again = np.flatnonzero((slots < 0) | ~self.valid(slots))
            if not len(again):
                return slots, chances
            slots[again], chances[again] = self._priorities.sample(len(again), rng)
        raise self._empty()

    def _valid_of(self, number: int, draw: Any) -> np.ndarray:
        slots = draw(number)
        for _ in range(_ROUNDS):
            again = np.flatnonzero(~self.valid(slots))
            if not len(again):
                return slots
            slots[again] = draw(len(again))
        raise self._empty()

    def _empty(self) -> UserError:
        return UserError(
            f"the memory has hardly any transition to learn from among {len(self):,}: "
            "raise learn_start or memory.size"
        )

    def valid(self, slots: np.ndarray) -> np.ndarray:
        """Whether the transitions in ``slots`` can be learned from: bool (n,).

        Not those whose history was overwritten, or whose successor is not known.
        """
        times, streams = self._times_of(slots), slots % self._streams
        oldest = max(0, self._total - self._times)
        complete = np.zeros(len(slots), bool)
        for back in range(self._history):
            at = times - back
            here = self._slots(at, streams)
            complete |= (at >= oldest) & self._columns["first"][here]
        complete |= times - (self._history - 1) >= oldest
        known, running = np.ones(len(slots), bool), np.ones(len(slots), bool)
        for ahead in range(self._n):
            at = times + ahead
            end = self._columns["end"][self._slots(at, streams)]
            written = at < self._total
            known &= ~running | (written & (end != TRUNCATED))
            running &= written & (end == CONTINUES)
        known &= ~running | (times + self._n < self._total)
        return complete & known

    def _returns(
        self, times: np.ndarray, streams: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Discounted sums of rewards, over how many steps, and whether the episode then ended."""
        reward = np.zeros(len(times), np.float32)
        steps = np.zeros(len(times), np.int64)
        running = np.ones(len(times), bool)
        for ahead in range(self._n):
            here = self._slots(times + ahead, streams)
            factor = np.float32(self._gamma**ahead)
            reward += np.where(running, self._columns["reward"][here] * factor, np.float32(0))
            steps += running
            end = self._columns["end"][here]
            running &= (end != LIFE_LOST) & (end != TERMINATED)
        return reward, steps, ~running

    def _observations(
        self, times: np.ndarray, streams: np.ndarray, then: np.ndarray
    ) -> torch.Tensor:
        """The histories at ``times``, followed by those at ``then``: ``(2 n, history, *shape)``."""
        at = np.concatenate([times, then])[:, None] - np.arange(self._history - 1, -1, -1)
        streams = np.concatenate([streams, streams])[:, None]
        slots = self._slots(np.broadcast_to(at, at.shape), streams)
        # A frame belongs to a history unless that began after it.
        begins = np.cumsum(self._columns["first"][slots][:, :0:-1], axis=1)[:, ::-1] > 0
        blank = np.concatenate([begins, np.zeros((len(slots), 1), bool)], axis=1)
        found = self._frames.get(slots)
        if blank.any():
            dark = self._tensor(blank).reshape(*blank.shape, *[1] * (found.ndim - 2))
            found = found.masked_fill(dark, 0)
        return found.float() / 255 if self._discretise else found

    def _slots(self, times: np.ndarray, streams: np.ndarray) -> np.ndarray:
        return times % self._times * self._streams + streams

    def _times_of(self, slots: np.ndarray) -> np.ndarray:
        """The times whose steps lie in ``slots`` now."""
        at, newest = slots // self._streams, self._total - 1
        return newest - (newest - at) % self._times

    def _stored(self, frames: np.ndarray) -> np.ndarray:
        if not self._discretise:
            return frames
        if not (frames.min() >= 0 and frames.max() <= 1):  # nor where one is not a number
            raise UserError(
                f"an observation reaches from {frames.min():g} to {frames.max():g}, not 0 to 1: "
                "set memory.discretise: false"
            )
        return np.rint(frames * 255).astype(np.uint8)

    def _tensor(self, array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self._device, non_blocking=True)

    # Files

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the chunks of frames that changed, and return the rest of the state.

        Files are named by their content and none is overwritten, so the state that was saved
        before stays readable until `prune` is called.
        """
        for chunk in sorted(self._changed):
            self._saved[chunk] = self._write(folder, chunk)
        self._changed.clear()
        state: dict[str, Any] = {"total": self._total, "chunks": dict(self._saved)}
        state["columns"] = _tensors(self._columns)
        if self._priorities is not None:
            state["priorities"] = _tensors(self._priorities.state())
        return state

    def prune(self, folder: Path, state: dict[str, Any]) -> None:
        """Delete the files that ``state`` does not name, once it is stored itself."""
        kept = set(state["chunks"].values())
        for file in folder.glob("*"):
            if file.name not in kept:
                file.unlink(missing_ok=True)

    def load(self, folder: Path, state: dict[str, Any]) -> bool:
        """Go on from a state; False, and nothing is changed, if its files are not all whole."""
        packed = {chunk: _read(folder / name) for chunk, name in state["chunks"].items()}
        if not all(blob is not None for blob in packed.values()):
            return False
        for chunk, blob in packed.items():
            frames = blosc2.unpack_array2(blob)
            self._frames.put(self._of_chunk(chunk), frames)
        self._total, self._saved = state["total"], dict(state["chunks"])
        self._columns = _arrays(state["columns"])
        if self._priorities is not None:
            self._priorities.restore(_arrays(state["priorities"]))
        self._changed.clear()
        return True

    def _of_chunk(self, chunk: int) -> np.ndarray:
        return np.arange(chunk * CHUNK, min((chunk + 1) * CHUNK, self._times * self._streams))

    def _write(self, folder: Path, chunk: int) -> str:
        frames = self._frames.get(self._of_chunk(chunk)).cpu().numpy()
        blob = blosc2.pack_array2(
            frames, cparams={"codec": blosc2.Codec.ZSTD, "clevel": 1, "nthreads": 1}
        )
        name = f"{chunk:06}-{hashlib.sha256(blob).hexdigest()[:32]}"
        if not (folder / name).exists():
            with artifacts.atomic(folder / name) as temporary:
                temporary.write_bytes(blob)
        return name


def _read(file: Path) -> bytes | None:
    """A file of frames, if it is whole: its name ends in its checksum."""
    try:
        blob = file.read_bytes()
    except OSError:
        return None
    whole = hashlib.sha256(blob).hexdigest()[:32] == file.name.rpartition("-")[2]
    return blob if whole else None


def _tensors(values: dict[str, Any]) -> dict[str, Any]:
    """Arrays as tensors, which a checkpoint can hold."""
    return {
        name: torch.from_numpy(value.copy()) if isinstance(value, np.ndarray) else value
        for name, value in values.items()
    }


def _arrays(values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value.numpy().copy() if isinstance(value, torch.Tensor) else value
        for name, value in values.items()
    }
