"""Reading, merging and looking up YAML mappings."""

from pathlib import Path
from typing import Any

import yaml

from workflow_src.errors import UserError, explained, unknown


class _Loader(yaml.SafeLoader):
    """A safe loader that refuses duplicate keys, of which YAML would silently keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        keys = [
            self.construct_object(key, deep=True)
            for key, _ in node.value
            if key.tag != "tag:yaml.org,2002:merge"
        ]
        for key in keys:
            if keys.count(key) > 1:
                raise ValueError(f"duplicate key {key} (line {node.start_mark.line + 1})")
        return super().construct_mapping(node, deep)


def read_yaml(path: str | Path) -> dict:
    """Read a YAML mapping; `UserError` when it does not parse."""
    with explained("read", path):
        try:
            content = yaml.load(Path(path).read_text(), _Loader)  # safe: it is a SafeLoader
        # ValueError: not UTF-8, or an impossible date
        except (yaml.YAMLError, ValueError) as error:
            raise UserError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise UserError(
            f"{path} is not a mapping of keys to values: start from config.yaml of the repository"
        )
    return content


def leaves(config: dict, *keys: str) -> dict[str, Any]:
    """``{dotted key: value}`` of the named keys: a job's settings, named as in dvc.yaml."""
    found = {}
    for key in keys:
        value: Any = config
        for part in key.split("."):
            value = value[part]
        found[key] = value
    return found


def merge(base: dict, change: dict) -> dict:
    """``base`` with the keys of ``change`` replaced, mapping by mapping.

    Lists are replaced whole; null removes a key.
    """
    merged = dict(base)
    for key, value in change.items():
        both = isinstance(value, dict) and isinstance(base.get(key), dict)
        merged[key] = merge(base[key], value) if both else value
    return {key: value for key, value in merged.items() if value is not None}


# A preset may list, by section, the rows of the base that it keeps.
ONLY = "only"


def apply_preset(base: dict, preset: dict, source: str) -> dict:
    """``base`` changed by ``preset``: first ``only`` selects rows, then the other keys are merged.

    ``only: {methods: [st-dim]}`` keeps that row of ``methods`` and drops the others. `UserError`
    for a section or row that ``base`` does not have.
    """
    change = dict(preset)
    kept = change.pop(ONLY, None) or {}
    if not isinstance(kept, dict):
        raise UserError(
            f"{source}: {ONLY} is not a mapping; write {ONLY}: {{methods: [the rows to keep]}}"
        )
    content = dict(base)
    sections = [name for name, value in base.items() if isinstance(value, dict)]
    for section, names in kept.items():
        if section not in sections:
            raise UserError(f"{source}: {ONLY}: {unknown('section', str(section), sections)}")
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise UserError(f"{source}: {ONLY}.{section}: list the names of the rows to keep")
        rows = content[section]
        for name in names:
            if name not in rows:
                raise UserError(f"{source}: {ONLY}.{section}: {unknown('row', name, rows)}")
        content[section] = {name: rows[name] for name in names}
    return merge(content, change)
