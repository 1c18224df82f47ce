"""By which code a file is made: one digest of a step's modules and of all that these import.

Snakemake (``params: code=`` of the rules), DVC (``code.yaml``) and the checkpoint of a training use
this digest. Comments, docstrings and formatting do not change it, and Python 3.11 to 3.13 agree on
it. Any other edit of a module changes the digest of every step that imports it, and of no other.

What is found by its name when the program runs (a method, an architecture, a policy, a probe) is
in no import statement: a step names the module of the kind that it uses.
"""

import ast
import functools
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workflow_src import kinds

if TYPE_CHECKING:
    from grimp import ImportGraph

    from workflow_src.config.agents import Agent
    from workflow_src.config.methods import Method

STAGE, FILE = "code", "code.yaml"  # where DVC finds the digests: its stage, and its file
PACKAGE = Path(__file__).parent
# Fields of syntax trees that only some versions of Python have, or that change nothing.
_OMITTED = {"type_params", "kind", "type_comment"}


def of_kind(folder: str, kind: str) -> str:
    """The module of a kind, such as ``methods.st_dim`` of ``st-dim`` in the folder ``methods``."""
    return ".".join((*folder.split("/"), kinds.stem(kind)))


def of_architecture(row: "Method") -> list[str]:
    """The module of a method's architecture, if it has one of the package's."""
    return [of_kind("encoders/architectures", row.encoder)] if row.has_architecture else []


def of_method(row: "Method") -> list[str]:
    """The modules of a method's kind and of its architecture."""
    return [of_kind("methods", row.kind), *of_architecture(row)]


def of_agent(row: "Agent") -> list[str]:
    """The modules of an agent's learner, variants, environment and body."""
    return [of_kind(folder, kind) for folder, kind in row.kinds]


def of_preset(name: str) -> str:
    """The digest of a preset of agents, comments not included."""
    from workflow_src.config.agents import PRESETS
    from workflow_src.config.reading import read_yaml

    content = read_yaml(PRESETS / f"{name}.yaml")
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def closure(*modules: str) -> list[str]:
    """The full names of ``modules``, such as ``splits.split``, and of all that they import.

    Imports for type checkers alone do not count: they are never executed.
    """
    named = {f"{PACKAGE.name}.{module}" for module in modules}
    return sorted(named.union(*map(_imports().find_upstream_modules, named)))


@functools.cache
def digest(*modules: str) -> str:
    """16 hexadecimal digits for the code of ``modules`` and of all that they import."""
    whole = hashlib.sha256()
    for name in closure(*modules):
        whole.update(f"{name} {_of_module(name)}\n".encode())
    return whole.hexdigest()[:16]


@functools.cache
def of_labels(game: str, label_set: str) -> str:
    """The digest of what the RAM of a game means in a label set."""
    from workflow_src.ari.labels import decoder

    names, indices, tables = decoder(label_set, game)
    found = [names, indices.tolist(), None if tables is None else tables.tolist()]
    return hashlib.sha256(json.dumps(found).encode()).hexdigest()[:16]


def of_text(text: str) -> str:
    """The digest of one module's text: of its syntax tree, without docstrings."""
    return hashlib.sha256("".join(_canonical(ast.parse(text))).encode()).hexdigest()


@functools.cache
def _imports() -> "ImportGraph":
    import grimp

    return grimp.build_graph(PACKAGE.name, cache_dir=None, exclude_type_checking_imports=True)


@functools.cache
def _of_module(name: str) -> str:
    file = PACKAGE.parent.joinpath(*name.split("."))
    file = file / "__init__.py" if file.is_dir() else file.with_suffix(".py")
    return of_text(file.read_text(encoding="utf-8"))


def _canonical(node: Any) -> Iterator[str]:
    """A syntax tree as text that is the same in every version of Python: `ast.dump` is not."""
    if isinstance(node, ast.AST):
        yield f"{type(node).__name__}("
        for field, value in ast.iter_fields(node):
            if field in _OMITTED or value is None or value == []:
                continue
            yield f"{field}="
            is_text = isinstance(node, ast.JoinedStr)
            yield from _canonical(_joined(value) if is_text else value)
        yield ")"
    elif isinstance(node, list):
        yield "["
        for item in node:
            if not _is_docstring(item):
                yield from _canonical(item)
                yield ","
        yield "]"
    else:  # names, numbers, texts; not `repr`, which shows new characters in new versions only
        yield ascii(node)


def _is_docstring(node: Any) -> bool:
    """Whether a statement is nothing but a text."""
    return isinstance(node, ast.Expr) and _is_text(node.value)


def _is_text(node: Any) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _joined(parts: list[Any]) -> list[Any]:
    """The parts of an f-string with adjacent texts joined: versions of Python divide them."""
    found: list[Any] = []
    for part in parts:
        if _is_text(part) and found and _is_text(found[-1]):
            found[-1] = ast.Constant(found[-1].value + part.value)
        elif not _is_text(part) or part.value:
            found.append(part)
    return found
