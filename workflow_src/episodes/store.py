"""The frame store: one compressed, chunked, checksummed file per (game, policy, purpose, seed).

The file is a Blosc2 array (``blosc2.open(path)[i]`` is a frame): zstd without filter in chunks of
256 frames, blocks of 32, one thread, since more threads change the bytes. Beside the frames, in the
file's own metadata, stand a JSON header, the other columns of the records (RAM, action, reward,
lives, end, episode, game) and SHA-256 sums: one for each compressed chunk, checked when the chunk
is read, and one over everything else, checked when the file is opened. So any chunk is read alone,
and nothing damaged is read on.

Sizes measured on 20,000 random-agent frames: 90 (Pong) to 620 (Ms Pac-Man) bytes a frame of 33,600.
Columns are kept in memory while writing: 150 bytes a frame.
"""

import errno
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import blosc2
import numpy as np
import safetensors
import safetensors.numpy

from workflow_src import artifacts
from workflow_src.emulator.environment import HEIGHT, RAM_BYTES, WIDTH
from workflow_src.errors import DamagedFile, explained

# More threads give other bytes, in the metadata too, which take this global setting.
blosc2.set_nthreads(1)

CHUNK, BLOCK = 256, 32
FRAME_SHAPE = (HEIGHT, WIDTH)
FRAME_BYTES = HEIGHT * WIDTH
KIND = "episodes"
# Of this kind of file: 2 renamed entries of the header (num_envs, frame_skip, frames_per_env).
FORMAT = 2

# Ms Pac-Man, the largest of those measured: level 2 takes 16 us and 620 bytes a frame, level 3 36
# us and 420, beside the emulator's 240 us. Speed decides: on average over games even level 2 stays
# far below 1.5 % of the raw bytes.
_COMPRESSION = {
    "codec": blosc2.Codec.ZSTD,
    "clevel": 2,
    "filters": [blosc2.Filter.NOFILTER],
    "filters_meta": [0],
    "nthreads": 1,
    "typesize": 1,
    "blocksize": BLOCK * FRAME_BYTES,
}

# Name -> type and shape of one record's part beside the frame. ``action`` led to the frame
# (NO_ACTION at an episode's start), ``reward`` came with it, ``end`` is a code of `environment`;
# ``episode`` and ``game`` count up within the file.
COLUMNS: dict[str, tuple[type, tuple[int, ...]]] = {
    "ram": (np.uint8, (RAM_BYTES,)),
    "action": (np.uint8, ()),
    "reward": (np.float32, ()),
    "lives": (np.uint8, ()),
    "end": (np.uint8, ()),
    "episode": (np.int32, ()),
    "game": (np.int32, ()),
}
NO_ACTION = 255


def empty_columns(frames: int) -> dict[str, np.ndarray]:
    """Arrays for ``frames`` records, by column."""
    return {name: np.zeros((frames, *shape), dtype) for name, (dtype, shape) in COLUMNS.items()}


def compress(chunk: np.ndarray) -> bytes:
    """Compress CHUNK frames, (256, 210, 160) uint8; the same frames give the same bytes."""
    return blosc2.compress2(chunk, **_COMPRESSION)


def write(
    path: str | os.PathLike,
    chunks: Iterator[bytes],
    columns: dict[str, np.ndarray],
    header: dict[str, Any],
) -> None:
    """Write a store from compressed chunks, the last padded to CHUNK frames, and columns."""
    frames = len(columns["ram"])
    with artifacts.atomic(path) as temporary, _reason(temporary, columns):
        array = blosc2.empty(
            (frames, HEIGHT, WIDTH),
            dtype=np.uint8,
            chunks=(CHUNK, HEIGHT, WIDTH),
            blocks=(BLOCK, HEIGHT, WIDTH),
            urlpath=str(temporary),
            mode="w",
            contiguous=True,
            cparams={k: v for k, v in _COMPRESSION.items() if k not in ("typesize", "blocksize")},
        )
        digests = b""
        for i, chunk in enumerate(chunks):
            array.schunk.update_chunk(i, chunk)
            digests += hashlib.sha256(chunk).digest()
        meta = {
            "columns": safetensors.numpy.save(columns),
            "digests": digests,
            "header": json.dumps(
                {"format": FORMAT, "kind": KIND, **header}, sort_keys=True
            ).encode(),
        }
        for name, value in meta.items():
            array.schunk.vlmeta[name] = value
        array.schunk.vlmeta["seal"] = _seal(meta)


@contextmanager
def _reason(path: Path, columns: dict[str, np.ndarray]) -> Iterator[None]:
    """Find out why Blosc2 could not write, by writing as much again through the system."""
    try:
        yield
    except RuntimeError:
        with open(path, "ab") as file:
            file.write(
                bytes(2 * (CHUNK * FRAME_BYTES + sum(column.nbytes for column in columns.values())))
            )
        raise


