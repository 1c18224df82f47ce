"""Several environments in lockstep, played by forked processes into shared memory.

What an environment does depends on its own generator and actions alone, so any number of processes
gives the same bytes.
"""

from __future__ import annotations

import contextlib
import mmap
import multiprocessing
import os
import pickle
import signal
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from workflow_src.agents import environment
from workflow_src.agents.environment import World
from workflow_src.emulator.environment import LIFE_LOST, RAM_BYTES, TERMINATED, TRUNCATED
from workflow_src.errors import UserError

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from workflow_src.config.agents import AgentEnvironment, AgentProtocol

_NEW_GAMES, _STEP, _STOP = b"n", b"s", b"q"
_DONE, _FAILED = b"d", b"f"


@dataclass
class _Arrays:
    """What the processes share; the first axis is the environment's."""

    observation: np.ndarray
    action: np.ndarray
    reward: np.ndarray
    end: np.ndarray
    first: np.ndarray
    frames: np.ndarray
    lives: np.ndarray
    ram: np.ndarray
    score: np.ndarray  # of the game that just ended, and so on
    steps: np.ndarray
    played: np.ndarray


class Vector:
    """``num_envs`` environments; a context that ends its processes.

    Arrays are overwritten by `new_games` and `step`. ``observation`` ``(n, history,
    *frame_shape)``: the newest frame last, zeros before an episode's first. ``first`` bool (n,):
    whether a history begins with the newest frame. Of the step before: ``reward`` float64 (n,),
    raw, and ``end`` uint8 (n,), an end code of `emulator.environment`. A game that ended is
    followed by the next one in the same step, so that ``observation``, ``frames`` (of the running
    game, int64), ``lives`` and ``ram`` (n, 128) are those of the next. ``finished`` lists
    (environment, raw return, steps, frames) of the games that ended.
    """

    def __init__(
        self,
        settings: AgentEnvironment,
        protocol: AgentProtocol,
        *,
        game: str,
        num_envs: int,
        workers: int | None = None,
        history: int = 4,
        training: bool,
    ):
        """``workers``: processes, by default one a core; with one, all is done in this process.

        `UserError` when the environment cannot be made.
        """
        count = min(num_envs, workers or len(os.sched_getaffinity(0)))
        # Made here once, so that errors are raised here, and to know the shapes.
        world = environment.make(settings, protocol, game=game, training=training)
        self.num_actions, self.meanings = world.num_actions, world.meanings
        self.frame_shape, self.dtype = world.frame_shape, world.dtype
        self.frame_skip, self._game = world.frame_skip, game
        self._arrays = arrays = _share(num_envs, history, world)
        self.observation, self.first = arrays.observation, arrays.first
        self.reward, self.end = arrays.reward, arrays.end
        self.frames, self.lives, self.ram = arrays.frames, arrays.lives, arrays.ram
        self.finished: list[tuple[int, float, int, int]] = []
        which = (settings, protocol, game, training)
        self._processes: list[Any] = []
        self._pipes: list[Connection] = []
        self._shares = np.array_split(np.arange(num_envs), count)
        self._group: _Group | None = None
        if count == 1:
            self._group = _Group(self._arrays, range(num_envs), which, protocol, world)
            return
        world.close()
        context = multiprocessing.get_context("fork")
        for share in self._shares:
            here, there = context.Pipe()
            self._pipes.append(here)
            arguments = (there, list(self._pipes), self._arrays, share.tolist(), which, protocol)
            process = context.Process(target=_work, args=arguments, daemon=True)
            process.start()
            there.close()
            self._processes.append(process)

    def __enter__(self) -> Vector:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def new_games(self, rngs: Sequence[np.random.Generator]) -> None:
        """Begin a new game in every environment, each with a generator of its own."""
        if self._group is not None:
            with self._one_line():
                self._group.new_games(rngs)
        else:
            for pipe, share in zip(self._pipes, self._shares, strict=True):
                self._tell(pipe, _NEW_GAMES + pickle.dumps([rngs[i] for i in share]))
            self._wait()
        self.finished = []

    def step(self, actions: np.ndarray) -> None:
        """Play ``actions`` (n,), one in each environment."""
        self.send(actions)
        self.receive()

    def send(self, actions: np.ndarray) -> None:
        """Begin a step; nothing of the arrays may be used until `receive`."""
        self._arrays.action[:] = actions
        for pipe in self._pipes:
            self._tell(pipe, _STEP)

    def receive(self) -> None:
        """Wait for the end of a step."""
        if self._group is not None:
            with self._one_line():
                self._group.step()
        else:
            self._wait()
        arrays = self._arrays
        ended = np.flatnonzero((arrays.end == TERMINATED) | (arrays.end == TRUNCATED))
        self.finished = [
            (int(i), float(arrays.score[i]), int(arrays.steps[i]), int(arrays.played[i]))
            for i in ended
        ]

    def close(self) -> None:
        """End the processes."""
        if self._group is not None:
            self._group.close()
            self._group = None
        for pipe in self._pipes:
            # Told so: processes that were forked later hold the pipe open, too.
            with contextlib.suppress(OSError):
                pipe.send_bytes(_STOP)
            pipe.close()
        for process in self._processes:
            process.join(timeout=5)
            if process.is_alive():
                process.kill()
                process.join()
        self._pipes, self._processes = [], []

    def _tell(self, pipe: Connection, message: bytes) -> None:
        try:
            pipe.send_bytes(message)
        except OSError as error:
            raise self._ended(pipe) from error

    def _wait(self) -> None:
        failed = ""
        for pipe in self._pipes:
            try:
                answer = pipe.recv_bytes()
            except (EOFError, OSError) as error:
                raise self._ended(pipe) from error
            if answer[:1] == _FAILED:
                failed = answer[1:].decode()
        if failed:
            raise self._failed(failed)

    @contextlib.contextmanager
    def _one_line(self) -> Iterator[None]:
        try:
            yield
        except UserError:
            raise
        except Exception as error:
            raise self._failed(_said()) from error

    def _failed(self, said: str) -> UserError:
        return UserError(f"{self._game}: its environment failed in a step: {said}")

    def _ended(self, pipe: Connection) -> UserError:
        process = self._processes[self._pipes.index(pipe)]
        process.join(timeout=1)
        return UserError(
            f"a process that plays {self._game} was killed (exit code {process.exitcode}): "
            "run again, which goes on from the last epoch; if memory is short, lower num_envs"
        )


