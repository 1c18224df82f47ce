"""Reading, merging and looking up YAML mappings."""

from pathlib import Path
from typing import Any

import yaml

from workflow_src.errors import UserError, explained


class _Loader(yaml.SafeLoader):
    """YAML's last of two rows of the same name wins without a word; here it is refused."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        keys = [
            self.construct_object(key, deep=True)
            for key, _ in node.value
            if key.tag != "tag:yaml.org,2002:merge"
        ]
        for key in keys:
            if keys.count(key) > 1:
                raise ValueError(
                    f"the key {key} stands twice in the mapping of line {node.start_mark.line + 1}"
                )
        return super().construct_mapping(node, deep)


def read_yaml(path: str | Path) -> dict:
    """Read a YAML mapping; `UserError` when it does not parse."""
    with explained("read", path):
        try:
            content = yaml.load(Path(path).read_text(), _Loader)  # safe: it is a SafeLoader
        except (
            yaml.YAMLError,
            ValueError,
        ) as error:  # ValueError: no UTF-8, or a date that is none
            raise UserError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise UserError(
            f"{path} is not a mapping of keys to values: start from config.yaml of the repository"
        )
    return content


def leaves(config: dict, *keys: str) -> dict[str, Any]:
    """``{dotted key: value}`` of the named keys: what a rule hands its job, under the names that dvc.yaml uses."""
    found = {}
    for key in keys:
        value: Any = config
        for part in key.split("."):
            value = value[part]
        found[key] = value
    return found


def merge(base: dict, change: dict) -> dict:
    """``base`` with the keys of ``change`` replaced, mapping by mapping; lists are replaced whole, null takes a key away."""
    merged = dict(base)
    for key, value in change.items():
        both = isinstance(value, dict) and isinstance(base.get(key), dict)
        merged[key] = merge(base[key], value) if both else value
    return {key: value for key, value in merged.items() if value is not None}
