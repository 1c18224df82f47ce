"""The step that takes a published agent's weights: found, checked, read as data and converted.

A file of atari-agents (github.com/floringogianu/atari-agents) is
``ALGORITHM_PROTOCOL/Game/seed/model_STEP.gz``: a gzipped file of PyTorch whose ``estimator_state``
holds the network. It lies in a local folder of that layout, or on the server where they are hosted
now; only the file that is asked for is fetched. Files of CleanRL and stable-baselines3 are named by
their path. None of them is ever unpickled: what is not plain tensors is refused.
"""

import gzip
import hashlib
import io
import pickle
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import torch

from workflow_src import artifacts
from workflow_src.agents import environment, remote, weights
from workflow_src.agents import learner as learners
from workflow_src.ari.games import gym_id
from workflow_src.config.agents import Agent, AgentProtocol
from workflow_src.config.published import Published
from workflow_src.csv_files import write_csv
from workflow_src.errors import UserError, explained
from workflow_src.paths import expanded

# A file of 1.7 million weights has 7 MB; one that unpacks to more than this is none.
_LARGEST = 256 << 20


class Found(NamedTuple):
    """A published file: where it is from, and its bytes."""

    source: str
    content: bytes


def take(
    *,
    game: str,
    agent: str,
    seed: int,
    row: Agent,
    switches: AgentProtocol,
    out: Path,
    history: Path,
    working: Path,
) -> None:
    """Write a published agent's weights as one of ours: ``last`` and ``best``, the same.

    The header has the source and its SHA-256. ``history`` gets one row without a score: nobody
    knows how it learned. ``working``: a folder for what was fetched, removed at the end.
    `UserError` when the file is not there, is not what its server says, would run code when
    loaded, or is of another network than the row's.
    """
    assert row.published is not None, f"{agent} is not a published agent"
    published = row.published
    artifacts.check_writable(history, *(out / f"{name}.safetensors" for name in row.kept))
    found = _file(published) if published.file else _of_atari_agents(published, game, working)
    state = _CONVERT[published.layout](_tensors(found, published.layout))
    world = environment.make(row.environment, switches, game=game, training=False)
    try:
        learner = learners.build(
            row,
            actions=world.num_actions,
            frame_shape=world.frame_shape,
            generator=torch.Generator().manual_seed(0),  # the weights are read
            device=torch.device("cpu"),
        )
    finally:
        world.close()
    _fill(learner.network, state, found.source, game)
    header = {"agent": agent, "game": game, "seed": seed, "step": published.step}
    header |= {"source": found.source, "sha256": hashlib.sha256(found.content).hexdigest()}
    for name in row.kept:
        weights.save(out / f"{name}.safetensors", learner.weights(), header)
    step = published.step
    line = {"epoch": 0, "step": step, "frames": step * row.environment.frame_skip, "score": None}
    write_csv(history, pd.DataFrame([line]))
    remote.forget(working)


def _file(published: Published) -> Found:
    path = expanded(published.file or "")
    with explained("read", path):
        return Found(str(published.file), path.read_bytes())


def _of_atari_agents(published: Published, game: str, working: Path) -> Found:
    """The file of a step, which the folder has to list: names are never computed."""
    title = gym_id(game, "")
    folder = f"{published.algorithm}/{title}/{published.seed}"
    listed: dict[str, remote.Listed | None]
    if published.is_remote:
        listed = {**remote.listing(published.source, folder)}
    else:
        local = expanded(published.source) / folder
        listed = {path.name: None for path in local.glob("model_*.gz")}
    steps = {int(m[1]): m[0] for m in (re.fullmatch(r"model_(\d+)\.gz", n) for n in listed) if m}
    if published.step not in steps:
        near = sorted(sorted(steps, key=lambda step: abs(step - published.step))[:3])
        known = f"near it are {', '.join(map(str, near))}" if steps else "there are none at all"
        raise UserError(
            f"{published.source}/{folder} has no weights of step {published.step}: {known}"
        )
    name = steps[published.step]
    if published.is_remote:
        content = remote.fetch(published.source, f"{folder}/{name}", listed[name], working)
        return Found(f"{published.source}/{folder}/{name}", content)
    with explained("read", local / name):
        return Found(f"{folder}/{name}", (local / name).read_bytes())