def _seal(meta: dict[str, bytes]) -> bytes:
    digest = hashlib.sha256()
    for name in ("columns", "digests", "header"):
        digest.update(hashlib.sha256(meta[name]).digest())
    return digest.digest()


class FrameStore:
    """A collection of frames and their records, open for reading.

    ``header``: what was collected and how; ``sha256``: of the whole content; ``len(store)``:
    frames; the columns are attributes, such as ``store.ram`` (n, 128) uint8.
    """

    def __init__(
        self,
        path: Path,
        array: blosc2.NDArray,
        header: dict,
        columns: dict[str, np.ndarray],
        digests: bytes,
        seal: str,
    ):
        self.path, self.header, self.sha256 = path, header, seal
        # The array owns the memory of its schunk, and must be kept alive for it.
        self._array, self._columns, self._digests = array, columns, digests

    @classmethod
    def open(cls, path: str | os.PathLike) -> "FrameStore":
        """Open a store and check all but its chunks; `DamagedFile` when a checksum fails."""
        path = Path(path)
        with explained("read", path):
            open(path, "rb").close()
        try:
            array = blosc2.open(str(path), mode="r")
            meta = {
                name: array.schunk.vlmeta[name] for name in ("columns", "digests", "header", "seal")
            }
            seal = meta.pop("seal")
            if seal != _seal(meta):
                raise ValueError("seal")
            header, columns = json.loads(meta["header"]), safetensors.numpy.load(meta["columns"])
            frames = len(columns["ram"])
            if array.shape != (frames, HEIGHT, WIDTH) or array.schunk.nchunks != -(
                -frames // CHUNK
            ):
                raise ValueError("shape")
        # Blosc2 raises errors of many types, MemoryError among them, on a file that is not one of
        # its own.
        except (Exception, MemoryError) as error:
            raise cls._unreadable(path) from error
        artifacts.check_kind(path, KIND, header["kind"], header["format"], FORMAT)
        return cls(path, array, header, columns, meta["digests"], seal.hex())

    @staticmethod
    def _unreadable(path: Path) -> DamagedFile:
        """The error for a file that Blosc2 could not read; `UserError` if the system is short."""
        with explained("read", path), open(path, "rb"):
            try:
                np.ones(2 * CHUNK * FRAME_BYTES, np.uint8)
            except MemoryError:
                raise OSError(errno.ENOMEM, "memory") from None
        return DamagedFile(
            f"{path} is damaged, truncated or not a frame file: delete it and collect it again"
        )

    def __len__(self) -> int:
        return len(self._columns["ram"])

    def __getattr__(self, name: str) -> np.ndarray:
        try:
            return self.__dict__["_columns"][name]
        except KeyError:
            raise AttributeError(name) from None

    def chunk(self, i: int, out: np.ndarray | None = None) -> np.ndarray:
        """The ``i``-th chunk of frames, checked, (up to 256, 210, 160) uint8.

        Written into ``out`` (256, 210, 160) if given.
        """
        out = np.empty((CHUNK, HEIGHT, WIDTH), np.uint8) if out is None else out
        try:
            compressed = self._array.schunk.get_chunk(i)
            if hashlib.sha256(compressed).digest() != self._digests[32 * i : 32 * (i + 1)]:
                raise ValueError("chunk")
            blosc2.decompress2(compressed, dst=out, nthreads=1)
        except (RuntimeError, ValueError, MemoryError) as error:
            raise self._unreadable(self.path) from error
        return out[: len(self) - i * CHUNK]

    def chunks(self) -> Iterator[tuple[int, np.ndarray]]:
        """(first row, frames) of each chunk in order. The array is reused: copy what you keep."""
        buffer = np.empty((CHUNK, HEIGHT, WIDTH), np.uint8)
        for i in range(-(-len(self) // CHUNK)):
            yield i * CHUNK, self.chunk(i, buffer)

    def read(self, rows: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """The frames of ``rows`` (n,), ascending: (n, 210, 160) uint8, into ``out`` if given.

        Only their chunks are read.
        """
        out = np.empty((len(rows), HEIGHT, WIDTH), np.uint8) if out is None else out
        buffer = np.empty((CHUNK, HEIGHT, WIDTH), np.uint8)
        touched = rows // CHUNK
        first = np.flatnonzero(np.diff(touched, prepend=-1))
        for start, stop in pairwise([*first, len(rows)]):
            i = int(touched[start])
            if (
                stop - start == CHUNK
            ):  # whole chunks, which is most of them, go straight to their place
                self.chunk(i, out[start:stop])
            else:
                np.take(
                    self.chunk(i, buffer), rows[start:stop] - i * CHUNK, axis=0, out=out[start:stop]
                )
        return out