class _Group:
    """The environments of one process."""

    def __init__(
        self,
        arrays: _Arrays,
        share: Sequence[int],
        which: tuple[Any, ...],
        protocol: AgentProtocol,
        world: World | None = None,
    ):
        settings, play, game, training = which
        self._arrays, self._clears = arrays, protocol.clear_history
        made = [world] if world is not None else []
        while len(made) < len(share):
            made.append(environment.make(settings, play, game=game, training=training))
        self._worlds = list(zip(share, made, strict=True))
        self._score = dict.fromkeys(share, 0.0)
        self._steps = dict.fromkeys(share, 0)

    def new_games(self, rngs: Sequence[np.random.Generator]) -> None:
        for (i, world), rng in zip(self._worlds, rngs, strict=True):
            world.new_game(rng, self._arrays.observation[i, -1])
            self._arrays.end[i] = self._arrays.reward[i] = 0
            self._begin(i)
            self._look(i, world)

    def step(self) -> None:
        arrays = self._arrays
        for i, world in self._worlds:
            history = arrays.observation[i]
            history[:-1] = history[1:]
            reward, end = world.step(int(arrays.action[i]), history[-1])
            arrays.reward[i], arrays.end[i], arrays.first[i] = reward, end, False
            self._score[i] += reward
            self._steps[i] += 1
            if end in (TERMINATED, TRUNCATED):
                arrays.score[i], arrays.steps[i] = self._score[i], self._steps[i]
                arrays.played[i] = world.frames
                world.next_game(history[-1])
                self._begin(i)
            elif end == LIFE_LOST and self._clears:
                history[:-1] = 0
                arrays.first[i] = True
            self._look(i, world)

    def _begin(self, i: int) -> None:
        self._arrays.observation[i, :-1] = 0
        self._arrays.first[i] = True
        self._score[i], self._steps[i] = 0.0, 0

    def _look(self, i: int, world: World) -> None:
        self._arrays.frames[i], self._arrays.lives[i] = world.frames, world.lives
        world.ram(self._arrays.ram[i])

    def close(self) -> None:
        for _, world in self._worlds:
            world.close()


def _share(n: int, history: int, world: World) -> _Arrays:
    """Arrays in memory that forked processes share."""

    def make(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        return np.frombuffer(mmap.mmap(-1, max(size, 1)), dtype, int(np.prod(shape))).reshape(shape)

    whole = {name: make((n,), np.int64) for name in ("action", "frames", "lives")}
    whole |= {name: make((n,), np.int64) for name in ("steps", "played")}
    return _Arrays(
        observation=make((n, history, *world.frame_shape), world.dtype),
        reward=make((n,), np.float64),
        end=make((n,), np.uint8),
        first=make((n,), bool),
        ram=make((n, RAM_BYTES), np.uint8),
        score=make((n,), np.float64),
        **whole,
    )


def _work(
    pipe: Connection,
    others: list[Connection],
    arrays: _Arrays,
    share: list[int],
    which: tuple[Any, ...],
    protocol: AgentProtocol,
) -> None:
    """A process: do as told until the pipe is closed, which it is when the parent ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent's matter
    for other in others:
        other.close()
    group: _Group | None = None
    while True:
        try:
            message = pipe.recv_bytes()
        except (EOFError, OSError):
            break
        if message == _STOP:
            break
        try:
            if group is None:
                group = _Group(arrays, share, which, protocol)
            if message[:1] == _NEW_GAMES:
                group.new_games(pickle.loads(message[1:]))
            else:
                group.step()
            pipe.send_bytes(_DONE)
        except (BrokenPipeError, KeyboardInterrupt):
            break
        except Exception:
            pipe.send_bytes(_FAILED + _said().encode())
    if group is not None:
        with contextlib.suppress(Exception):
            group.close()
    os._exit(0)


def _said() -> str:
    """The last line of the traceback of the error that is being handled."""
    return traceback.format_exc().strip().rpartition("\n")[2]
