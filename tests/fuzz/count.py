"""What came of each try, and how it is told."""

import contextlib
import signal
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from workflow_src.errors import UserError

REFUSED, SAME = "refused", "accepted with the same meaning"
SILENT, TRACEBACK, LOST = "accepted silently", "tracebacks", "lost"
OTHER = "accepted as written"  # a configuration that says something else, and is read as it says
OUTCOMES = (REFUSED, SAME, OTHER, SILENT, TRACEBACK, LOST)
BAD = (SILENT, TRACEBACK, LOST)
_SECONDS = 20  # for one try
_LONGEST = 2500  # characters of an error


class TooLong(Exception):
    """A try that did not end in time."""


class Counts:
    """How many tries ended in which way, with the first of each bad kind in words."""

    def __init__(self) -> None:
        self.tried: Counter[str] = Counter()
        self.bad: list[str] = []

    def add(self, outcome: str, what: str) -> None:
        """Count one try; ``what`` tells how to do it again."""
        self.tried[outcome] += 1
        if outcome in BAD:
            self.bad.append(f"{outcome}: {what}")

    def __str__(self) -> str:
        parts = [
            f"{self.tried[name]} {name}" for name in OUTCOMES if self.tried[name] or name in BAD
        ]
        return f"{sum(self.tried.values())} tried: {', '.join(parts)}"


@contextlib.contextmanager
def in_time(seconds: float = _SECONDS) -> Iterator[None]:
    """`TooLong` when the block takes longer, in the main thread."""

    def stop(number: int, frame: Any) -> None:
        raise TooLong(f"more than {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def attempt(function: Callable[[], Any]) -> tuple[str | None, Any]:
    """(outcome, why) of a refusal or a failure; (None, what it gave) otherwise."""
    try:
        with in_time():
            return None, function()
    except UserError as error:
        said = str(error)
        if "\n" in said or not said or len(said) > _LONGEST:
            return TRACEBACK, f"no single short line: {said[:200]!r}"
        return REFUSED, said
    except Exception:
        return TRACEBACK, traceback.format_exc(limit=-4)
