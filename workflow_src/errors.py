"""The exception for user errors: its text is all they see, and the process ends with code 2."""

import difflib
import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path


class UserError(Exception):
    """One line that names the thing, the reason and the fix, printed without a traceback."""

    exit_code = 2


class DamagedFile(UserError):
    """A file that does not match its own checksum, or is not of the kind that its name says."""


_NOT_A_DIRECTORY = (
    "a part of the path is a file, not a directory; move it away or choose another directory"
)
_REASONS = {
    errno.ENOSPC: "the disk is full; free some space and run again",
    errno.EDQUOT: "the disk quota is used up; free some space and run again",
    errno.EACCES: "permission denied; make the directory writable or choose another",
    errno.EPERM: "permission denied; make the directory writable or choose another",
    errno.EROFS: "the file system is read-only; choose another directory",
    errno.ENOTDIR: _NOT_A_DIRECTORY,
    errno.EEXIST: _NOT_A_DIRECTORY,
    errno.EISDIR: "it is a directory; move it away",
    errno.EFBIG: "the file exceeds the file-size limit (ulimit -f); raise the limit and run again",
    errno.EMFILE: "too many files are open (ulimit -n); raise the limit and run again",
    errno.ENFILE: "too many files are open on this machine; close some and run again",
    errno.ENOMEM: "there is not enough memory; free some and run again",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
    errno.ELOOP: "its symbolic links lead in a circle; remove them",
    errno.EIO: "the disk reports an error; check it, and run again",
    errno.ESTALE: "the network file system lost it; mount it again, and run again",
}


@contextmanager
def explained(action: str, path: str | os.PathLike) -> Iterator[None]:
    """Turn an operating system's error into a `UserError`: ``cannot {action} {path}: why; fix``.

    Errors that nobody foresaw keep the system's own words.
    """
    try:
        yield
    except OSError as error:
        if isinstance(error, FileNotFoundError) and action == "read":
            raise UserError(
                f"cannot read {Path(path)}: there is no such file; make it first"
            ) from error
        if error.errno is None:  # not from the system, but a library's own
            raise
        why = _REASONS.get(error.errno, f"{os.strerror(error.errno).lower()}; check the path")
        raise UserError(f"cannot {action} {Path(path)}: {why}") from error


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`` (did you mean x?)`` for the known name closest to ``name``, or an empty string."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def unknown(thing: str, name: str, known: Iterable[str]) -> str:
    """Say that ``name`` is not a known ``thing``, and list the known ones."""
    known = list(known)
    return (
        f"unknown {thing} {name!r}{did_you_mean(name, known)}; known: {', '.join(known) or 'none'}"
    )


def one_of(thing: str, name: str, known: Iterable[str]) -> str:
    """``name`` if it is ``known``, else a `UserError` that names the known ones."""
    known = list(known)
    if name not in known:
        raise UserError(unknown(thing, name, known))
    return name
