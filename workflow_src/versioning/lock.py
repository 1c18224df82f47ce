"""Reading ``dvc.lock``, and DVC itself with its errors in one line.

DVC has one hash for a folder, and the hashes of its files in its cache, which a fresh clone lacks.
``recorded.csv`` next to ``dvc.lock`` lists the files of folders; a folder's rows count only if they
give the hash in ``dvc.lock``.
"""

import contextlib
import csv
import hashlib
import io
import json
import logging
import os
import posixpath
import re
import sqlite3
import sys
from collections.abc import Container, Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml
from dvc.config import NoRemoteError
from dvc.exceptions import DvcException
from dvc.lock import LockError
from dvc.repo import Repo, lock_repo
from dvc.rwlock import rwlock
from dvc.scm import SCMError
from dvc_data.hashfile.hash_info import HashInfo
from dvc_data.hashfile.meta import Meta
from dvc_data.hashfile.tree import Tree

from workflow_src import artifacts, provenance
from workflow_src.errors import UserError, explained

LISTING = "recorded.csv"
_HASH = re.compile(r"[0-9a-f]{32}")
# What DVC writes of a file or folder. It would also read others, such as a folder's files.
_KEYS = {"path", "hash", "md5", "size", "nfiles", "isexec"}
for _name in (
    "dvc",
    "dvc_data",
    "dvc_objects",
):  # they say page by page what is told here in a line
    logging.getLogger(_name).setLevel(logging.CRITICAL)


