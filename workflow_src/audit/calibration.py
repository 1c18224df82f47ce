"""From a RAM byte to the pixel where its object is drawn: fitted by writing, checked in play.

At some moments of random play a byte is written and the emulator goes on for two frames; what then
differs from most renders is the object. Its place against the byte's value gives the map. At other
moments the renders with written values show what lies behind the object, so that it can be found in
the frame that was not touched: how far it is from where the label puts it is the measured error.

A byte that the game computes anew in every frame cannot be written. Then another byte is written,
one from which the game computes it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from scipy import ndimage

from workflow_src.ari.calibrated import (
    ENCODINGS,
    LINEAR,
    Map,
    axis_of,
    period,
    pixels,
    positions,
)
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
# Pixels: an object so far from where the map puts it is close; and a sprite's width.
CLOSE, SPRITE = 2, 8
# A map is kept if its object was found at so many moments of play, with so many values of the byte;
# if half of the objects are close and this share within a sprite's width; and if it is right about
# this share of what the same bytes in another order are wrong about.
MOMENTS, DISTINCT, KEPT, SKILL = 10, 5, 0.8, 0.5
# Other orders of the bytes.
_ORDERS = 10
# More than so many times the pixels that move in most renders: something else happened.
_OTHER = 3
# Pixels at most so far apart belong to one object; smaller than this share of the largest: a speck.
_GAP, _SPECK = 5, 0.25
# Moments and values for finding the bytes that a byte is computed from, and how many are tried.
_SEARCHED, _TO_SEARCH, _SOURCES = 6, 8, 4
# Values of a byte, fewer of which show no map.
_VALUES = 3
_SCALES = (1.0, -1.0, 2.0, -2.0, 0.5, -0.5)
# Pixels between the copies of a sprite that the television interface draws, up to three.
_COPIES = (0, 16, 32)
# Which pixel of an object is followed: the mean, the first or the last along the axis.
ANCHORS = ("centre", "start", "end")
# A simpler or a shared map is taken if it is as good but for this share of objects.
_AS_GOOD = 0.02
# Copies are taken if they explain so many more: three places are easier to hit than one.
_COPIED = 0.2


class Seen(NamedTuple):
    """What was seen along one axis: n objects in m renders, each with one object or more."""

    render: np.ndarray  # (n,) int64, ascending: the number of the render that an object is in
    place: np.ndarray  # (n, 3) float64, in pixels: columns as in `ANCHORS`
    byte: np.ndarray  # (m,) uint8: the byte's value after the frame
    written: np.ndarray  # (m,) bool: whether the render was of a written value
    moment: np.ndarray  # (m,) int64: the number of the moment


class Fit(NamedTuple):
    """The map of an anchor: which column of `Seen.place`, and the distance of copies or 0."""

    map: Map
    anchor: int
    copies: int


class Calibration(NamedTuple):
    """What was measured of one variable; ``reason`` says why its map is not kept."""

    map: Map | None  # of the object's centre
    anchor: str  # what was followed
    copies: int  # pixels between the copies, or 0
    source: int  # the byte that was written
    extent: float  # median length of the object along the axis, in pixels
    moments: int  # of play at which the object was found
    distinct: int  # values of the byte then
    error: float  # median error of the label in those frames, in pixels
    error_90: float  # 90 % of the errors are at most this
    within: float  # share of errors of at most `CLOSE` pixels
    chance: float  # the same with the bytes in another order
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

    Variables that differ in a number alone share the anchor, and the map wherever it is as good as
    their own. Those that writing does not calibrate are tried through another byte.
    """
    seen = {name: see(watched, name, index, index) for name, index in wanted.items()}
    found = {}
    for names in families(wanted):
        pooled = together([seen[name] for name in names])
        axis = axis_of(names[0])
        shared = fit(pooled, axis)
        for name in names:
            own = seen[name]
            best = fit(own, axis, [shared.anchor]) if shared else None
            if best and shared and share(shared, axis, own) >= share(best, axis, own) - _AS_GOOD:
                best, own = shared, pooled
            found[name] = check(watched, name, wanted[name], wanted[name], best, own)
    follows: np.ndarray | None = None
    for name, index in wanted.items():
        if not found[name].reason or len(watched.usual[index]) == 1:
            continue
        if follows is None:
            follows = followers(watched)
        tried = []
        for source in _sources(follows, index):
            through = see(watched, name, index, source)
            one = fit(through, axis_of(name))
            if one is not None:
                tried.append((share(one, axis_of(name), through), source, one, through))
        if tried:
            # Chosen by the moments of fitting alone.
            _, source, one, through = max(tried, key=lambda candidate: candidate[0])
            other = check(watched, name, index, source, one, through)
            found[name] = found[name] if other.reason else other
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
    usual = watched.usual[source]
    found, byte, written, moment = [], [], [], []
    for number, state in enumerate(states):
        # The value that is there would count twice.
        watched.environment.ale.restoreState(state)
        others = usual[usual != watched.environment.ale.getRAM()[source]]
        if len(others) < 2:
            continue
        values = spread(others, _TO_CHECK if in_play else _TO_FIT)
        screens, rams = renders(watched.environment, state, source, values)
        for frame in range(_FRAMES):
            masks = moved(screens[:, frame])
            size = masks.sum(axis=(1, 2))
            typical = np.median(size[size > 0]) if size.any() else 0
            for i in np.flatnonzero((size > 0) & (size <= _OTHER * typical)):
                if i == 0 or not in_play:
                    found.append(objects(masks[i], axis))
                    byte.append(rams[i, frame, index])
                    written.append(i > 0)
                    moment.append(number)
    render = np.repeat(np.arange(len(found)), [len(places) for places in found])
    place = np.concatenate([np.empty((0, len(ANCHORS))), *found])
    return Seen(
        render,
        place,
        np.array(byte, np.uint8),
        np.array(written, bool),
        np.array(moment, np.int64),
    )


