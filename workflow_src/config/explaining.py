"""What pydantic finds wrong with a configuration, in one line."""

import re
import types
import typing
from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import BaseModel

from workflow_src.errors import did_you_mean

# Keys of earlier versions -> their present names; * is any name.
RENAMED = {
    "protocols.*.splits.episode": "split_by",
    "episodes.repeat": "episodes.frame_skip",
    "episodes.streams": "episodes.num_envs",
    "probe.hidden": "probe.options.mlp.hidden",
    "probe.logistic": "probe.options.logistic",
}


def explain(error: Any, model: type[BaseModel]) -> str:
    """One pydantic error about ``model`` as a line: where, why, what would be allowed."""
    where = ".".join(str(part) for part in error["loc"] if part != "[key]")
    value, kind = error.get("input"), error["type"]
    known = re.sub(r"^protocols\.[^.]+", "protocols.*", where)
    if kind == "extra_forbidden" and known in RENAMED:
        return f"{where} is now called {RENAMED[known]}; rename it"
    if kind == "extra_forbidden":
        key, allowed = error["loc"][-1], _keys(error["loc"][:-1], model)
        hint = did_you_mean(str(key), allowed)
        return f"unknown key {where}{hint}; allowed here: {', '.join(allowed)}"
    if kind == "missing":
        return f"{where} is missing; add it as in the repository's config.yaml"
    if isinstance(value, str) and kind in ("int_type", "float_type"):
        mend = {"int_type": "digits", "float_type": "a decimal point, such as 3.0e-4"}[kind]
        return f"{where}: {value!r} is text, not a number; write it with {mend}"
    if kind == "string_pattern_mismatch":
        return f"{where}: {value!r} is not a valid name; use small letters, digits, '-' and '_'"
    if kind == "value_error":
        return f"{where}: {error['ctx']['error']}".removeprefix(": ")
    shown = f" (it is {value!r})" if isinstance(value, str | int | float | bool | None) else ""
    return f"{where}: {error['msg'][0].lower()}{error['msg'][1:]}{shown}"


def _keys(location: Iterable, model: Any) -> list[str]:
    """The keys that ``model`` allows at ``location``."""
    for part in location:
        if isinstance(model, type) and issubclass(model, BaseModel):
            model = model.model_fields[part].annotation
        else:
            model = typing.get_args(model)[-1]
        if typing.get_origin(model) in (Annotated, types.UnionType):
            model = typing.get_args(model)[0]
    return list(model.model_fields) if hasattr(model, "model_fields") else []
