"""Measuring a game's annotated RAM bytes, in recorded frames and by writing them.

Of each byte that any label set annotates: its values, how it changes, and whether it does what a
name such as ``num_lives`` or ``ball_x`` promises. What follows from it for a variable says
`audit.verdict`. The file also keeps screens in colour with their RAM, for pictures with labels
beside.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from workflow_src import artifacts, seeds
from workflow_src.ari.annotations import GAMES, LABEL_SETS
from workflow_src.ari.labels import variables
from workflow_src.audit import recorded, writing
from workflow_src.audit.measured import KIND
from workflow_src.emulator.environment import Environment
from workflow_src.episodes.store import FrameStore
from workflow_src.errors import UserError

# As in collecting: settings come as values, not with the configuration's code.
if TYPE_CHECKING:
    from workflow_src.config.episodes import Episodes

# Points of a byte's course over all frames, and as many frames one after the other.
COURSE = 400


def annotated(game: str) -> np.ndarray:
    """The RAM bytes of a game that any label set annotates, ascending (B,)."""
    sets = [
        variables(label_set, game).values() for label_set in LABEL_SETS if game in GAMES[label_set]
    ]
    return np.unique([index for indices in sets for index in indices])


def measure(game: str, episodes: Path, seed: int, settings: Episodes, out: Path) -> None:
    """Measure the annotated bytes of ``game`` and write them to ``out``.

    ``episodes`` is a file of frames; ``seed`` a root seed, and ``settings`` how an emulator is
    played, for the moments at which bytes are written. `UserError` when the frames are of another
    game.
    """
    artifacts.check_writable(out)
    store = FrameStore.open(episodes)
    if store.header["game"] != game:
        raise UserError(
            f"{episodes} holds frames of {store.header['game']}, not of {game}: name the right file"
        )
    indices = annotated(game)
    arrays = {"indices": indices, **of_frames(store, indices)}
    environment = Environment(
        game,
        generator(seed, game, "emulator"),
        frame_skip=settings.frame_skip,
        noop_max=settings.noop_max,
    )
    arrays |= writing.effects(
        environment, generator(seed, game, "writing"), indices, arrays["counts"]
    )._asdict()
    arrays |= writing.film(environment, generator(seed, game, "film"), settings.frame_skip)
    artifacts.write_arrays(
        out, KIND, arrays, {"game": game, "frames": len(store), "episodes": store.sha256}
    )


def generator(seed: int, game: str, name: str) -> np.random.Generator:
    """The generator of the part of an audit called ``name``."""
    return seeds.generator(seed, game, "audit", name)


def of_frames(store: FrameStore, indices: np.ndarray) -> dict[str, np.ndarray]:
    """What recorded frames say of the bytes ``indices`` (B,): arrays by name, each with B rows."""
    values = store.ram[:, indices]
    changed = recorded.changes(values, store.game)
    lives = recorded.changes(store.lives[:, None], store.game)
    knows_lives, lives_know = recorded.known(values, store.lives)
    stride = max(1, len(store) // recorded.READ)
    seen = np.concatenate(
        [recorded.coarse(chunk[-first % stride :: stride]) for first, chunk in store.chunks()]
    )
    at = np.linspace(0, len(store) - 1, COURSE).round().astype(int)
    counts = recorded.value_counts(values)
    return {
        "counts": counts,
        "entropy": recorded.entropies(counts),
        "changes": changed.mean(axis=0),
        "knows_lives": knows_lives,
        "lives_know": lives_know,
        "with_lives": recorded.share(changed, recorded.near(lives[:, 0])),
        "at_lives": recorded.share(np.repeat(lives, len(indices), axis=1), changed),
        "with_rewards": recorded.share(changed, recorded.near(store.reward != 0)),
        "readable": recorded.readable(seen, values[::stride]),
        "overview": values[at].T,
        "closeup": values[:COURSE].T,
    }
