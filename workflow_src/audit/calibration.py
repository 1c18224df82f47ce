"""From a RAM byte to the pixel where its object is drawn: fitted by writing, checked in play.

At some moments of random play a byte is written and the emulator goes on for two frames; what then
differs from most renders is the object. Its place against the byte's value gives the map. At other
moments the renders with written values show what lies behind the object, so that it can be found in
the frame that was not touched: how far it is from where the map puts it is the measured error.

A byte that the game computes anew in every frame cannot be written. Then another byte is written,
one from which the game computes it.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import numpy as np
from scipy import ndimage

from workflow_src.ari.calibrated import ENCODINGS, LINEAR, Map, axis_of, period, positions
from workflow_src.audit.writing import moments
from workflow_src.emulator.environment import (
    CONTINUES,
    HEIGHT,
    NOOP,
    RAM_BYTES,
    WIDTH,
    Environment,
)

# Moments at which a map is fitted, and others at which it is checked.
FITTED, CHECKED = 24, 150
# Values that are written at most, of a byte, at a moment of either kind.
_TO_FIT, _TO_CHECK = 48, 12
# Emulator frames after a write that are looked at, one by one: some objects show in every other.
_FRAMES = 2
# Steps of random play from which a byte's usual values are learned.
_PLAYED = 4000
# Pixels: an object so far from where the map puts it counts as found there.
CLOSE = 2
# A map is kept if so many objects were found in frames of play, this share of them at most a
# sprite's width from where it puts them, and half of them close.
ENOUGH, KEPT, SPRITE = 12, 0.8, 8
# More than so many times the pixels that move in most renders: something else happened.
_OTHER = 3
# Pixels at most so far apart belong to one object; smaller than this share of the largest: a speck.
_GAP, _SPECK = 5, 0.25
# Moments and values for finding the bytes that a byte is computed from, and how many are tried.
_SEARCHED, _TO_SEARCH, _SOURCES = 6, 8, 4
# Values of a byte, fewer of which show no map.
_DISTINCT = 3
_SCALES = (1.0, -1.0, 2.0, -2.0, 0.5, -0.5)
# Pixels between the copies of a sprite that the television interface draws, up to three.
_COPIES = (0, 16, 32)
# Which pixel of an object its place is: the mean, the first or the last along the axis.
ANCHORS = ("centre", "start", "end")
# A simpler or a shared map is taken if it is as good but for this share of objects.
_AS_GOOD = 0.02
# Copies are taken if they explain so many more: three places are easier to hit than one.
_COPIED = 0.2


class Seen(NamedTuple):
    """What was seen along one axis: n objects in m renders, each with one object or more."""

    render: np.ndarray  # (n,) int64, ascending: which render an object is in
    place: np.ndarray  # (n, 3) float64, by `ANCHORS`, in pixels
    byte: np.ndarray  # (m,) uint8: the byte's value after the frame
    written: np.ndarray  # (m,) bool: whether the render was of a written value


class Fit(NamedTuple):
    """A map, the anchor of its places, and the distance of the sprite's copies or 0."""

    map: Map
    anchor: int
    copies: int


class Calibration(NamedTuple):
    """What was measured of one variable; ``reason`` says why its map is not kept."""

    fit: Fit | None
    source: int  # the byte that was written
    fitted: int  # renders with an object, at the moments of fitting
    checked: int  # frames of play with an object, at other moments
    error: float  # median error in the checked frames, in pixels
    error_90: float  # 90 % of the errors are at most this
    within: float  # share of errors of at most `CLOSE` pixels
    extent: float  # median length of the object along the axis, in pixels
    reason: str = ""


class Watched(NamedTuple):
    """The moments and the usual values that all variables of a game share."""

    environment: Environment
    usual: list[np.ndarray]  # of each of the 128 bytes, ascending uint8
    fitted: list[Any]  # states of the emulator
    checked: list[Any]


