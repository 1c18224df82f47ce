import contextlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from steps import split
from workflow import PARTS, ROOT, TINY, configure, snakemake
from xdist.scheduler import LoadScopeScheduling

from workflow_src.config.episodes import Episodes, Frames, Policy
from workflow_src.config.run import Config, defaults
from workflow_src.episodes import store
from workflow_src.episodes.collect import collect


def needs(*tools):
    """Skip where a program is missing, fail where all are required, as in CI (REQUIRE_TOOLS)."""
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        (pytest.fail if os.environ.get("REQUIRE_TOOLS") else pytest.skip)(
            f"not installed: {', '.join(missing)}"
        )


class ByRun(LoadScopeScheduling):
    """Whole files to a worker, and those that share a run to the same one.

    Not by xdist's groups: xdist 3.8 writes them into names that pytest 9.2 computes anew.
    """

    def _split_scope(self, nodeid):
        file = nodeid.partition("::")[0]
        return "finished" if Path(file).name in FINISHED else file


def pytest_xdist_make_scheduler(config, log):
    return ByRun(config, log)


def pytest_collection_modifyitems(items):
    """The long files first, so that no worker is left with one of them at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)  # a stable sort


# Files whose tests need the whole tiny run.
FINISHED = ("test_workflow.py", "test_recipes.py")
RANDOM = Policy(kind="random", noop=False)


@pytest.fixture(scope="module")
def one_thread():
    """Problems this small only wait for a second thread, and for long where others work too."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@dataclass
class Recordings:
    """What became of steps that are recorded."""

    aside: int  # ran before the recording, on another stream
    replayed: list[int]  # how often each recording was
    generators: list[tuple]  # what each draws from


@pytest.fixture
def recordings(monkeypatch):
    """What CUDA graphs do, in so far as a processor can show it: a recording runs nothing, and
    reads fixed tensors.
    """
    from workflow_src import graphs

    seen, made = Recordings(0, [], []), graphs.Recorded.__init__

    def record(run, generators):
        which = len(seen.replayed)
        seen.replayed.append(0)
        seen.generators.append(generators)

        def replay():
            seen.replayed[which] += 1
            run()

        return replay

    @contextlib.contextmanager
    def side_stream():
        seen.aside += 1
        yield

    def as_on_cuda(self, function, device, enabled=True, generators=tuple):
        made(self, function, device, enabled, generators)
        self._on = enabled

    monkeypatch.setattr(graphs, "record", record)
    monkeypatch.setattr(graphs, "side_stream", side_stream)
    monkeypatch.setattr(graphs.Recorded, "__init__", as_on_cuda)
    return seen


@pytest.fixture(scope="session")
def play(tmp_path_factory):
    """Collect as the command line does, and give the file's path; unnamed settings are small."""
    directory = tmp_path_factory.mktemp("played")

    def play(
        game="breakout", frames=1100, num_envs=3, purpose="probe", seed=0, out=None, workers=2
    ):
        out = out or directory / f"{len(list(directory.iterdir()))}.b2nd"
        settings = Episodes(
            frames=Frames(pretrain=frames, probe=frames),
            num_envs=num_envs,
            frame_skip=4,
            noop_max=30,
        )
        which = {
            "policy": "random_agent",
            "policy_settings": RANDOM,
            "settings": settings,
            "purpose": purpose,
            "seed": seed,
        }
        collect(game=game, out=out, workers=workers, progress=False, **which)
        return out

    return play


@pytest.fixture(scope="session")
def breakout(play):
    """A real collection with many lives and games: 1,100 frames in streams of 512, 512 and 76."""
    return play()


@pytest.fixture
def write_store(tmp_path):
    """Write a store of made records: frames (n, 210, 160), columns that are not named are zero."""

    def write_store(name, frames, header=None, **columns):
        everything = store.empty_columns(len(frames))
        for column, values in columns.items():
            everything[column][:] = values
        padded = np.zeros(
            (-(-len(frames) // store.CHUNK) * store.CHUNK, *store.FRAME_SHAPE), np.uint8
        )
        padded[: len(frames)] = frames
        chunks = (
            store.compress(padded[at : at + store.CHUNK])
            for at in range(0, len(padded), store.CHUNK)
        )
        store.write(
            tmp_path / name, chunks, everything, {"game": "pong"} if header is None else header
        )
        return tmp_path / name

    return write_store


@dataclass(frozen=True)
class Collected:
    """Files of a small collection of breakout by purpose, and the configuration they were made
    with.
    """

    config: Config
    directory: Path

    def frames(self, purpose):
        return self.directory / f"{purpose}.b2nd"

    def split(self, purpose):
        return self.directory / f"{purpose}.safetensors"


@pytest.fixture(scope="session")
def collected(tmp_path_factory, play):
    """All that an encoder and a probe need, of the paper's protocol."""
    config = defaults(
        {
            "games": ["breakout"],
            "device": "cpu",
            "protocols": {"paper": {"splits": {"min_episode_frames": 2}}},
            "episodes": {"frames": {"pretrain": 320, "probe": 640}, "num_envs": 2},
            "training": {"epochs": 2, "batch_size": 16, "threads": 1, "precision": "float32"},
            "probe": {"epochs": 1, "batch_size": 16, "threads": 1},
        }
    )
    made = Collected(config, tmp_path_factory.mktemp("collected"))
    for purpose in ("pretrain", "probe"):
        play(
            frames=config.episodes.frames.of(purpose),
            num_envs=2,
            purpose=purpose,
            out=made.frames(purpose),
            workers=1,
        )
        which = {
            "game": "breakout",
            "policy": "random_agent",
            "protocol": "paper",
            "purpose": purpose,
            "seed": 0,
        }
        split(config, frames=made.frames(purpose), out=made.split(purpose), **which)
    return made


@pytest.fixture(scope="session")
def source(tmp_path_factory) -> Path:
    """A copy of the sources, which stays as it is whoever edits the repository meanwhile, and which
    tests may edit.
    """
    directory = tmp_path_factory.mktemp("source")
    for part in PARTS:
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
        copy(ROOT / part, directory / part)
    return directory


@pytest.fixture(scope="session")
def finished(source) -> Path:
    """A whole tiny run."""
    directory = source / "runs" / "tiny"
    configure(source, directory, TINY)
    done = snakemake(source, directory)
    assert done.returncode == 0, done.stdout + done.stderr
    return directory
