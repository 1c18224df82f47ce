"""Collecting frames: scalar emulators in worker processes -> one frame store.

As in the 2019 code there are several independent environments (8 of them). Each has generators of
its own and plays a whole number of chunks (except the last), so that workers compress what they
play, and the file is the environments' compressed chunks in order. The file has the same bytes for
any number of workers. ale-py's own vector environment gives no RAM, so it is not used.
"""

from __future__ import annotations

import errno
import itertools
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from workflow_src import artifacts, seeds
from workflow_src.emulator.environment import CONTINUES, TRUNCATED, Environment
from workflow_src.episodes import store
from workflow_src.episodes.policy import GAME, LIFE, Player, find
from workflow_src.errors import UserError, explained

# For type checkers only: settings come as values, so an edit of the configuration's code does not
# collect all frames again, which takes half an hour.
if TYPE_CHECKING:
    from workflow_src.config.episodes import Episodes, Policy
    from workflow_src.config.section import Purpose


@dataclass(frozen=True)
class EnvJob:
    """What one environment plays: enough to play it again anywhere."""

    game: str
    policy: str
    policy_settings: Policy
    settings: Episodes
    purpose: Purpose
    seed: int
    number: int
    frames: int
    player: Player | None = None

    def rng(self, name: str) -> np.random.Generator:
        """This environment's own generator for the thing called ``name``."""
        return seeds.generator(
            self.seed, self.game, "episodes", self.policy, self.purpose, self.number, name
        )


