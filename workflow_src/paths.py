"""Paths as people write them in a configuration, and as a run has them."""

import os
from pathlib import Path

from workflow_src.errors import UserError


def expanded(file: str | Path) -> Path:
    """``file`` with the home directory of ``~`` or ``~name``; `UserError` for an unknown user."""
    try:
        return Path(file).expanduser()
    except RuntimeError as error:
        raise UserError(
            f"{file}: there is no home directory of {Path(file).parts[0]}; write the path in full"
        ) from error


def place(path: str | os.PathLike) -> str:
    """A path as a run has it, from ``results/`` on; empty for a file outside of a run."""
    _, found, below = f"/{Path(path).as_posix()}".rpartition("/results/")
    return f"results/{below}" if found else ""