def together(parts: list[Seen]) -> Seen:
    """Several variables' renders as one."""
    before = np.cumsum([0, *(len(part.byte) for part in parts[:-1])])
    render = np.concatenate([part.render + n for part, n in zip(parts, before, strict=True)])
    columns = ("place", "byte", "written", "moment")
    return Seen(
        render, *(np.concatenate([getattr(part, column) for part in parts]) for column in columns)
    )


def nearest(put: np.ndarray, copies: int, anchor: int, seen: Seen) -> np.ndarray:
    """How far the nearest object is from where the byte puts one, in pixels: (m,) float64.

    ``put`` (256,): where each value puts the anchor. A byte can place several objects: the copies
    of a sprite, or one that is cut by the edge.
    """
    if not len(seen.byte):
        return np.empty(0)
    expected = put[seen.byte[seen.render]][:, None] + np.array(sorted({0, copies, 2 * copies}))
    errors = np.abs(expected - seen.place[:, [anchor]]).min(axis=1)
    return np.minimum.reduceat(errors, np.flatnonzero(np.diff(seen.render, prepend=-1)))


def error(one: Fit, axis: str, seen: Seen) -> np.ndarray:
    """`nearest` to where a fit puts the anchor: (m,) float64."""
    return nearest(positions(one.map, axis), one.copies, one.anchor, seen)


def share(one: Fit, axis: str, seen: Seen, in_play: bool = False) -> float:
    """The share of renders with an object where it should be.

    Renders of written values and of play count alike, however many there are of each; ``in_play``:
    those of play alone, and 0 without any.
    """
    near = error(one, axis, seen) <= CLOSE
    if in_play:
        return float(near[~seen.written].mean()) if (~seen.written).any() else 0.0
    groups = [near[seen.written == kind] for kind in (True, False)]
    return float(np.mean([group.mean() for group in groups if len(group)]))


