"""Fetching a published file over HTTPS: listed first, then resumed where it was cut off, checked.

The server is one of Google's storage: it lists names with sizes and MD5 sums.
"""

import base64
import hashlib
import shutil
import urllib.parse
from pathlib import Path
from typing import NamedTuple

import requests

from workflow_src.errors import UserError

# Seconds without a byte until a try ends, and how often it is tried.
TIMEOUT, TRIES = 20.0, 4
# Bytes written at a time: no more than these are lost when a connection breaks.
_PIECE = 1 << 12
_LARGEST = 256 << 20


class Listed(NamedTuple):
    """What a server says of a file."""

    size: int
    md5: str  # in hexadecimal digits


def listing(source: str, folder: str) -> dict[str, Listed]:
    """{name: what is said of it} of the files of a folder; `UserError` without the server.

    ``source`` is ``https://HOST/BUCKET/PREFIX``.
    """
    host, bucket, prefix = _parts(source)
    inside = f"{prefix}{folder}/"
    found: dict[str, Listed] = {}
    page = ""
    while True:
        query = {"prefix": inside, "fields": "nextPageToken,items(name,size,md5Hash)"}
        query |= {"pageToken": page} if page else {}
        try:
            answer = requests.get(f"{host}/storage/v1/b/{bucket}/o", params=query, timeout=TIMEOUT)
            answer.raise_for_status()
            content = answer.json()
            for item in content.get("items", []):
                name = item["name"].removeprefix(inside)
                if "/" not in name:
                    digest = base64.b64decode(item["md5Hash"], validate=True).hex()
                    found[name] = Listed(int(item["size"]), digest)
        except (
            requests.RequestException,
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
        ) as error:
            raise UserError(
                f"{source} cannot be listed ({_said(error)}): name a folder with the published "
                "files (published source), or try again later"
            ) from error
        page = content.get("nextPageToken", "")
        if not page:
            return found


def fetch(source: str, name: str, listed: Listed | None, working: Path) -> bytes:
    """The content of a file, of the size and the MD5 sum that its server listed.

    What was fetched before it was cut off is kept in ``working``, and goes on from there.
    """
    assert listed is not None
    if listed.size > _LARGEST:
        raise UserError(f"{source}/{name} has {listed.size:,} bytes: it is no agent")
    working.mkdir(parents=True, exist_ok=True)
    part = working / f"{listed.md5}.part"
    said = ""
    for _ in range(TRIES):
        try:
            _continue(f"{source}/{urllib.parse.quote(name)}", part, listed.size)
        except (requests.RequestException, OSError) as error:
            said = _said(error)
        if part.is_file() and part.stat().st_size == listed.size:
            content = part.read_bytes()
            if hashlib.md5(content, usedforsecurity=False).hexdigest() == listed.md5:
                return content
            part.unlink()
            raise UserError(
                f"{source}/{name} is damaged: its MD5 sum is not the one that the server lists; "
                "try again later"
            )
    have = part.stat().st_size if part.is_file() else 0
    raise UserError(
        f"{source}/{name} was cut off at {have:,} of {listed.size:,} bytes ({said or 'no answer'}):"
        " try again, it goes on from there"
    )


def _continue(url: str, part: Path, size: int) -> None:
    """Fetch what is missing of a file; never more than its size."""
    have = part.stat().st_size if part.is_file() else 0
    if have > size:
        part.unlink()
        have = 0
    if have == size:
        return
    headers = {"Range": f"bytes={have}-"} if have else {}
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as answer:
        answer.raise_for_status()
        # A server that knows no ranges sends all of it again.
        goes_on = have and answer.status_code == requests.codes.partial_content
        with part.open("ab" if goes_on else "wb") as file:
            left = size - (have if goes_on else 0)
            for piece in answer.iter_content(_PIECE):
                file.write(piece[:left])
                left -= len(piece)
                if left < 0:
                    break


def forget(working: Path) -> None:
    """Remove what was fetched."""
    shutil.rmtree(working, ignore_errors=True)


def _parts(source: str) -> tuple[str, str, str]:
    parsed = urllib.parse.urlsplit(source)
    bucket, _, prefix = parsed.path.strip("/").partition("/")
    return f"{parsed.scheme}://{parsed.netloc}", bucket, f"{prefix}/" if prefix else ""


def _said(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:120]