def watch(environment: Environment, rng: np.random.Generator) -> Watched:
    """Play at random: learn the usual values, and choose moments."""
    usual = values_in_play(environment, rng)
    fitted = list(moments(environment, rng, FITTED))
    return Watched(environment, usual, fitted, list(moments(environment, rng, CHECKED)))


def calibrate(watched: Watched, wanted: dict[str, int]) -> dict[str, Calibration]:
    """Calibrate variables of a position, each of one axis: their RAM indices by name.

    Variables that differ in a number alone share a map wherever it is as good as their own.
    """
    seen = {name: see(watched, name, index, index) for name, index in wanted.items()}
    found = {}
    for names in families(wanted):
        shared = fit(together([seen[name] for name in names]), axis_of(names[0]))
        for name in names:
            found[name] = _calibrated(watched, name, wanted[name], seen[name], shared)
    follows: np.ndarray | None = None
    for name, index in wanted.items():
        if not found[name].reason or len(watched.usual[index]) == 1:
            continue
        if follows is None:
            follows = followers(watched)
        for source in _sources(follows, index):
            through = see(watched, name, index, source)
            other = _calibrated(watched, name, index, through, None, source)
            if not other.reason:
                found[name] = other
                break
    return {name: found[name] for name in wanted}


def families(names: dict[str, int]) -> list[list[str]]:
    """The names by what is left without their numbers, in their order."""
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(re.sub(r"\d+", "", name), []).append(name)
    return list(found.values())


def values_in_play(environment: Environment, rng: np.random.Generator) -> list[np.ndarray]:
    """The values that each of the 128 bytes takes in random play, ascending uint8."""
    seen = np.zeros((RAM_BYTES, 256), bool)
    frame, ram = np.empty((HEIGHT, WIDTH), np.uint8), np.empty(RAM_BYTES, np.uint8)
    ended = True
    for _ in range(_PLAYED):
        if ended:
            environment.reset(frame)
        action = int(rng.integers(len(environment.actions)))
        ended = environment.step(action, frame)[1] != CONTINUES
        environment.ram(ram)
        seen[np.arange(RAM_BYTES), ram] = True
    return [np.flatnonzero(row).astype(np.uint8) for row in seen]


def spread(values: np.ndarray, count: int) -> np.ndarray:
    """At most ``count`` of the ``values``, evenly, the first and the last among them."""
    return values[np.unique(np.linspace(0, len(values) - 1, count).round().astype(int))]


