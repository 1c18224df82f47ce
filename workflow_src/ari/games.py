"""One game, three names: in the label sets, of the ROM and in gymnasium.

For example ``mspacman``, ``ms_pacman`` and ``MsPacmanNoFrameskip-v4``.

Ours are those of the label sets (arXiv 1906.08226); the others follow from the ROMs in the ale-py
wheel.
"""

import re
from functools import cache

import ale_py.roms

from workflow_src.ari.annotations import GAMES
from workflow_src.errors import one_of

_KNOWN = tuple(sorted({game for games in GAMES.values() for game in games}))

# What may follow the game's name in the ids of gym and gymnasium, old and new.
_SUFFIX = re.compile(r"(-ram)?(NoFrameskip|Deterministic)?(-v\d+)?$")


@cache
def _rom_names() -> dict[str, str]:
    return {rom.replace("_", ""): rom for rom in ale_py.roms.get_all_rom_ids()}


def game_of(name: str) -> str:
    """The game that a gymnasium id, the name of a ROM or the name of a game stands for.

    For example ``ALE/MsPacman-v5`` and ``MsPacmanNoFrameskip-v4`` are ``mspacman``.

    Raises `UserError` for a game that is in no label set, naming those that are.
    """
    stem = _SUFFIX.sub("", re.split("[/:]", name)[-1])
    return one_of("game", re.sub("[^a-z0-9]", "", stem.lower()), _KNOWN)


def rom_name(game: str) -> str:
    """The name of a game's ROM for ``ale_py.roms.get_rom_path``; `UserError` if it is unknown."""
    return _rom_names()[one_of("game", game, _KNOWN)]


def gym_id(game: str, suffix: str = "NoFrameskip-v4") -> str:
    """Make the gymnasium id of our ``game``; `UserError` if no label set has the game."""
    return rom_name(game).title().replace("_", "") + suffix