def frames_per_env(frames: int, num_envs: int) -> list[int]:
    """Distribute ``frames`` to environments in whole chunks; only the last share is ragged.

    No share is empty, so there can be fewer than ``num_envs``.
    """
    chunks = -(-frames // store.CHUNK)
    parts = np.array_split(np.arange(chunks), min(num_envs, chunks))
    shares = [store.CHUNK * len(part) for part in parts]
    shares[-1] += frames - sum(shares)
    return shares


def collect(
    *,
    game: str,
    policy: str,
    policy_settings: Policy,
    settings: Episodes,
    purpose: Purpose,
    seed: int,
    out: Path,
    players: Sequence[Player] = (),
    workers: int | None = None,
    progress: bool = True,
) -> None:
    """Collect ``settings.frames.of(purpose)`` frames of ``game`` and write them to ``out``.

    ``players``: for a policy of the kind ``agent``; environments take one in turn. ``workers``:
    processes, by default one for each processor this process may use. Memory: one chunk per worker,
    and 150 bytes per frame for the other columns.
    """
    shares = frames_per_env(settings.frames.of(purpose), settings.num_envs)
    jobs = [
        EnvJob(game, policy, policy_settings, settings, purpose, seed, k, n, player)
        for k, n, player in zip(
            range(len(shares)), shares, itertools.cycle(players or [None]), strict=False
        )
    ]
    workers = min(workers or _processors(), len(jobs))
    # In the output's directory: a full disk shows here, and parts are never moved across disks.
    with artifacts.scratch(out) as parts:
        prefixes = [parts / f"{job.number:04}" for job in jobs]
        actions = _play_all(
            jobs,
            prefixes,
            workers,
            tqdm(total=sum(shares), unit="frame", disable=None if progress else True, desc=game),
        )
        header = {
            "game": game,
            "policy": policy,
            "policy_settings": policy_settings.model_dump(),
            "purpose": purpose,
            "seed": seed,
            "settings": settings.model_dump(exclude={"frames"}),
            "frames_per_env": shares,
            "actions": actions,
            "ale_py": version("ale-py"),
        }
        store.write(out, _chunks(prefixes), _columns(prefixes), header)


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _play_all(jobs: list[EnvJob], prefixes: list[Path], workers: int, bar: tqdm) -> list[str]:
    """Play the jobs in ``workers`` processes; returns the meanings of the actions."""
    # Forked workers start with everything imported, which else takes as long as 6,000 steps. They
    # use neither torch nor CUDA, whose threads would not survive. Elsewhere than on Linux forking
    # is not safe.
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    with _needs_shared_memory():
        stop = context.Event()
    with (
        bar,
        ProcessPoolExecutor(
            workers, mp_context=context, initializer=_watch, initargs=(stop, os.getpid())
        ) as pool,
    ):
        try:
            futures = [
                pool.submit(_play, job, prefix) for job, prefix in zip(jobs, prefixes, strict=True)
            ]
            waiting = set(futures)
            while waiting:
                done, waiting = wait(waiting, timeout=0.05, return_when=FIRST_EXCEPTION)
                _show(bar, prefixes)
                for future in done:
                    future.result()  # one that failed ends the waiting
            return futures[0].result()
        except BaseException:
            stop.set()
            raise


@contextmanager
def _needs_shared_memory() -> Iterator[None]:
    """Say what is missing where there is no semaphore to be had, as in some containers."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE):
            raise
        raise UserError(
            f"cannot share memory between processes (/dev/shm: {str(error.strerror).lower()}); "
            "make it writable, in a container with --shm-size"
        ) from error


def _watch(stop, parent: int) -> None:
    """End this worker soon after ``stop`` was set or its main process was killed.

    An orphaned worker would otherwise run on.
    """
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl+C reaches the whole group; the main process decides

    def watch() -> None:
        while os.getppid() == parent and not stop.wait(0.5):
            pass
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _show(bar: tqdm, prefixes: list[Path]) -> None:
    """Show progress: workers append 8 bytes to a file of sizes for each chunk they wrote."""
    chunks = sum(
        p.with_suffix(".sizes").stat().st_size // 8
        for p in prefixes
        if p.with_suffix(".sizes").exists()
    )
    bar.update(min(chunks * store.CHUNK, bar.total) - bar.n)


@cache
def _loaded(game: str, frame_skip: int, noop_max: int) -> Environment:
    """A worker's only emulator, which plays one job after the other."""
    return Environment(game, np.random.default_rng(0), frame_skip=frame_skip, noop_max=noop_max)


def _play(job: EnvJob, prefix: Path) -> list[str]:
    """Play one job in a worker; returns the meanings of the actions.

    Chunks go to ``prefix``.chunks, their sizes to .sizes, the other columns to .npz.
    """
    environment = _loaded(job.game, job.settings.frame_skip, job.settings.noop_max)
    environment.restart(job.rng("environment"))
    make = find(job.policy_settings.kind)
    actions = len(environment.actions)
    policy = make(job.policy_settings, actions, job.rng("policy"), job.player)
    columns = store.empty_columns(job.frames)
    with (
        explained("write", prefix.parent.parent),
        open(prefix.with_suffix(".chunks"), "wb") as data,
        open(prefix.with_suffix(".sizes"), "wb") as sizes,
    ):
        for frames in _record(environment, policy, columns):
            chunk = store.compress(frames)
            data.write(chunk)
            data.flush()
            sizes.write(len(chunk).to_bytes(8, "little"))
            sizes.flush()
        np.savez(prefix.with_suffix(".npz"), **columns)  # type: ignore[arg-type]
    return environment.meanings


def _record(
    environment: Environment, policy, columns: dict[str, np.ndarray]
) -> Iterator[np.ndarray]:
    """Play until the columns are full; yield each chunk of frames, the last padded with zeros.

    A record's parts are made at one moment, after the step that led to its frame; the first record
    of an episode is what the reset shows.
    """
    chunk = np.zeros((store.CHUNK, *store.FRAME_SHAPE), np.uint8)
    ram, action, reward, lives, end, episode, game = (columns[name] for name in store.COLUMNS)
    frames = len(ram)
    fresh, episodes, games, begins = True, -1, -1, 0
    for i in range(frames):
        at = i % store.CHUNK
        if at == 0 and i:
            yield chunk
        frame = chunk[at]
        if fresh:
            episodes += 1
            new_game = environment.reset(frame)
            games += new_game
            begins = GAME if new_game else LIFE
            action[i], ended = store.NO_ACTION, CONTINUES
        else:
            chosen = policy(chunk[at - 1], begins)
            begins = 0
            reward[i], ended = environment.step(chosen, frame)
            action[i] = chosen
        environment.ram(ram[i])
        lives[i], end[i], episode[i], game[i] = environment.lives, ended, episodes, games
        fresh = ended != CONTINUES
    if end[-1] == CONTINUES:
        end[-1] = TRUNCATED
    chunk[frames - (frames - 1) // store.CHUNK * store.CHUNK :] = 0
    yield chunk


def _chunks(prefixes: list[Path]) -> Iterator[bytes]:
    for prefix in prefixes:
        with open(prefix.with_suffix(".chunks"), "rb") as data:
            for size in np.fromfile(prefix.with_suffix(".sizes"), "<u8"):
                yield data.read(int(size))


def _columns(prefixes: list[Path]) -> dict[str, np.ndarray]:
    """The environments' columns one after the other, with consecutive episodes and games."""
    parts = [dict(np.load(prefix.with_suffix(".npz"))) for prefix in prefixes]
    for name in ("episode", "game"):
        offset = 0
        for columns in parts:
            columns[name] += offset
            offset = columns[name][-1] + 1
    return {name: np.concatenate([columns[name] for columns in parts]) for name in store.COLUMNS}