def fit(seen: Seen, axis: str, anchors: Iterable[int] = range(len(ANCHORS))) -> Fit | None:
    """The map with the most objects where they should be; None if too few values were seen.

    Of those that are about as good, the best in play, and of these the first: of one sprite before
    copies, the centre before an edge. The place of copies is that of the leftmost.
    """
    if len(np.unique(seen.byte)) < _VALUES:
        return None
    candidates = []
    for copies in _COPIES if axis == "x" else (0,):
        for encoding in ENCODINGS if axis == "x" else (LINEAR,):
            for scale in _SCALES if encoding == LINEAR else (1.0,):
                for anchor in anchors:
                    one = Fit(Map(encoding, scale, 0.0), anchor, copies)
                    offset = _offset(one.map, seen, anchor)
                    # The object that is seen most often can be any of the copies.
                    for before in range(3 if copies else 1):
                        there = one.map._replace(offset=offset - before * copies)
                        candidates.append(one._replace(map=there))
    shares = np.array([share(one, axis, seen) - _COPIED * (one.copies > 0) for one in candidates])
    good = [candidates[i] for i in np.flatnonzero(shares >= shares.max() - _AS_GOOD)]
    return max(good, key=lambda one: share(one, axis, seen, in_play=True))


def _offset(one: Map, seen: Seen, anchor: int) -> float:
    """The most frequent offset, to half a pixel, as near to 0 as the period allows."""
    byte = seen.byte[seen.render]
    rest = seen.place[:, anchor] - one.scale * ENCODINGS[one.encoding](byte)
    if period(one):
        rest = rest % period(one)
    offsets, counts = np.unique(np.round(2 * rest) / 2, return_counts=True)
    offset = float(offsets[counts.argmax()])
    return offset - period(one) if offset > period(one) / 2 > 0 else offset


def centred(one: Fit, extent: float) -> Map:
    """The map of the centre of an object of ``extent`` pixels."""
    half = {"centre": 0.0, "start": (extent - 1) / 2, "end": (1 - extent) / 2}
    return one.map._replace(offset=one.map.offset + half[ANCHORS[one.anchor]])


def check(
    watched: Watched, name: str, index: int, source: int, one: Fit | None, fitted: Seen
) -> Calibration:
    """The errors of a fit in frames of play; ``fitted`` is what it was fitted to.

    They are those of the label: whole pixels of the screen.
    """
    nan, usual = np.nan, watched.usual[index]
    nothing = Calibration(None, "", 0, source, nan, 0, 0, nan, nan, nan, nan)
    if len(usual) == 1:
        return nothing._replace(reason=f"{usual[0]} in every frame")
    if one is None:
        return nothing._replace(reason="writing it moves nothing")
    axis, play = axis_of(name), see(watched, name, index, source, in_play=True)
    moments, distinct = len(np.unique(play.moment)), len(np.unique(play.byte))
    nothing = nothing._replace(moments=moments, distinct=distinct)
    if moments < MOMENTS:
        return nothing._replace(reason=f"its object was found at {moments} moments of play only")
    if distinct < DISTINCT:
        return nothing._replace(reason=f"the byte has {distinct} values in play only")
    extent = float(np.median(fitted.place[:, 2] - fitted.place[:, 1] + 1))
    whole = centred(one, extent)
    # Where the label puts the anchor that was followed.
    put = pixels(whole, axis) - (whole.offset - one.map.offset)
    errors = nearest(put, one.copies, one.anchor, play)
    steps = np.arange(1, _ORDERS + 1) * len(play.byte) // (_ORDERS + 1)
    others = [play._replace(byte=np.roll(play.byte, step)) for step in steps]
    chance = np.mean([_close(nearest(put, one.copies, one.anchor, other)) for other in others])
    found = Calibration(
        whole,
        ANCHORS[one.anchor],
        one.copies,
        source,
        extent,
        moments,
        distinct,
        float(np.median(errors)),
        float(np.quantile(errors, 0.9)),
        _close(errors),
        float(chance),
    )
    near = float((errors <= SPRITE).mean())
    if found.error > CLOSE:
        reason = f"half of the objects are {found.error:.1f} pixels or more from it"
    elif near < KEPT:
        reason = f"{near:.0%} of objects are within {SPRITE} pixels of it"
    elif found.within - chance < SKILL * (1 - chance):
        reason = (
            f"{found.within:.0%} of objects are within {CLOSE} pixels of it, "
            f"and {chance:.0%} with bytes in another order"
        )
    else:
        reason = ""
    return found._replace(reason=reason)


def _close(errors: np.ndarray) -> float:
    return float((errors <= CLOSE).mean())


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
    found = [one for one in order if one != index and follows[one, index] >= _VALUES]
    return found[:_SOURCES]
