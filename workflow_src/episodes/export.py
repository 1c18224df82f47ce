"""Frames, RAM and labels of a frame store in formats that other programs read."""

from pathlib import Path
from typing import Any

import numpy as np

from workflow_src import artifacts
from workflow_src.ari import labels as ari_labels
from workflow_src.episodes.store import CHUNK, COLUMNS, FRAME_BYTES, FrameStore

FORMATS = ("npz", "parquet")


def export(store: FrameStore, label_set: str, out: Path, form: str) -> None:
    """Write a store's records as ``npz`` or ``parquet``; the same store gives the same bytes.

    ``npz``: arrays ``frames`` uint8 (n, 210, 160), ``labels`` int64 (n, V), ``names`` (V,), and the
    store's columns by name (see `store.COLUMNS`). ``parquet``: a row for each frame, with ``frame``
    and ``ram`` as bytes, a column ``label_NAME`` for each variable, and the other columns; needs
    PyArrow. The label of a row belongs to its frame. `UserError` for a game that the label set does
    not have.
    """
    names = list(ari_labels.variables(label_set, store.header["game"]))
    labels = ari_labels.labels(store.ram, label_set, store.header["game"])
    columns = {name: getattr(store, name) for name in COLUMNS}
    with artifacts.atomic(out) as temporary:
        if form == "npz":
            frames = store.read(np.arange(len(store.ram)))
            with open(temporary, "wb") as file:
                named = {"frames": frames, "labels": labels, "names": np.array(names)}
                np.savez_compressed(file, allow_pickle=False, **named, **columns)
        else:
            _parquet(store, dict(zip(names, labels.T, strict=True)), columns, temporary)


def _parquet(
    store: FrameStore, labels: dict[str, np.ndarray], columns: dict[str, Any], path: Path
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    plain = {name: column for name, column in columns.items() if name != "ram"}
    named = {f"label_{name}": column for name, column in labels.items()}
    fields = {"frame": pa.binary(FRAME_BYTES), "ram": pa.binary(store.ram.shape[1])}
    fields |= {name: pa.from_numpy_dtype(column.dtype) for name, column in (plain | named).items()}
    with pq.ParquetWriter(path, pa.schema(list(fields.items())), compression="zstd") as writer:
        for start in range(0, len(store.ram), CHUNK):
            rows = slice(start, start + CHUNK)
            frames = store.read(np.arange(len(store.ram))[rows])
            blobs = {"frame": frames, "ram": store.ram[rows]}
            arrays = {
                name: pa.FixedSizeBinaryArray.from_buffers(
                    fields[name], len(blob), [None, pa.py_buffer(np.ascontiguousarray(blob))]
                )
                for name, blob in blobs.items()
            }
            arrays |= {name: pa.array(column[rows]) for name, column in (plain | named).items()}
            writer.write_table(pa.table(arrays))
