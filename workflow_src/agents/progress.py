"""Progress of a training as lines of text, which a log and a terminal show alike."""

import datetime
import sys
import time
from collections.abc import Mapping
from typing import Any

from workflow_src import live

_SECONDS = 15.0  # between two lines


class Line:
    """Says how far a training is, how fast, and how long it will take."""

    def __init__(self, name: str, steps: int, *, shown: bool = True):
        self._name, self._steps, self._shown = name, steps, shown
        self._began = self._said = time.monotonic()
        self._start: int | None = None
        self._where, self._epoch = "", (0, 0)

    def begin(self, epoch: int, epochs: int, step: int) -> None:
        """An epoch begins at ``step``."""
        self._where, self._epoch = f"epoch {epoch + 1} of {epochs}", (epoch + 1, epochs)
        if self._start is None:
            self._start = step
            if step:
                self._print(f"resumed after step {step:,}")

    def at(self, step: int) -> None:
        """So many steps have been played; says so at most every few seconds."""
        now = time.monotonic()
        if now - self._said < _SECONDS:
            return
        self._said = now
        self._print(f"{self._where}, step {step:,} of {self._steps:,}, {self._pace(step)}")
        seconds, done = self._since(step)
        rate = done / seconds
        facts: dict[str, Any] = {"name": self._name, "rate": rate, "unit": "steps"}
        facts |= dict(zip(("epoch", "epochs"), self._epoch, strict=True))
        live.tell(facts | {"left": (self._steps - step) / rate})

    def end(self, row: Mapping[str, Any]) -> None:
        """An epoch ended, with this row of the history."""
        step = int(row["step"])
        self._print(
            f"{self._where}, step {step:,} of {self._steps:,}, {self._pace(step)}; "
            f"score {row['score']:.3g}, in training {row['training_score']:.3g}"
        )

    def _since(self, step: int) -> tuple[float, int]:
        """The seconds and the steps since the start."""
        return max(time.monotonic() - self._began, 1e-9), max(step - (self._start or 0), 1)

    def _pace(self, step: int) -> str:
        seconds, done = self._since(step)
        rate = done / seconds
        left = datetime.timedelta(seconds=round((self._steps - step) / rate))
        return f"{rate:,.0f} steps/s, {left} left"

    def _print(self, text: str) -> None:
        if self._shown:
            sys.stderr.write(f"{self._name}: {text}\n")
            sys.stderr.flush()
