"""Paths as people write them in a configuration."""

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