def renders(
    environment: Environment, state: Any, byte: int, values: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Go on from ``state`` as it is, and with each of ``values`` (w,) written to ``byte``.

    Returns screens (w + 1, frames, H, W) uint8, numbers of colours, and the RAM after each,
    (w + 1, frames, 128) uint8.
    """
    ale, noop = environment.ale, environment.actions[NOOP]
    screens = np.empty((len(values) + 1, _FRAMES, *ale.getScreenDims()), np.uint8)
    rams = np.empty((len(values) + 1, _FRAMES, RAM_BYTES), np.uint8)
    for i, value in enumerate([None, *values.tolist()]):
        ale.restoreState(state)
        if value is not None:
            ale.setRAM(byte, value)
        for frame in range(_FRAMES):
            ale.act(noop)
            ale.getScreen(screens[i, frame])
            ale.getRAM(rams[i, frame])
    return screens, rams


def moved(screens: np.ndarray) -> np.ndarray:
    """Where each of ``screens`` (w, H, W) differs from most of them: (w, H, W) bool."""
    found = np.zeros(screens.shape, bool)
    some = (screens != screens[0]).any(axis=0)
    if some.any():
        pixels = screens[:, some]
        found[:, some] = pixels != np.partition(pixels, len(pixels) // 2, axis=0)[len(pixels) // 2]
    return found


def objects(mask: np.ndarray, axis: str) -> np.ndarray:
    """The objects in ``mask`` (H, W) bool along ``axis``: (n, 3) float64, by `ANCHORS`.

    Pixels that are near each other are of one object; specks beside the largest are left out. Of
    several objects, the last row is of all together: a byte can place a formation.
    """
    along = "yx".index(axis)
    at = np.nonzero(mask)
    if not len(at[0]):
        return np.empty((0, len(ANCHORS)))
    box = tuple(slice(one.min(), one.max() + 1) for one in at)
    near = np.pad(mask[box], _GAP // 2)
    number, count = ndimage.label(ndimage.binary_dilation(near, np.ones((_GAP, _GAP))))
    of = number[tuple(one - part.start + _GAP // 2 for one, part in zip(at, box, strict=True))]
    size = np.bincount(of, minlength=count + 1)
    kept = np.flatnonzero(size >= _SPECK * size.max())
    places = [at[along][of == one] for one in kept]
    places += [at[along][np.isin(of, kept)]] if len(kept) > 1 else []
    return np.array([(one.mean(), one.min(), one.max()) for one in places])


def see(watched: Watched, name: str, index: int, source: int, in_play: bool = False) -> Seen:
    """What moves when values are written to ``source``, against the byte ``index``.

    ``in_play``: at the moments of checking, and of the renders without a written value alone.
    """
    axis, states = axis_of(name), watched.checked if in_play else watched.fitted
    values = spread(watched.usual[source], _TO_CHECK if in_play else _TO_FIT)
    found, byte, written = [], [], []
    for state in states if len(values) > 1 else []:
        screens, rams = renders(watched.environment, state, source, values)
        for frame in range(_FRAMES):
            masks = moved(screens[:, frame])
            size = masks.sum(axis=(1, 2))
            usual = np.median(size[size > 0]) if size.any() else 0
            for i in np.flatnonzero((size > 0) & (size <= _OTHER * usual)):
                if i == 0 or not in_play:
                    found.append(objects(masks[i], axis))
                    byte.append(rams[i, frame, index])
                    written.append(i > 0)
    render = np.repeat(np.arange(len(found)), [len(one) for one in found])
    place = np.concatenate([np.empty((0, len(ANCHORS))), *found])
    return Seen(render, place, np.array(byte, np.uint8), np.array(written, bool))


def together(parts: list[Seen]) -> Seen:
    """Several variables' renders as one."""
    before = np.cumsum([0, *(len(one.byte) for one in parts[:-1])])
    render = np.concatenate([one.render + n for one, n in zip(parts, before, strict=True)])
    place, byte, written = (
        np.concatenate([getattr(one, column) for one in parts])
        for column in ("place", "byte", "written")
    )
    return Seen(render, place, byte, written)


def error(one: Fit, seen: Seen) -> np.ndarray:
    """How far the nearest object is from where the byte puts one, in pixels: (m,) float64.

    A byte can place several objects: the copies of a sprite, or one that is cut by the edge.
    """
    if not len(seen.byte):
        return np.empty(0)
    put = positions(one.map)[seen.byte[seen.render]][:, None]
    put = put + np.array(sorted({0, one.copies, 2 * one.copies}))
    errors = np.abs(put - seen.place[:, [one.anchor]]).min(axis=1)
    return np.minimum.reduceat(errors, np.flatnonzero(np.diff(seen.render, prepend=-1)))


def share(one: Fit, seen: Seen) -> float:
    """The share of renders with an object where it should be.

    Renders of written values and of play count alike, however many there are of each.
    """
    near = error(one, seen) <= CLOSE
    groups = [near[seen.written == kind] for kind in (True, False)]
    return float(np.mean([group.mean() for group in groups if len(group)]))


def fit(seen: Seen, axis: str) -> Fit | None:
    """The map with the most objects where they should be; None if too few values were seen.

    Of those that are about as good the first: of one sprite before copies, the centre before an
    edge. The place of copies is that of the leftmost.
    """
    if len(np.unique(seen.byte)) < _DISTINCT:
        return None
    candidates = []
    for copies in _COPIES if axis == "x" else (0,):
        for encoding in ENCODINGS if axis == "x" else (LINEAR,):
            for scale in _SCALES if encoding == LINEAR else (1.0,):
                for anchor in range(len(ANCHORS)):
                    one = Fit(Map(encoding, scale, 0.0), anchor, copies)
                    offset = _offset(one.map, seen, anchor)
                    # The object that is seen most often can be any of the copies.
                    for before in range(3 if copies else 1):
                        there = one.map._replace(offset=offset - before * copies)
                        candidates.append(one._replace(map=there))
    shares = np.array([share(one, seen) - _COPIED * (one.copies > 0) for one in candidates])
    return candidates[int(np.flatnonzero(shares >= shares.max() - _AS_GOOD)[0])]


def _offset(one: Map, seen: Seen, anchor: int) -> float:
    """The most frequent offset, to half a pixel, as near to 0 as the period allows."""
    byte = seen.byte[seen.render]
    rest = seen.place[:, anchor] - one.scale * ENCODINGS[one.encoding](byte)
    if period(one):
        rest = rest % period(one)
    offsets, counts = np.unique(np.round(2 * rest) / 2, return_counts=True)
    offset = float(offsets[counts.argmax()])
    return offset - period(one) if offset > period(one) / 2 > 0 else offset


def _calibrated(
    watched: Watched,
    name: str,
    index: int,
    seen: Seen,
    shared: Fit | None,
    source: int | None = None,
) -> Calibration:
    """A variable's own map, or the shared one if it is as good, and its errors in play."""
    source = index if source is None else source
    nothing = Calibration(None, source, len(seen.byte), 0, np.nan, np.nan, np.nan, np.nan)
    if len(watched.usual[index]) == 1:
        return nothing._replace(reason=f"{watched.usual[index][0]} in every frame")
    own = fit(seen, axis_of(name))
    if own is None:
        return nothing._replace(reason="writing it moves nothing")
    if shared is not None and share(shared, seen) >= share(own, seen) - _AS_GOOD:
        own = shared
    play = see(watched, name, index, source, in_play=True)
    errors = error(own, play)
    if len(errors) < ENOUGH:
        return nothing._replace(reason=f"its object was in {len(errors)} of the frames only")
    near, middle = float((errors <= SPRITE).mean()), float(np.median(errors))
    reason = (
        f"half of the objects are {middle:.1f} pixels or more from it" if middle > CLOSE else ""
    )
    if near < KEPT:
        reason = f"{near:.0%} of objects are within {SPRITE} pixels of it"
    return Calibration(
        own,
        source,
        len(seen.byte),
        len(errors),
        middle,
        float(np.quantile(errors, 0.9)),
        float((errors <= CLOSE).mean()),
        float(np.median(play.place[:, 2] - play.place[:, 1] + 1)),
        reason,
    )


def followers(watched: Watched) -> np.ndarray:
    """How many values each byte has when another is written, in the mean: (128, 128) float64.

    Row: the byte that is written; column: the one that is read two frames later.
    """
    found = np.zeros((RAM_BYTES, RAM_BYTES))
    states = watched.fitted[:: FITTED // _SEARCHED]
    for source, usual in enumerate(watched.usual):
        for state in states if len(usual) > 1 else []:
            _, rams = renders(watched.environment, state, source, spread(usual, _TO_SEARCH))
            last = np.sort(rams[:, -1].astype(int), axis=0)
            found[source] += 1 + (np.diff(last, axis=0) != 0).sum(axis=0)
    return found / len(states)


def _sources(follows: np.ndarray, index: int) -> list[int]:
    """The bytes that move ``index`` most when they are written."""
    order = np.argsort(-follows[:, index], kind="stable").tolist()
    found = [one for one in order if one != index and follows[one, index] >= _DISTINCT]
    return found[:_SOURCES]