def _tensors(found: Found, layout: str) -> dict[str, torch.Tensor]:
    """The tensors of a file by name, read without running anything that is in it."""
    try:
        content = found.content
        if layout == "atari-agents":
            with gzip.GzipFile(fileobj=io.BytesIO(content)) as unpacked:
                content = unpacked.read(_LARGEST + 1)
        elif layout == "stable-baselines3":
            # Beside the weights lies a pickle of the whole agent, which is not touched.
            with (
                zipfile.ZipFile(io.BytesIO(content)) as archive,
                archive.open("policy.pth") as file,
            ):
                content = file.read(_LARGEST + 1)
        if len(content) > _LARGEST:
            raise UserError(f"{found.source} unpacks to more than 256 MB: it is no agent")
        if not zipfile.is_zipfile(io.BytesIO(content)):
            raise ValueError("it is no archive of PyTorch")
        loaded = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{found.source} is refused: it holds more than tensors, and loading it could run code"
        ) from error
    except (OSError, EOFError, RuntimeError, ValueError, KeyError, zipfile.BadZipFile) as error:
        said = " ".join(str(error).split())[:150]
        raise UserError(
            f"{found.source} is no file of {layout} ({said}): fetch it again"
        ) from error
    if layout == "atari-agents" and isinstance(loaded, dict):
        loaded = loaded.get("estimator_state", loaded)
    if not isinstance(loaded, dict) or not all(
        isinstance(name, str) and isinstance(one, torch.Tensor) for name, one in loaded.items()
    ):
        raise UserError(f"{found.source} is no file of {layout}: it holds no weights by name")
    return loaded


State = dict[str, torch.Tensor]


def _renamed(found: State, names: dict[str, str]) -> State:
    """Layers under our names; those that no entry of ``names`` has keep theirs, to be refused."""
    state = {}
    for name, tensor in found.items():
        layer, _, part = name.rpartition(".")
        state[f"{names[layer]}.{part}" if layer in names else name] = tensor
    return state


def _values(found: State, names: dict[str, str]) -> State:
    """A network of action values: its last layer is a stack of one head, ours (1, inputs, A)."""
    state = _renamed(found, names)
    last = {part: state.pop(f"last.{part}", None) for part in ("weight", "bias")}
    if last["weight"] is not None and last["bias"] is not None:
        state["heads.weight"] = last["weight"].T[None].contiguous()
        state["heads.bias"] = last["bias"][None, None].contiguous()
    return state


def _atari_agents(found: State) -> State:
    names = {f"_AtariNet__features.{i}": f"body.{i}" for i in (0, 2, 4)}
    names |= {"_AtariNet__head.0": "heads.hidden", "_AtariNet__head.2": "last"}
    support = found.pop("_AtariNet__support", None)
    if support is not None and not torch.allclose(
        support.float(), torch.linspace(-10, 10, 51)[: len(support)]
    ):
        raise UserError(
            "the published agent's atoms are not 51 from -10 to 10: it cannot be played"
        )
    # C51's last layer is action by action, atom by atom, as ours is.
    return _values(found, names)


def _cleanrl(found: State) -> State:
    body = {f"network.{i}": f"body.{i}" for i in (0, 2, 4)}
    if "network.9.weight" in found:
        return _values(found, body | {"network.7": "heads.hidden", "network.9": "last"})
    return _renamed(found, body | {"network.7": "hidden", "actor": "policy", "critic": "value"})


def _stable_baselines3(found: State) -> State:
    kept = {
        name: tensor
        for name, tensor in found.items()
        # Copies of the extractor that policies keep, and the target of a DQN.
        if not name.startswith(("pi_features_extractor", "vf_features_extractor", "q_net_target"))
    }
    if any(name.startswith("q_net.") for name in kept):
        extractor = "q_net.features_extractor"
        names = {f"{extractor}.cnn.{i}": f"body.{i}" for i in (0, 2, 4)}
        names |= {f"{extractor}.linear.0": "heads.hidden", "q_net.q_net.0": "last"}
        return _values(kept, names)
    names = {f"features_extractor.cnn.{i}": f"body.{i}" for i in (0, 2, 4)}
    names |= {"features_extractor.linear.0": "hidden", "action_net": "policy"}
    return _renamed(kept, names | {"value_net": "value"})


_CONVERT: dict[str, Callable[[State], State]] = {
    "atari-agents": _atari_agents,
    "cleanrl": _cleanrl,
    "stable-baselines3": _stable_baselines3,
}


def _fill(network: torch.nn.Module, state: State, source: str, game: str) -> None:
    """Load converted weights; `UserError` naming the first that does not fit."""
    ours: dict[str, Any] = {name: tuple(one.shape) for name, one in network.state_dict().items()}
    theirs = {name: tuple(one.shape) for name, one in state.items()}
    for name in dict.fromkeys([*ours, *theirs]):
        if ours.get(name) != theirs.get(name):
            raise UserError(
                f"{source} does not fit: {name} is {theirs.get(name, 'missing')} there, and "
                f"{ours.get(name, 'unknown')} in this agent's network for {game}; name the preset "
                "and the game of the file"
            )
    network.load_state_dict({name: one.float() for name, one in state.items()})
