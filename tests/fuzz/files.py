"""Damaged files: each is refused in one line, or read with the meaning it had."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fuzz import world
from fuzz.count import SAME, SILENT, Counts, attempt
from workflow_src import artifacts, layout
from workflow_src.audit import measured
from workflow_src.config.run import Config
from workflow_src.encoders import load
from workflow_src.episodes.dataset import read_split
from workflow_src.episodes.store import COLUMNS, FrameStore
from workflow_src.report.audit.summary import read_audit
from workflow_src.report.data import read_data
from workflow_src.report.figures.learning_curves import read_history
from workflow_src.report.files import read_latex
from workflow_src.report.page.cells import read_table
from workflow_src.report.scores import read_scores, write_scores


@dataclass(frozen=True)
class Kind:
    """A kind of file: its name in the run, and what a later step makes of it."""

    file: str
    read: Callable[[Path], Any]


def _frames(path: Path) -> Any:
    store = FrameStore.open(path)
    columns = [getattr(store, name).tobytes() for name in COLUMNS]
    return store.header, columns, [frames.tobytes() for _, frames in store.chunks()]


def _split(path: Path) -> Any:
    arrays, header = artifacts.read_arrays(path, "split")
    layout.check_names(path, header)
    read_split(path)
    return header, {name: array.tobytes() for name, array in arrays.items()}


def _weights(path: Path) -> Any:
    row = Config.load("config.yaml").method("st-dim")
    encoder, header = load(path, row)
    layout.check_names(path, header)
    return header, {name: one.numpy().tobytes() for name, one in encoder.state_dict().items()}


def _probe(path: Path) -> Any:
    write_scores([path], Path("from-probe.csv"))
    return Path("from-probe.csv").read_bytes()


def _of_frame(read: Callable[[Path], Any]) -> Callable[[Path], Any]:
    return lambda path: read(path).to_csv()


def _published(path: Path) -> Any:
    return read_data(Path(layout.SCORES.path), path.parent).published(path.name, "game").to_csv()


def _measurements(path: Path) -> Any:
    arrays, header = measured.read(path)
    return header, {name: array.tobytes() for name, array in arrays.items()}


def kinds() -> dict[str, Kind]:
    """The kinds of files of a run."""
    return {
        "frames": Kind(world.episodes("probe"), _frames),
        "split": Kind(world.split("probe"), _split),
        "weights": Kind(world.encoder("st-dim"), _weights),
        "probe JSON": Kind(world.probe("st-dim", "linear"), _probe),
        "history CSV": Kind(world.history("st-dim"), _of_frame(read_history)),
        "scores CSV": Kind(layout.SCORES.path, _of_frame(read_scores)),
        "table CSV": Kind("results/tables/table2_f1_by_game.csv", _of_frame(read_table)),
        "table LaTeX": Kind("results/tables/table2_f1_by_game.tex", read_latex),
        "audit CSV": Kind(f"results/audit/paper-2019/{world.GAME}.csv", _of_frame(read_audit)),
        "published CSV": Kind("reference/paper_table2_f1_random_agent.csv", _published),
        "measurements": Kind(layout.MEASURED.path.format(game=world.GAME), _measurements),
    }


def damage(content: bytes, rng: np.random.Generator, others: list[bytes]) -> bytes:
    """One random damage: of bits, bytes, digits, blocks or lines, cut, grown or swapped."""
    size = len(content)
    at, to = sorted(int(place) for place in rng.integers(0, size + 1, 2))
    how = int(rng.integers(12))
    if how == 0:  # a bit
        at = min(at, size - 1)
        return content[:at] + bytes([content[at] ^ 1 << int(rng.integers(8))]) + content[at + 1 :]
    if how == 1:  # a byte
        return content[:at] + rng.bytes(1) + content[at + 1 :]
    if how == 2:  # cut
        return content[:at]
    if how == 3:  # grown
        return content + rng.bytes(int(rng.integers(1, 100)))
    if how == 4:  # a block of zeros
        return content[:at] + bytes(min(to - at, 4096)) + content[min(to, at + 4096) :]
    if how == 5:  # a block twice
        return content[:to] + content[at:to] + content[to:]
    if how == 6:  # a block less
        return content[:at] + content[to:]
    if how == 7:
        return others[int(rng.integers(len(others)))] if others else content[::-1]
    if how == 8:
        return b""
    # What people and editors do to text: a digit, a line, two lines.
    lines = content.split(b"\n")
    if how == 9:
        digits = [i for i in range(size) if content[i : i + 1].isdigit()][:100_000] or [0]
        at = digits[int(rng.integers(len(digits)))]
        return content[:at] + str(int(rng.integers(10))).encode() + content[at + 1 :]
    first, second = (int(i) for i in rng.integers(0, len(lines), 2))
    if how == 10:
        return b"\n".join(lines[:first] + lines[first + 1 :])
    lines[first], lines[second] = lines[second], lines[first]
    return b"\n".join(lines)


def fuzz(rounds: int, rng: np.random.Generator) -> dict[str, Counts]:
    """Damage files of the run in the current directory, ``rounds`` times in all."""
    shutil.copytree(world.ROOT / "reference", "reference", dirs_exist_ok=True)
    found, known = {}, kinds()
    whole = {name: Path(kind.file).read_bytes() for name, kind in known.items()}
    for number, (name, kind) in enumerate(known.items()):
        counts, path = Counts(), Path(kind.file)
        wanted = kind.read(path)
        for turn in range(rounds // len(known) + (number < rounds % len(known))):
            content = damage(whole[name], rng, [one for n, one in whole.items() if n != name])
            path.write_bytes(content)
            outcome, got = attempt(lambda kind=kind, path=path: kind.read(path))
            if outcome is None:
                outcome = SAME if got == wanted else SILENT
            counts.add(outcome, f"{name}, damage {turn}: {got if isinstance(got, str) else ''}")
        path.write_bytes(whole[name])
        found[name] = counts
    return found
