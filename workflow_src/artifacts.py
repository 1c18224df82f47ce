"""Reading and writing every kind of file: atomic, deterministic, checked.

A file is written beside its place and renamed when it is complete, so what bears the final name is
always whole. The same content gives the same bytes: sorted keys, no time stamps. Arrays (weights,
splits) are safetensors with a header, a format version and a SHA-256 over names, types, shapes and
data; frames have a store of their own (`episodes.store`).
"""

import contextlib
import errno
import glob
import hashlib
import json
import os
import platform
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from workflow_src.errors import DamagedFile, UserError, explained

# One number for all files of this package: raise it when any format changes in a way older readers
# would misread.
FORMAT = 1


@contextlib.contextmanager
def atomic(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a hidden path to write to, which is renamed to ``path`` when the block succeeds.

    After an error nothing is left. After SIGKILL the hidden file is left, and the next writer of
    ``path`` removes it.
    """
    path = Path(path)
    with explained("write", path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(path)
        temporary = path.with_name(f".{path.name}.{_here()}-{os.getpid()}.tmp")
        try:
            yield temporary
            with open(temporary, "rb+") as file:
                os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def check_writable(*paths: str | os.PathLike) -> None:
    """Refuse outputs that cannot be written, before the work; `UserError` as when writing."""
    for path in map(Path, paths):
        with explained("write", path):
            nearest = next(parent for parent in path.absolute().parents if parent.exists())
            if not nearest.is_dir():
                raise OSError(errno.ENOTDIR, "a file")
            if not os.access(nearest, os.W_OK):
                raise OSError(errno.EACCES, "not writable")


@contextlib.contextmanager
def scratch(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a hidden temporary directory next to ``path``, which is removed at the end."""
    path = Path(path)
    with explained("write", path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(path)
        directory = path.with_name(f".{path.name}.{_here()}-{os.getpid()}.parts")
        shutil.rmtree(directory, ignore_errors=True)
        try:
            directory.mkdir()
            yield directory
        finally:
            shutil.rmtree(directory, ignore_errors=True)


def _sweep(path: Path) -> None:
    """Remove what writers of ``path`` left on this machine that no longer run.

    A number of a process means nothing on another machine or in another container, which may share
    the directory: what they left stays.
    """
    for left in path.parent.glob(f".{glob.escape(path.name)}.{_here()}-*.*"):
        match = re.fullmatch(r"(\d+)\.(tmp|parts)", left.name.rpartition("-")[2])
        if match and not _runs(int(match[1])):
            shutil.rmtree(left, ignore_errors=True) if left.is_dir() else left.unlink(
                missing_ok=True
            )


def _here() -> str:
    """A name for where numbers of processes are valid: this machine, or this container of it."""
    parts = [platform.node()]
    with contextlib.suppress(OSError):  # where there is no /proc
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text())
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:8]


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write ``text`` as UTF-8 with Unix line ends."""
    with atomic(path) as temporary:
        temporary.write_bytes(text.encode())


def write_json(path: str | os.PathLike, content: Any) -> None:
    """Write ``content`` as indented JSON with sorted keys; NaN is refused."""
    write_text(path, json.dumps(content, indent=1, sort_keys=True, allow_nan=False) + "\n")


def read_json(path: str | os.PathLike) -> Any:
    """Read a JSON file; `DamagedFile` when it does not parse."""
    with explained("read", path):
        try:
            return json.loads(Path(path).read_bytes())
        except (ValueError, RecursionError) as error:
            raise DamagedFile(
                f"{path} is damaged (it is not JSON): delete it and make it again"
            ) from error


def write_checked_json(path: str | os.PathLike, content: Mapping[str, Any]) -> None:
    """`write_json` of a mapping and its SHA-256, as the key ``sha256``."""
    write_json(path, {**content, "sha256": _digest_of_json(content)})


def read_checked_json(path: str | os.PathLike) -> dict[str, Any]:
    """Read what `write_checked_json` wrote; `DamagedFile` when the checksum does not match."""
    content = read_json(path)
    found = content.pop("sha256", None) if isinstance(content, dict) else None
    if found is None or found != _digest_of_json(content):
        raise _damaged(path)
    return content


def _digest_of_json(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _digest(arrays: Mapping[str, np.ndarray], header: str) -> str:
    digest = hashlib.sha256(header.encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(json.dumps([name, array.dtype.str, array.shape]).encode())
        digest.update(array.data)
    return digest.hexdigest()


def write_arrays(
    path: str | os.PathLike, kind: str, arrays: Mapping[str, np.ndarray], header: Mapping[str, Any]
) -> None:
    """Write named arrays, a header and the ``kind`` of file as one safetensors file.

    safetensors orders several metadata keys at random, so everything stands as one JSON string
    under one key.
    """
    text = json.dumps(dict(header), sort_keys=True, allow_nan=False)
    arrays = {name: np.require(array, requirements="C") for name, array in arrays.items()}
    envelope = {"format": FORMAT, "header": text, "kind": kind, "sha256": _digest(arrays, text)}
    blob = safetensors.numpy.save(
        arrays, metadata={"workflow_src": json.dumps(envelope, sort_keys=True)}
    )
    with atomic(path) as temporary:
        temporary.write_bytes(blob)


def read_arrays(path: str | os.PathLike, kind: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read a file of arrays.

    `DamagedFile` when the checksum fails, `UserError` for another kind or version.
    """
    envelope = _envelope(path, kind)
    try:
        arrays = safetensors.numpy.load_file(path)
    except (safetensors.SafetensorError, ValueError, KeyError) as error:
        raise _damaged(path) from error
    if _digest(arrays, envelope["header"]) != envelope["sha256"]:
        raise _damaged(path)
    return arrays, json.loads(envelope["header"])


def read_header(path: str | os.PathLike, kind: str) -> dict[str, Any]:
    """The header of a file of arrays, without its data (and so without checking them)."""
    return json.loads(_envelope(path, kind)["header"])


def _envelope(path: str | os.PathLike, kind: str) -> dict[str, Any]:
    with explained("read", path):
        open(path, "rb").close()
        try:
            with safetensors.safe_open(path, framework="numpy") as file:
                envelope = json.loads(file.metadata()["workflow_src"])
            envelope = {name: envelope[name] for name in ("format", "header", "kind", "sha256")}
            json.loads(envelope["header"])
        except (safetensors.SafetensorError, ValueError, KeyError, TypeError) as error:
            raise DamagedFile(
                f"{path} is damaged, or not a file of {kind} made by this workflow: make it again"
            ) from error
    check_kind(path, kind, envelope["kind"], envelope["format"])
    return envelope


def check_kind(
    path: str | os.PathLike, kind: str, found_kind: str, found_format: int, known: int | None = None
) -> None:
    """Refuse a file of another kind or of another version of the format."""
    if found_kind != kind:
        raise UserError(f"{path} holds {found_kind}, not {kind}: name the right file")
    known = FORMAT if known is None else known
    if found_format != known:
        raise UserError(
            f"{path} has format version {found_format}, this program reads version {known}: "
            "make it again"
        )


def _damaged(path: str | os.PathLike) -> DamagedFile:
    return DamagedFile(
        f"{path} is damaged (checksum or structure does not match): delete it and make it again"
    )
