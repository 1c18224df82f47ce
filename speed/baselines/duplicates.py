"""Which frames occur among others, by a Python set of their bytes.

Frames are read from the same file as ours, so that only the looking up differs. The set holds every
frame of train, raw.
"""

import numpy as np

from workflow_src.episodes.store import FrameStore


def occurs(store: FrameStore, known: slice, asked: slice) -> np.ndarray:
    """Say which rows ``asked`` show a frame of the rows ``known`` before them: bool (n,)."""
    seen, found = set(), []
    for first, frames in store.chunks():
        for row, frame in enumerate(frames, first):
            if known.start <= row < known.stop:
                seen.add(frame.tobytes())
            elif asked.start <= row < asked.stop:
                found.append(frame.tobytes() in seen)
    return np.array(found)
