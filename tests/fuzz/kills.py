"""Kills at random moments: files are whole, and the next start ends as if undisturbed."""

import hashlib
import os
import re
import shutil
import signal
import sys
import time
from pathlib import Path

import numpy as np

from fuzz import world
from fuzz.count import LOST, SAME, TRACEBACK, Counts
from workflow_src.errors import UserError

_SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
_HIDDEN = re.compile(r"\.(tmp|parts)$")


def _sum(file: str) -> str | None:
    path = Path(file)
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else None


def _start(step: world.Step, log: Path) -> int:
    """Run a step in a fork, in a session of its own; returns its process."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        os.setsid()
        for number in (1, 2):
            os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        step.run()
        code = 0
    except UserError as error:
        sys.stdout.write(f"error: {error}\n")
        code = error.exit_code
    except KeyboardInterrupt:
        code = 130
    finally:
        sys.stdout.flush()
        os._exit(code)


def _alone(group: int) -> bool:
    """Whether all processes of a group end within a few seconds."""
    for _ in range(200):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    os.killpg(group, signal.SIGKILL)
    return False


def fuzz(rounds: int, rng: np.random.Generator) -> Counts:
    """Kill steps of the run in the current directory ``rounds`` times, and start them again."""
    counts, steps, log = Counts(), world.steps(), Path("killed.log")
    whole = {file: _sum(file) for step in steps for file in step.makes}
    took = []
    for step in steps:
        begun = time.monotonic()
        os.waitpid(_start(step, log), 0)
        took.append(time.monotonic() - begun)
    # Short steps more often, so that a thousand kills take minutes.
    odds = 1 / np.maximum(took, 0.05)
    for number in range(rounds):
        index = int(rng.choice(len(steps), p=odds / odds.sum()))
        step, how = steps[index], _SIGNALS[int(rng.integers(len(_SIGNALS)))]
        fresh = bool(rng.integers(2))
        for file in step.makes if fresh else ():
            Path(file).unlink()
        child = _start(step, log)
        time.sleep(float(rng.random()) * took[index] * 1.1)
        os.kill(child, how)
        os.waitpid(child, 0)
        what = f"kill {number} ({how.name}) of {step.name} {step.makes[0]}"
        halves = [file for file in step.makes if _sum(file) not in (None, whole[file])]
        ended = _alone(child)
        _, status = os.waitpid(_start(step, log), 0)
        left = [str(file) for file in Path().rglob(".*") if _HIDDEN.search(file.name)]
        wrong = [file for file in step.makes if _sum(file) != whole[file]]
        if status:
            counts.add(TRACEBACK, f"{what}: {log.read_text()[-500:]}")
        elif halves or wrong or left or not ended:
            counts.add(LOST, f"{what}: half {halves}, wrong {wrong}, left {left}, alone {ended}")
        else:
            counts.add(SAME, what)
        for file in left:
            shutil.rmtree(file) if Path(file).is_dir() else Path(file).unlink()
    return counts
