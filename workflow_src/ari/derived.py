"""What follows from labels: velocities, and labels as JSON or as a sentence."""

import json
import re
from collections.abc import Mapping, Sequence

import numpy as np

from workflow_src.ari.labels import is_position

VELOCITY = "_velocity"
_AXIS = re.compile(r"_([xyz])(?=_|\d|$)")


def velocities(
    values: np.ndarray, names: Sequence[str], episode: np.ndarray
) -> dict[str, np.ndarray]:
    """How far each position has moved since the frame before: name -> int64 (n,).

    ``values``: labels (n, V) of the variables ``names``; ``episode`` (n,): the same number for the
    frames of an episode, which follow one another. 0 in an episode's first frame. Signed: a
    difference of bytes would wrap. An object that leaves on one side and comes back on the other
    jumps.
    """
    moved = np.diff(values.astype(np.int64), axis=0, prepend=values[:1].astype(np.int64))
    moved[np.diff(episode, prepend=episode[:1]) != 0] = 0
    return {f"{n}{VELOCITY}": moved[:, i] for i, n in enumerate(names) if is_position(n)}


def as_json(labels: Mapping[str, int]) -> str:
    """Labels as a JSON object of whole numbers, in their order."""
    return json.dumps({name: int(value) for name, value in labels.items()})


def as_text(labels: Mapping[str, int]) -> str:
    """Labels as one sentence.

    Such as "ball at x 80, y 54; enemy at y 33; player score 3.": the coordinates of one thing stand
    together, in the order in which the labels have it.
    """
    things: dict[str, list[str]] = {}
    for name, value in labels.items():
        axis = _AXIS.search(name)
        if axis and is_position(name):
            moving = name.endswith(VELOCITY)
            thing = _words(_AXIS.sub("", name.removesuffix(VELOCITY)))
            start = f"{thing} moves by" if moving else f"{thing} at"
            things.setdefault(start, []).append(f"{axis[1]} {int(value)}")
        else:
            things[_words(name)] = [str(int(value))]
    return "; ".join(f"{start} {', '.join(said)}" for start, said in things.items()) + "."


def _words(name: str) -> str:
    return name.replace("_", " ")
