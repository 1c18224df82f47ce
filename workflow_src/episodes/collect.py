"""Collecting: scalar emulators in worker processes -> one frame store.

The frames come in streams, as from the 2019 code's 8 parallel environments: each stream is one
emulator with generators of its own, a whole number of chunks long (but the last), so that workers
compress what they play and the file is the streams' compressed chunks in order. Whatever the number
of workers, the file is the same byte for byte. ale-py's own vector environment is not used because
it gives no RAM.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import FIRST_EXCEPTION, ProcessPoolExecutor, wait
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from workflow_src import artifacts, seeds
from workflow_src.emulator.environment import CUT_OFF, GOES_ON, Environment
from workflow_src.episodes import store
from workflow_src.episodes.policies import POLICIES
from workflow_src.errors import explained

# Frames are not made of the configuration's code, whose every edit would cost half an hour:
# settings come as values.
if TYPE_CHECKING:
    from workflow_src.config.episodes import Episodes, Policy
    from workflow_src.config.section import Purpose


@dataclass(frozen=True)
class Stream:
    """What one emulator plays: enough to play it again anywhere."""

    game: str
    policy: str
    policy_settings: Policy
    settings: Episodes
    purpose: Purpose
    seed: int
    number: int
    frames: int

    def rng(self, name: str) -> np.random.Generator:
        """The stream's own generator for the thing called ``name``."""
        return seeds.generator(
            self.seed, self.game, "episodes", self.policy, self.purpose, self.number, name
        )


def stream_frames(frames: int, streams: int) -> list[int]:
    """Share ``frames`` out to ``streams`` in whole chunks; only the last is ragged, and none is empty."""
    chunks = -(-frames // store.CHUNK)
    share = [
        store.CHUNK * len(part) for part in np.array_split(np.arange(chunks), min(streams, chunks))
    ]
    share[-1] += frames - sum(share)
    return share


def collect(
    *,
    game: str,
    policy: str,
    policy_settings: Policy,
    settings: Episodes,
    purpose: Purpose,
    seed: int,
    out: Path,
    workers: int | None = None,
    progress: bool = True,
) -> None:
    """Collect ``settings.frames.of(purpose)`` frames of ``game`` and write them to ``out``.

    ``workers``: processes, by default one for each processor this process may use. Memory: a chunk
    a worker, and 150 bytes a frame for the records beside the frames.
    """
    shares = stream_frames(settings.frames.of(purpose), settings.streams)
    streams = [
        Stream(game, policy, policy_settings, settings, purpose, seed, k, n)
        for k, n in enumerate(shares)
    ]
    workers = min(workers or _processors(), len(streams))
    # Beside the output: a full disk shows here, and the parts are renamed or removed, never moved
    # across disks.
    with artifacts.scratch(out) as parts:
        prefixes = [parts / f"{stream.number:04}" for stream in streams]
        actions = _play_all(
            streams,
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
            "streams": shares,
            "actions": actions,
            "ale_py": version("ale-py"),
        }
        store.write(out, _chunks(prefixes), _columns(prefixes), header)


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _play_all(streams: list[Stream], prefixes: list[Path], workers: int, bar: tqdm) -> list[str]:
    """Play the streams in ``workers`` processes; returns the meanings of the actions."""
    # Forked workers start with everything imported, which else takes as long as 6,000 steps. They
    # use neither torch nor CUDA, whose threads would not survive. Elsewhere than on Linux forking
    # is not safe.
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    stop = context.Event()
    with (
        bar,
        ProcessPoolExecutor(
            workers, mp_context=context, initializer=_watch, initargs=(stop, os.getpid())
        ) as pool,
    ):
        try:
            futures = [
                pool.submit(_play, stream, prefix)
                for stream, prefix in zip(streams, prefixes, strict=True)
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


def _watch(stop, parent: int) -> None:
    """End this worker soon after ``stop`` was set or its main process was killed: idle or not, it would never know."""
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl+C reaches the whole group; the main process decides

    def watch() -> None:
        while os.getppid() == parent and not stop.wait(0.5):
            pass
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _show(bar: tqdm, prefixes: list[Path]) -> None:
    """Workers note 8 bytes for each chunk they wrote: that is their progress, without any channel between processes."""
    chunks = sum(
        p.with_suffix(".sizes").stat().st_size // 8
        for p in prefixes
        if p.with_suffix(".sizes").exists()
    )
    bar.update(min(chunks * store.CHUNK, bar.total) - bar.n)


@cache
def _loaded(game: str, repeat: int, noop_max: int) -> Environment:
    """A worker's only emulator, for its streams one after the other."""
    return Environment(game, np.random.default_rng(0), repeat=repeat, noop_max=noop_max)


def _play(stream: Stream, prefix: Path) -> list[str]:
    """Play one stream in a worker: chunks to ``prefix``.chunks, their sizes to .sizes, the other columns to .npz."""
    environment = _loaded(stream.game, stream.settings.repeat, stream.settings.noop_max)
    environment.restart(stream.rng("environment"))
    policy = POLICIES[stream.policy_settings.kind](
        stream.policy_settings, len(environment.actions), stream.rng("policy")
    )
    columns = store.empty_columns(stream.frames)
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
        np.savez(prefix.with_suffix(".npz"), **columns)
    return environment.meanings


def _record(
    environment: Environment, policy, columns: dict[str, np.ndarray]
) -> Iterator[np.ndarray]:
    """Play until the columns are full, yielding each full chunk of frames (the last one padded with zeros).

    A record's parts are made at one moment, after the step that led to its frame; the first record
    of an episode is what the reset shows.
    """
    chunk = np.zeros((store.CHUNK, *store.FRAME_SHAPE), np.uint8)
    ram, action, reward, lives, end, episode, game = (columns[name] for name in store.COLUMNS)
    frames = len(ram)
    fresh, episodes, games = True, -1, -1
    for i in range(frames):
        at = i % store.CHUNK
        if at == 0 and i:
            yield chunk
        frame = chunk[at]
        if fresh:
            episodes += 1
            games += environment.reset(frame)
            action[i], ended = store.NO_ACTION, GOES_ON
        else:
            chosen = policy(chunk[at - 1])
            reward[i], ended = environment.step(chosen, frame)
            action[i] = chosen
        environment.ram(ram[i])
        lives[i], end[i], episode[i], game[i] = environment.lives, ended, episodes, games
        fresh = ended != GOES_ON
    if end[-1] == GOES_ON:
        end[-1] = CUT_OFF
    chunk[frames - (frames - 1) // store.CHUNK * store.CHUNK :] = 0
    yield chunk


def _chunks(prefixes: list[Path]) -> Iterator[bytes]:
    for prefix in prefixes:
        with open(prefix.with_suffix(".chunks"), "rb") as data:
            for size in np.fromfile(prefix.with_suffix(".sizes"), "<u8"):
                yield data.read(int(size))


def _columns(prefixes: list[Path]) -> dict[str, np.ndarray]:
    """The streams' columns one after the other, episodes and games counted on."""
    streams = [dict(np.load(prefix.with_suffix(".npz"))) for prefix in prefixes]
    for name in ("episode", "game"):
        offset = 0
        for columns in streams:
            columns[name] += offset
            offset = columns[name][-1] + 1
    return {name: np.concatenate([columns[name] for columns in streams]) for name in store.COLUMNS}
