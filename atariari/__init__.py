"""AtariARI by its distribution's name: today's interface here, that of 2019 in the modules below.

``from atariari import AtariARIWrapper``: gymnasium's interface, as `workflow_src.ari` has it.
``from atariari.benchmark.wrapper import AtariARIWrapper``: as the code of 2019 had it, and so all
of `atariari.benchmark`, `atariari.methods` and `atariari.scripts`; see docs/migration.md.
"""

from importlib import import_module
from typing import Any

from workflow_src import __version__

_LAZY = {
    "AtariARIWrapper": "workflow_src.ari.wrapper",
    "AtariARIVectorWrapper": "workflow_src.ari.vector",
    "ProbeTrainer": "workflow_src.benchmark",
    "get_episodes": "workflow_src.benchmark",
}

__all__ = ["__version__", *_LAZY]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)
