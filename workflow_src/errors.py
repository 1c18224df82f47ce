"""The one exception for what a person can get wrong: its text is all they see, and the process ends with code 2."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class UserError(Exception):
    """One line that names the thing, the reason and the mend. The command line prints it without a traceback."""

    exit_code = 2


class DamagedFile(UserError):
    """A file whose content does not match its own checksum, or which is not of the kind its name says."""


_REASONS = {
    errno.ENOSPC: "the disk is full; free some space and run again",
    errno.EDQUOT: "the disk quota is used up; free some space and run again",
    errno.EACCES: "permission denied; make the directory writable or choose another",
    errno.EPERM: "permission denied; make the directory writable or choose another",
    errno.EROFS: "the file system is read-only; choose another directory",
    errno.ENOTDIR: "a part of the path is a file, not a directory; move it away or choose another directory",
    errno.EISDIR: "there is a directory of that name; move it away",
    errno.EFBIG: "the file is larger than the file-size limit (ulimit -f) allows; raise the limit and run again",
}


@contextmanager
def explained(action: str, path: str | os.PathLike) -> Iterator[None]:
    """Turn an operating system's error about ``path`` into a `UserError`: ``cannot {action} {path}: why; mend``."""
    try:
        yield
    except OSError as error:
        if isinstance(error, FileNotFoundError) and action == "read":
            raise UserError(f"cannot read {Path(path)}: there is no such file; make it first") from error
        if error.errno not in _REASONS:
            raise
        raise UserError(f"cannot {action} {Path(path)}: {_REASONS[error.errno]}") from error
