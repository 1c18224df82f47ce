"""Where running jobs stand: small files that they keep up to date, and lines that show them.

A job that was given a place tells in ``NAME.live.json`` its epoch, losses, speed and the time that
is left, and rewrites ``NAME.live.csv``, its history so far, after every epoch. Both lie beside its
log. `follow` shows those of all running jobs. What cannot be told is left out: no job ends for it.
"""

import contextlib
import datetime
import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Any

# Where this job tells, and what it is called.
_PLACE: ContextVar[tuple[Path, str] | None] = ContextVar("place", default=None)
_TELL_SECONDS = 1.0  # between two tellings
_SHOW_SECONDS = {True: 1.0, False: 15.0}  # on a terminal, in a log
_STALE_SECONDS = 3600.0  # a job that told nothing for so long was killed
_ENDING = ".live.json"


@contextlib.contextmanager
def at(log: Path | None, name: str) -> Iterator[None]:
    """Within, the job ``name`` tells beside its ``log``; that ends with it, its history stays."""
    if log is None:
        yield
        return
    place = log.with_suffix("")
    token = _PLACE.set((place, name))
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            Path(f"{place}{_ENDING}").unlink(missing_ok=True)
        _PLACE.reset(token)


class Meter:
    """Counts what a job has done, and tells how fast it is and how long it will take."""

    def __init__(self, name: str, epochs: int, unit: str, first: int, *, lines: bool = True):
        """``first``: where counting starts; ``lines``: also a line to stderr for each epoch."""
        self._epochs, self._unit, self._first, self._lines = epochs, unit, first, lines
        self._began = self._told = time.monotonic()
        self._epoch = self._units = 0
        self._facts: dict[str, Any] = {"name": name, "epochs": epochs}

    def begin(self, epoch: int) -> None:
        """An epoch begins."""
        self._epoch = epoch
        if epoch <= self._first:
            self._began, self._units = time.monotonic(), 0
        self._facts |= {"epoch": epoch, "share": 0.0}

    def count(self, units: int, share: float) -> None:
        """So many more units are done, and this share of the epoch."""
        self._units += units
        now = time.monotonic()
        if now - self._told >= _TELL_SECONDS:
            self._told = now
            self._facts |= {"share": share} | self._pace(share)
            tell(self._facts)

    def end(self, history: Sequence[Mapping[str, Any]]) -> None:
        """An epoch ended; ``history`` has a row for each one, the last one's last."""
        row = history[-1]
        self._facts |= {"share": 1.0} | self._pace(1.0)
        self._facts |= {name: row[name] for name in ("train_loss", "val_loss") if name in row}
        tell(self._facts)
        self._keep(history)
        if self._lines:
            sys.stderr.write(f"{describe(self._facts)}\n")
            sys.stderr.flush()

    def _pace(self, share: float) -> dict[str, Any]:
        if not self._units:
            return {}
        seconds = max(time.monotonic() - self._began, 1e-9)
        done = max(self._epoch - self._first + share, 1e-9)
        left = max(self._epochs + 1 - self._first - done, 0) * seconds / done
        return {"rate": self._units / seconds, "unit": self._unit, "left": left}

    def _keep(self, history: Sequence[Mapping[str, Any]]) -> None:
        columns = list(history[0])
        lines = [",".join(columns)]
        lines += [",".join(str(row.get(name, "")) for name in columns) for row in history]
        _write(".live.csv", "\n".join(lines) + "\n")


def tell(facts: Mapping[str, Any]) -> None:
    """Say where this job stands: ``epoch``, ``epochs``, and what else `describe` knows."""
    if (place := _PLACE.get()) is not None:
        _write(_ENDING, json.dumps(dict(facts) | {"name": place[1]}))


def _write(ending: str, text: str) -> None:
    if (told := _PLACE.get()) is None:
        return
    place, _ = told
    temporary = Path(f"{place}{ending}.{os.getpid()}")
    with contextlib.suppress(OSError):
        place.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(text)
        temporary.replace(f"{place}{ending}")


def describe(facts: Mapping[str, Any]) -> str:
    """What a job told, in a line."""
    said = f"{facts['name']}: epoch {facts['epoch']} of {facts['epochs']}"
    if 0 < facts.get("share", 0) < 1:
        said += f" ({facts['share']:.0%})"
    for name, title in (("train_loss", "loss"), ("val_loss", "val")):
        if name in facts:
            said += f", {title} {facts[name]:.4g}"
    if "rate" in facts:
        # Training may stop early.
        left = datetime.timedelta(seconds=round(facts["left"]))
        said += f", {facts['rate']:,.0f} {facts['unit']}/s, at most {left} left"
    return said


def running(folder: Path) -> list[dict[str, Any]]:
    """What the running jobs below ``folder`` told last, in the order of their names."""
    found = []
    for file in sorted(folder.rglob(f"*{_ENDING}")):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            if time.time() - file.stat().st_mtime < _STALE_SECONDS:
                facts = json.loads(file.read_text())
                describe(facts)
                found.append(facts)
    return found


def follow(folder: Path, steps: Callable[[], tuple[int, int]], alone: bool) -> None:
    """Show, until this process ends, how many steps are done and where the running jobs stand.

    On a terminal where nothing else is shown (``alone``) one line that changes, with a bar; else
    new lines every 15 seconds, when something has changed. ``steps``: how many are done, and of how
    many.
    """
    bar = alone and sys.stderr.isatty()
    began = time.monotonic()

    def show() -> None:
        before: tuple = ()
        while True:
            time.sleep(_SHOW_SECONDS[bar])
            with contextlib.suppress(Exception):  # whatever Snakemake is doing at this moment
                now = (*steps(), running(folder))
                if now != before:
                    text = status(*now, time.monotonic() - began, bar)
                    sys.stderr.write(f"\r\x1b[K{text}" if bar else f"{text}\n")
                    sys.stderr.flush()
                before = now

    threading.Thread(target=show, daemon=True).start()


def status(
    done: int, total: int, jobs: Sequence[Mapping[str, Any]], seconds: float, bar: bool
) -> str:
    """The line with a bar, or the lines for a log."""
    told = [describe(facts) for facts in jobs]
    steps = f"{done} of {total} steps"
    if not bar:
        passed = datetime.timedelta(seconds=round(seconds))
        return "\n".join([f"{passed}  {steps}", *(f"         {line}" for line in told)])
    filled = round(20 * done / max(total, 1))
    line = f"[{'#' * filled}{'.' * (20 - filled)}] {steps}  {'  |  '.join(told)}"
    return line[: shutil.get_terminal_size().columns - 1]