def read(run: Path) -> dict[str, dict[str, Any]]:
    """{stage: its entry in ``dvc.lock``}, empty without a lock; `UserError` if it is damaged."""
    file = run / "dvc.lock"
    if not file.exists():
        return {}
    with explained("read", file):
        text = file.read_text(errors="replace")
    mend = (
        f"`git checkout HEAD -- {file}`, or remove it where git has none; then `python -m "
        f"workflow_src record --run {run}`"
    )
    for number, line in enumerate(text.splitlines(), 1):
        if re.match(r"<{7} |={7}$|>{7} ", line):
            raise UserError(f"{file} has a conflict marker in line {number}: {mend}")
    try:
        content = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        stages = content["stages"] or {}
        for part, entry in _entries(stages, "deps", "outs"):
            _check_entry(part, entry)
        return stages
    except (yaml.YAMLError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise UserError(
            f"{file} is damaged ({' '.join(str(error).split())[:80]}): {mend}"
        ) from error


def _entries(
    stages: dict[str, dict[str, Any]], *parts: str
) -> Iterator[tuple[str, dict[str, Any]]]:
    return (
        (part, entry)
        for stage in stages.values()
        for part in parts
        for entry in stage.get(part) or []
    )


def _check_entry(part: str, entry: dict[str, Any]) -> None:
    """`ValueError` for an invalid entry, or one with an output outside the run."""
    path = entry["path"]
    if not isinstance(path, str) or (
        part == "outs" and not _inside(path)
    ):  # sources may lie elsewhere
        raise ValueError(f"{path!r} is no path inside of the run")
    if not _HASH.fullmatch(entry["md5"].removesuffix(".dir")):
        raise ValueError(f"no hash of {path}")
    if others := {*map(str, entry)} - _KEYS:
        raise ValueError(f"{min(others)} of {path} is unknown")
    if entry.get("hash", "md5") != "md5":
        raise ValueError(f"the hash of {path} is no md5")


def _inside(path: Any) -> bool:
    """Whether a path is relative, normalised and without ``..``."""
    if not isinstance(path, str) or "\0" in path or posixpath.isabs(path):
        return False
    return path == posixpath.normpath(path) and path.split("/")[0] not in (".", "..")


@contextlib.contextmanager
def dvc(run: Path) -> Iterator[Repo]:
    """DVC's repository of a run, from its directory; its errors as `UserError` in one line."""
    read(run)  # DVC's own words for a damaged lock are a page
    if not (run / ".dvc").is_dir():
        raise UserError(
            f"{run} is not recorded by DVC yet: `python -m workflow_src record --run {run}` begins "
            "it"
        )
    with explained_dvc(run), contextlib.chdir(run), Repo() as repo:
        _listing(Path())
        for digest in _folders("deps", "outs"):  # before DVC reads the cache's
            _cached(repo, digest)
        yield repo


@contextlib.contextmanager
def explained_dvc(run: Path) -> Iterator[None]:
    """Turn DVC's errors into a `UserError`: one line."""
    try:
        yield
    except LockError as error:
        raise UserError(
            f"DVC is at work in {run}: wait for it; if nothing of it is left, `rm "
            f"{run}/.dvc/tmp/rwlock*`"
        ) from error
    except SCMError as error:
        mend = "clone it with git, or `dvc config core.no_scm true`"
        raise UserError(
            f"{run} is not in a git repository, which .dvc/config expects: {mend}"
        ) from error
    except DvcException as error:
        raise UserError(f"DVC: {' '.join(str(error).split())}") from error
    except sqlite3.Error as error:
        raise UserError(
            f"DVC cannot write its notes in {run / '.dvc'} ({error}): is the disk full?"
        ) from error
    except OSError as error:
        file = error.filename or run / ".dvc"
        with explained("write", file):
            if isinstance(error, FileNotFoundError):
                raise UserError(f"DVC cannot write {file}: {error.strerror}") from error
            raise


@contextlib.contextmanager
def alone(repo: Repo) -> Iterator[None]:
    """Hold DVC's locks, including those that it releases while the command of a stage runs."""
    with lock_repo(repo):
        outs = [out.fs_path for out in repo.index.outs]
        with rwlock(
            repo.tmp_dir,
            repo.fs,
            " ".join(sys.argv),
            [],
            outs,
            repo.config["core"].get("hardlink_lock", False),
        ):
            yield


def unreachable(repo: Repo) -> str:
    """Why the remote cannot be reached, or ``""``: asked once, since DVC asks for each folder."""
    try:
        remote = repo.cloud.get_remote_odb()
        remote.fs.exists(remote.path)
    except NoRemoteError:
        return ""
    except Exception as error:  # whatever the remote's own library raises
        return f"DVC: {' '.join(str(error).split())}"
    return ""


def _folders(*parts: str) -> set[str]:
    """The hashes of the folders in ``dvc.lock``."""
    return {
        entry["md5"] for _, entry in _entries(read(Path()), *parts) if entry["md5"].endswith(".dir")
    }


def fetch_listings(repo: Repo) -> tuple[set[str], str]:
    """Fetch missing lists of folders into the cache; returns their hashes, or why there are none.

    A list is checked before DVC sees it, which takes its paths and hashes for names of files.
    `UserError` when it is not to be trusted; one that is damaged is left where it is.
    """
    remote, cache = repo.cloud.get_remote_odb(), repo.cache.local
    wanted, why = _folders("outs"), ""
    for digest in wanted:
        if cache.exists(digest):
            continue
        try:
            with remote.fs.open(remote.oid_to_path(digest), "rb") as opened:
                content = opened.read()
        except FileNotFoundError as error:  # the bucket, too
            why = " ".join(str(error).split())
            continue
        spelled = _spelled_out(content, f"{digest} of the remote")
        tree = _tree(spelled or {})
        if spelled is not None and tree.hash_info.value == digest:
            cache.add(tree.path, tree.fs, digest)
    whole = {digest for digest in wanted if cache.exists(digest)}
    return whole, "" if whole else why


def _cached(repo: Repo, digest: str) -> dict[str, str] | None:
    """{file in a folder: MD5} by the cache, None where that has no list of it, or a damaged one."""
    file = Path(repo.cache.local.oid_to_path(digest))
    return _spelled_out(file.read_bytes(), os.path.relpath(file)) if file.is_file() else None


def _spelled_out(content: bytes, name: str) -> dict[str, str] | None:
    """{file: MD5} of DVC's list of a folder, None if damaged; `UserError` if it leads outside."""
    try:
        rows = json.loads(content)
    except (ValueError, RecursionError):
        return None
    if not isinstance(rows, list):
        return None
    for row in rows:
        if (
            not isinstance(row, dict)
            or {*row} != {"relpath", "md5"}
            or not _safe(row["relpath"], row["md5"])
        ):
            mend = "remove it, have whoever pushed it push it again, and adopt again"
            raise UserError(
                f"the list of a folder {name} has {str(row)[:80]!r}, no file inside of it and its "
                f"hash: {mend}"
            )
    return {row["relpath"]: row["md5"] for row in rows}


def _safe(path: Any, md5: Any) -> bool:
    """Whether a row of a list names a file inside, and a hash."""
    return _inside(path) and isinstance(md5, str) and _HASH.fullmatch(md5) is not None


def check_places(files: Iterable[str]) -> None:
    """`UserError` when a link leads one of the run's files out of the current directory."""
    here = Path(os.path.realpath("."))
    for folder in {Path(file).parent for file in files}:
        if not (there := Path(os.path.realpath(folder))).is_relative_to(here):
            raise UserError(
                f"{folder} is {there}, outside of the run: put a folder in place of the link, then "
                "adopt again"
            )


def md5(file: Path) -> str:
    """A file's MD5, always computed: DVC itself would trust its notes."""
    with explained("read", file), open(file, "rb") as opened:
        return hashlib.file_digest(opened, "md5").hexdigest()


def files(run: Path, repo: Repo | None = None) -> dict[str, dict[str, str] | None]:
    """{stage: {file: MD5}} of all that is recorded; None for a folder whose files are unknown."""
    listed = _listing(run)
    return {
        stage: _merged(_spelled(out, listed, repo) for out in entry.get("outs", []))
        for stage, entry in read(run).items()
        if stage != provenance.STAGE  # what it writes is in git
    }


def _merged(parts: Iterator[dict[str, str] | None]) -> dict[str, str] | None:
    whole: dict[str, str] = {}
    for part in parts:
        if part is None:
            return None
        whole |= part
    return whole


def _spelled(
    out: dict[str, Any], listed: dict[str, str], repo: Repo | None
) -> dict[str, str] | None:
    folder, digest = out["path"], out["md5"]
    if not digest.endswith(".dir"):
        return {folder: digest}
    named = {
        file.removeprefix(f"{folder}/"): md5
        for file, md5 in listed.items()
        if file.startswith(f"{folder}/")
    }
    rows: dict[str, str] | None = named
    if _tree(named).hash_info.value != digest:
        rows = None if repo is None else _cached(repo, digest)
    if rows is None:
        return None
    return {f"{folder}/{file}": rows[file] for file in sorted(rows, key=lambda f: f.split("/"))}


def _tree(rows: dict[str, str]) -> Tree:
    tree = Tree()
    for file, md5 in rows.items():
        tree.add(tuple(file.split("/")), Meta(), HashInfo("md5", md5))
    tree.digest()
    return tree


def _listing(run: Path) -> dict[str, str]:
    file = run / LISTING
    if not file.exists():
        return {}
    with explained("read", file):
        text = file.read_text(errors="replace")
    try:
        rows = [
            (row["path"], row["md5"])
            for row in csv.DictReader(io.StringIO(text))
            if row.get("path") and row.get("md5")
        ]
    except csv.Error:
        return {}  # what it says counts only where it adds up
    for path, digest in rows:
        if not _safe(path, digest):
            mend = (
                f"`git checkout HEAD -- {file}`, or remove it; then `python -m workflow_src "
                "record` where it was made"
            )
            raise UserError(
                f"{file} has {f'{path},{digest}'[:80]!r}, no file inside of the run and its hash: "
                f"{mend}"
            )
    return dict(rows)


def write_listing(run: Path, repo: Repo) -> None:
    """Spell out in ``recorded.csv`` what ``dvc.lock`` says of folders."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["path", "md5"])
    for spelled in files(run, repo).values():
        writer.writerows((spelled or {}).items())
    file = run / LISTING
    if not file.exists() or file.read_bytes() != text.getvalue().encode():
        artifacts.write_text(file, text.getvalue())


def otherwise(changed: list, named: Container[str] = ()) -> list[str]:
    """What differs since a stage was recorded, by DVC's status: settings, code, folders, command.

    Folders that are not here, or ``named`` elsewhere, are not counted.
    """
    names: list[str] = []
    for what in changed:
        if isinstance(what, str):
            names.append(what)
            continue
        for name, how in what.get("changed deps", {}).items():
            if isinstance(how, dict):
                of = "code of " if name.endswith(provenance.FILE) else ""
                names += [f"{of}{key}" for key in how]
            elif name not in named and not (how == "deleted" and name.startswith("results/")):
                names.append(name)
    return names


def remote(repo: Repo) -> str:
    """The remote that is asked where none is named, in words."""
    name = repo.config["core"].get("remote")
    if not name:
        return "a remote (none is set: `dvc remote add --default NAME URL`)"
    url = repo.config["remote"].get(name, {}).get("url")
    if not url:
        return (
            f"the remote {name} (.dvc/config does not say where it is: `dvc remote add {name} URL`)"
        )
    absent = ", which is not there" if Path(url).is_absolute() and not Path(url).exists() else ""
    return (
        f"the remote {name} "
        f"({os.path.relpath(url) if Path(url).is_relative_to(Path.cwd()) else url}{absent})"
    )
