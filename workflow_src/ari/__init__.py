"""What the RAM means: label sets, categories, names of games, and `AtariARIWrapper`.

Source: AtariARI (Anand et al. 2019, arXiv 1906.08226). The function that turns RAM into labels is
``labels.labels``: the name ``labels`` of this package is the module.
"""

from importlib import import_module
from typing import Any

from workflow_src.ari.annotations import GAMES, LABEL_SETS
from workflow_src.ari.labels import CATEGORIES, categories, variables

# Loaded when asked for, by name, so that reading a configuration needs no gymnasium, and so that
# the import graph (which decides what Snakemake reruns) does not tie every step to the wrapper.
_LAZY = {"AtariARIWrapper": "wrapper", "AtariARIVectorWrapper": "vector"}
_LAZY |= {"as_json": "derived", "as_text": "derived", "velocities": "derived"}
_LAZY |= {"game_of": "games", "gym_id": "games", "rom_name": "games"}

__all__ = ["CATEGORIES", "GAMES", "LABEL_SETS", "categories", "variables", *_LAZY]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
