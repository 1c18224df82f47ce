"""Shared by all scripts: rows of the table, and sides measured in turn in fresh processes."""

import multiprocessing
import operator
import os
import statistics
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import click
import pandas as pd
import psutil

# A look at one process takes 0.05 ms, at a family several: it must not take anything from what is
# timed.
_SAMPLE_SECONDS = {True: 0.02, False: 0.25}


@dataclass(frozen=True)
class Row:
    """A line of the table and of latest.json: medians over rounds; null where a side is missing."""

    step: str
    unit: str
    ours: float
    baseline: float | None = None
    limit: float | None = None
    baseline_ratio: float | None = None
    limit_ratio: float | None = None
    peak_mb: float | None = None  # of our side, see `alone`


@dataclass(frozen=True)
class Bench:
    """How to measure: the number of rounds, and where the scripts share collected frames."""

    directory: Path
    rounds: int = 3
    tiny: bool = False  # sizes that say nothing about speed, for tests
    cores: int = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    # As in config.yaml: with more threads, small problems only wait for one another.
    threads: int = 2

    def size(self, full: int, tiny: int) -> int:
        """How much to do."""
        return tiny if self.tiny else full


class Measured(NamedTuple):
    """What a call gave, and the most memory it took."""

    value: Any
    peak_mb: float


def alone(function: Callable[[], Any], beside_files: bool = False) -> Measured:
    """Call ``function`` in a fresh process: no warm caches, and its memory measured alone.

    A rate is what the function says: it times what it wants to, after loading. Memory: the most
    that was resident, of the process and its children together, pages they share counted once.
    ``beside_files``: without the pages of files that were mapped while it ran; those of libraries,
    loaded before, still count.
    """
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_call, args=(there, function))
    process.start()
    there.close()
    try:
        libraries, peak = here.recv(), 0
        while not here.poll(_SAMPLE_SECONDS[beside_files]):
            peak = max(
                peak, _own(process.pid) + libraries if beside_files else _of_family(process.pid)
            )
        value, error, own, most = here.recv()
    except EOFError:
        value, error, own, most, libraries = None, "it was killed", 0, 0, 0
    process.join()
    if error is not None:
        raise RuntimeError(f"{function} failed in its process:\n{error}")
    return Measured(value, round(max(peak, own + libraries if beside_files else most) / 1e6, 1))


def _call(pipe, function: Callable[[], Any]) -> None:
    """In the fresh process: what was loaded by now are libraries."""
    pipe.send(psutil.Process().memory_info().shared)
    try:
        value, error = function(), None
    except Exception:
        value, error = None, traceback.format_exc()
    # The kernel's own high-water mark misses nothing between two samples. getrusage has the
    # parent's in it.
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    pipe.send((value, error, _own(os.getpid()), int(status["VmHWM"].split()[0]) * 1024))


def _own(pid: int) -> int:
    """Bytes of a process that no file backs."""
    memory = psutil.Process(pid).memory_info()
    return memory.rss - memory.shared


def _of_family(pid: int) -> int:
    """Bytes of a process and its children; 0 where the kernel keeps no such count."""
    processes = psutil.Process(pid).children(recursive=True)
    total = 0
    for process in [psutil.Process(pid), *processes] if processes else []:
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            total += process.memory_full_info().pss
    return total


def interleaved(
    rounds: int, sides: Mapping[str, Callable[[], Any]], **options: bool
) -> dict[str, list[Measured]]:
    """Measure all sides in turn, ``rounds`` times."""
    found: dict[str, list[Measured]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, side in sides.items():
            found[name].append(alone(side, **options))
    return found


def row(step: str, unit: str, found: Mapping[str, list[Measured]], scale: float = 1.0) -> Row:
    """The row of the rates ``ours``, and of ``baseline`` and ``limit`` where they exist.

    ``scale``: what of the limit's unit one of ours is worth, such as GFLOP a pair.
    """
    rates = {
        name: [one.value for one in found[name]]
        for name in ("ours", "baseline", "limit")
        if name in found
    }
    if "limit" in rates:
        rates["limit"] = [rate / scale for rate in rates["limit"]]
    medians = {name: statistics.median(values) for name, values in rates.items()}
    ratios = {
        f"{name}_ratio": statistics.median(map(operator.truediv, rates["ours"], values))
        for name, values in rates.items()
        if name != "ours"
    }
    return Row(step, unit, **medians, **ratios, peak_mb=max(one.peak_mb for one in found["ours"]))


def rate(number: float, do: Callable[[], Any]) -> float:
    """How many of ``number`` things a second are done by a call."""
    start = time.perf_counter()
    do()
    return number / (time.perf_counter() - start)


def content(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Rows as latest.json has them, to four digits."""
    return [
        {k: v if not isinstance(v, float) else float(f"{v:.4g}") for k, v in asdict(row).items()}
        for row in rows
    ]


def table(rows: Iterable[Row]) -> str:
    """Rows as a person reads them."""
    columns = {"baseline_ratio": "x baseline", "limit_ratio": "x limit", "peak_mb": "peak MB"}
    frame = (
        pd.DataFrame(content(rows))
        .set_index(["step", "unit"])
        .astype(float)
        .reset_index()
        .rename(columns=columns)
    )
    for name in ("step", "unit"):
        frame[name] = frame[name].str.ljust(frame[name].str.len().max())
    return frame.to_string(index=False, na_rep="-", float_format=_number, justify="left")


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


@contextmanager
def bench(rounds: int, tiny: bool) -> Iterator[Bench]:
    """A bench whose shared frames are removed at the end."""
    with tempfile.TemporaryDirectory(prefix="speed-") as directory:
        yield Bench(Path(directory), rounds, tiny, threads=1 if tiny else 2)


def script(rows: Callable[[Bench], Iterable[Row]]) -> None:
    """The command line of one script."""

    @click.command(help=(rows.__doc__ or "").splitlines()[0])
    @click.option("--rounds", type=click.IntRange(min=1), default=3, show_default=True)
    @click.option("--tiny", is_flag=True, help="Sizes that say nothing about speed.")
    def main(rounds: int, tiny: bool) -> None:
        with bench(rounds, tiny) as at:
            click.echo(table(rows(at)))

    main()
