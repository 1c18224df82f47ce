"""Priorities of transitions (Schaul et al., arXiv 1511.05952): by error, or by the rank of it.

Both draw stratified: one transition from each of k parts of equal mass. A new transition gets the
largest priority seen so far, so that each is likely to be learned from once.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from workflow_src.errors import UserError

EPS = 1e-6  # added to errors, so that a transition with none can be drawn again


class Priorities(Protocol):
    """What a memory asks of priorities; slots are those of its frames."""

    def add(self, slots: np.ndarray) -> None:
        """New transitions lie in ``slots``, in the place of what was there."""

    def update(self, slots: np.ndarray, deltas: np.ndarray) -> None:
        """The absolute errors of some; of a slot that is named twice, the last one counts."""

    def sample(self, number: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Slots and their probabilities, both (number,); -1 for what has to be drawn again."""

    def state(self) -> dict[str, Any]:
        """All that changes, as arrays and numbers."""

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state."""


def build(size: int, *, kind: str, alpha: float, **_: Any) -> Priorities:
    """Priorities of the ``kind`` rank or proportional for a memory of ``size``."""
    kinds = {"rank": Rank, "proportional": Proportional}
    if kind not in kinds:
        raise UserError(f"options.prioritised.kind: {kind!r}; choose {' or '.join(kinds)}")
    return kinds[kind](size, alpha)


class Proportional:
    """``P(i) ~ (|delta_i| + eps)^alpha``, as a tree of sums in one array."""

    def __init__(self, size: int, alpha: float):
        self._alpha = alpha
        self._leaves = 1 << max(size - 1, 1).bit_length()
        self._tree = np.zeros(2 * self._leaves)  # node i has the children 2i and 2i + 1
        self._largest = 1.0

    def add(self, slots: np.ndarray) -> None:
        """Give new transitions the largest priority so far."""
        self._set(slots, np.full(len(slots), self._largest))

    def update(self, slots: np.ndarray, deltas: np.ndarray) -> None:
        """Set priorities by absolute errors."""
        priorities = (np.abs(deltas.astype(np.float64)) + EPS) ** self._alpha
        self._largest = max(self._largest, float(priorities.max()))
        self._set(slots, priorities)

    def _set(self, slots: np.ndarray, priorities: np.ndarray) -> None:
        nodes = slots + self._leaves
        self._tree[nodes] = priorities
        while nodes[0] > 1:
            nodes = np.unique(nodes >> 1)
            self._tree[nodes] = self._tree[2 * nodes] + self._tree[2 * nodes + 1]

    def sample(self, number: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Draw one transition from each of ``number`` parts of equal mass."""
        total = self._tree[1]
        mass = (np.arange(number) + rng.random(number)) * (total / number)
        nodes = np.ones(number, np.int64)
        while nodes[0] < self._leaves:
            left = 2 * nodes
            here = self._tree[left]
            # Rounding can lead past the last leaf that has any mass.
            right = (mass >= here) & (self._tree[left + 1] > 0)
            mass = np.where(right, mass - here, mass)
            nodes = left + right
        return nodes - self._leaves, self._tree[nodes] / total

    def state(self) -> dict[str, Any]:
        """The leaves; the sums follow from them."""
        return {"leaves": self._tree[self._leaves :].copy(), "largest": self._largest}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self._largest = state["largest"]
        self._tree[self._leaves :] = state["leaves"]
        level = self._leaves
        while level > 1:
            pairs = self._tree[level : 2 * level].reshape(-1, 2)
            level //= 2
            self._tree[level : 2 * level] = pairs[:, 0] + pairs[:, 1]


class Rank:
    """``P(i) ~ 1 / rank(i)^alpha``, with the transitions ranked by absolute error.

    They are sorted every ``sort_every`` additions. Between two sorts a transition keeps its rank
    whatever its error becomes, and new ones stand in front.
    """

    def __init__(self, size: int, alpha: float, sort_every: int = 10_000):
        self._alpha, self._every = alpha, max(1, min(sort_every, size // 10))
        self._deltas = np.zeros(size, np.float32)
        self._present = np.zeros(size, bool)
        self._order = np.zeros(0, np.int64)  # slots by rank, as last sorted
        self._stale = np.zeros(size, bool)  # in the order, but new since
        # New slots, the newest last.
        self._fresh = np.zeros(self._every, np.int64)
        self._count, self._largest = 0, 1.0
        # The mass of the first ranks: those that there can be.
        self._mass = np.cumsum(np.arange(1, size + self._every + 1, dtype=np.float64) ** -alpha)

    def add(self, slots: np.ndarray) -> None:
        """Put new transitions in front."""
        if self._count + len(slots) > self._every:
            self._sort()
        self._deltas[slots], self._present[slots], self._stale[slots] = self._largest, True, True
        if len(slots) > self._every:
            self._sort()
            return
        self._fresh[self._count : self._count + len(slots)] = slots
        self._count += len(slots)

    def update(self, slots: np.ndarray, deltas: np.ndarray) -> None:
        """Note absolute errors, which count from the next sort on."""
        self._deltas[slots] = np.abs(deltas)
        self._largest = max(self._largest, float(np.abs(deltas).max()))

    def _sort(self) -> None:
        present = np.flatnonzero(self._present)
        self._order = present[np.argsort(-self._deltas[present], kind="stable")]
        self._stale[:] = False
        self._count = 0

    def sample(self, number: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Draw one transition from each of ``number`` parts of equal mass."""
        ranks = self._count + len(self._order)
        total = self._mass[ranks - 1]
        mass = (np.arange(number) + rng.random(number)) * (total / number)
        rank = np.minimum(np.searchsorted(self._mass, mass, side="right"), ranks - 1)
        chance = (rank + 1.0) ** -self._alpha / total
        new = rank < self._count
        slots = np.empty(number, np.int64)
        slots[new] = self._fresh[self._count - 1 - rank[new]]
        old = self._order[rank[~new] - self._count]
        slots[~new] = np.where(self._stale[old], -1, old)
        return slots, chance

    def state(self) -> dict[str, Any]:
        """All that changes."""
        arrays = {"deltas": self._deltas, "present": self._present, "order": self._order}
        arrays |= {"stale": self._stale, "fresh": self._fresh}
        found: dict[str, Any] = {name: array.copy() for name, array in arrays.items()}
        return found | {"count": self._count, "largest": self._largest}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        for name in ("deltas", "present", "order", "stale", "fresh"):
            setattr(self, f"_{name}", state[name].copy())
        self._count, self._largest = state["count"], state["largest"]
