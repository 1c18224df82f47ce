"""Kinds are found by their file: methods, encoders, policies, probes.

A folder holds the kinds of one thing and nothing else. A kind ``st-dim`` is the file ``st_dim.py``
in it, so adding a kind means adding a file. Its file is imported only when the kind is asked for,
so a job depends on the files of its own kinds alone.
"""

import ast
import functools
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

_PACKAGE = Path(__file__).parent
T = TypeVar("T")


@functools.cache
def names(folder: str) -> tuple[str, ...]:
    """The kinds in a folder such as ``"methods"`` or ``"probes/kinds"``, in alphabetical order."""
    files = (_PACKAGE / folder).glob("*.py")
    return tuple(sorted(f.stem.replace("_", "-") for f in files if f.stem != "__init__"))


@functools.cache
def declared(folder: str, kind: str) -> dict[str, Any]:
    """The literals in capitals that a kind's file declares at its top, by name.

    The file is parsed and not imported: a configuration is checked without loading torch.
    """
    file = _PACKAGE / folder / f"{stem(kind)}.py"
    if not file.is_file():
        return {}
    found = {}
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.Assign):
            targets, value = node.targets, node.value
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            targets, value = [node.target], node.value
        else:
            continue
        for target in targets:
            if isinstance(target, ast.Name) and target.id.isupper() and _is_literal(value):
                found[target.id] = ast.literal_eval(value)
    return found


def _is_literal(node: ast.expr) -> bool:
    try:
        ast.literal_eval(node)
    except (ValueError, TypeError):  # TypeError: a set of lists
        return False
    return True


def stem(kind: str) -> str:
    """The name of a kind's file without its extension: ``st_dim`` for ``st-dim``."""
    return kind.replace("-", "_")


def module(folder: str, kind: str) -> Any:
    """Import and return the module of a kind."""
    return importlib.import_module(".".join(("workflow_src", *folder.split("/"), stem(kind))))


class Registry(Generic[T]):
    """What the files of one folder register under their kinds."""

    def __init__(self, folder: str):
        self._folder = folder
        self._known: dict[str, T] = {}

    def register(self, kind: str) -> Callable[[T], T]:
        """A decorator that registers a class under ``kind``, which must be new."""

        def decorate(thing: T) -> T:
            if kind in self._known:
                first = self._known[kind].__module__
                raise ValueError(
                    f"two entries of {self._folder} are called {kind}: {first} and "
                    f"{thing.__module__}"
                )
            self._known[kind] = thing
            return thing

        return decorate

    def find(self, kind: str) -> T:
        """What ``kind`` is registered as; its file is imported now."""
        module(self._folder, kind)
        return self._known[kind]
