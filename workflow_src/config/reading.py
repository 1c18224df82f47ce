"""Reading, merging and looking up YAML mappings."""

import re
import reprlib
import stat
import unicodedata
from pathlib import Path
from typing import Any

import yaml

from workflow_src.errors import UserError, explained, unknown

# Far above any configuration, and read in well under a second.
_LARGEST_BYTES, _DEEPEST, _MOST_ALIASES = 1_000_000, 20, 100
_WHOLE = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_DECIMAL = re.compile(r"[-+]?[0-9]*(\.[0-9]*)?([eE][-+][0-9]+)?|[-+]?\.(inf|nan)", re.IGNORECASE)


class _Refused(ValueError):
    """What is YAML, but not read as people write it."""


class _Loader(yaml.SafeLoader):
    """A safe loader that refuses what YAML 1.1 reads otherwise than people write it.

    Those are duplicate keys, of which it keeps the last; whole numbers that it takes as octal,
    binary, hexadecimal or sexagesimal (``010`` is 8, ``1:30`` is 90); tags; and characters that no
    name and no path should have.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        found = set()
        for key, _ in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                continue
            name = self.construct_object(key, deep=True)
            if not isinstance(name, str | int | float | bool | None):
                raise _Refused(f"a key is no text (line {node.start_mark.line + 1})")
            if name in found:
                raise _Refused(f"duplicate key {name} (line {node.start_mark.line + 1})")
            found.add(name)
        return super().construct_mapping(node, deep)

    def construct_number(self, node: yaml.ScalarNode) -> int | float:
        """A number that is written in decimal digits."""
        is_whole = node.tag == "tag:yaml.org,2002:int"
        if not (_WHOLE if is_whole else _DECIMAL).fullmatch(node.value):
            raise _Refused(
                f"{_shown(node.value)} is not a decimal number (line {node.start_mark.line + 1}); "
                "write digits without leading zeros, underscores or colons, or quote it as text"
            )
        return self.construct_yaml_int(node) if is_whole else self.construct_yaml_float(node)

    def construct_text(self, node: yaml.ScalarNode) -> str:
        """A text without control characters and halves of characters."""
        text = str(self.construct_scalar(node))
        if any(unicodedata.category(character) in ("Cc", "Cs") for character in text):
            raise _Refused(
                f"{_shown(text)} has a control character or a line break "
                f"(line {node.start_mark.line + 1}); remove it"
            )
        return text


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_number)
_Loader.add_constructor("tag:yaml.org,2002:float", _Loader.construct_number)
_Loader.add_constructor("tag:yaml.org,2002:str", _Loader.construct_text)


def _shown(text: str) -> str:
    return reprlib.repr(text)


def _check_shape(text: str) -> None:
    """`_Refused` for tags, deep nesting and aliases that multiply, before anything is built."""
    depth, aliases = 0, 0
    anchors: list[int] = []  # depths of what is anchored, from the outside in
    for event in yaml.parse(text, yaml.SafeLoader):
        line = event.start_mark.line + 1
        if getattr(event, "tag", None) is not None:
            raise _Refused(f"tag {_shown(event.tag)} (line {line}); write the plain value")
        if isinstance(event, yaml.AliasEvent):
            aliases += 1
            if anchors or aliases > _MOST_ALIASES:
                raise _Refused(f"alias *{event.anchor} (line {line}) multiplies; write it out")
        elif isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _DEEPEST:
                raise _Refused(f"nested more than {_DEEPEST} deep (line {line}); flatten it")
            anchors += [depth] if event.anchor else []
        elif isinstance(event, yaml.CollectionEndEvent):
            anchors = [start for start in anchors if start < depth]
            depth -= 1


def read_yaml(path: str | Path) -> dict:
    """Read a YAML mapping of plain decimal numbers, texts and lists; `UserError` for any other."""
    with explained("read", path):
        state = Path(path).stat()
        if not stat.S_ISREG(state.st_mode) and not stat.S_ISDIR(state.st_mode):
            raise UserError(f"cannot read {path}: it is not a file; name the right one")
        if state.st_size > _LARGEST_BYTES:
            raise UserError(
                f"cannot read {path}: {state.st_size / 1e6:.1f} MB is no configuration; name the "
                "right file"
            )
        try:
            text = Path(path).read_text(encoding="utf-8-sig")
            _check_shape(text)
            content = yaml.load(text, _Loader)  # safe: it is a SafeLoader
        except _Refused as error:
            raise UserError(f"{path}: {error}") from error
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
