"""Mutated configurations: each is refused in one line, or read as it is written."""

import difflib
import re
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from fuzz.count import OTHER, SAME, SILENT, Counts, attempt
from workflow_src.config.reading import apply_preset, read_yaml
from workflow_src.config.run import PACKAGED, Config

_VALUES = """
0 -1 1 2 1000000000 1000000000000000000 18446744073709551616 0.0 -0.5 1e9 1.0e+300 .inf -.inf .nan
010 0o17 0x1F 0b101 1_000 1:30 1:30:15.5 +5 5. .5 1e5 3e-4 08 1__0 ~ null Null true false yes no
on off y True TRUE !!bool~cpu !!int~"x" !!float~x !!null~x !!binary~QQ== !!timestamp~x !x~y
!!python/name:os.system "" '' "~" "\n" "\0" "\ud800" "\x7f" "é" "a~b" "a{b}" "$HOME" "`id`" "-rf"
"--help" "../../../etc/passwd" "~root" "~nobody-here/x.py:C" /dev/zero:C a.py:C os.py:system . ..
"os.py:system;~rm" / \\ & * *a &a &a~[*a] [] {} [[]] [1,[2,[3]]] {a:~{b:~c}} {"a":~1} [pong]
[pong,pong] [pong,boxing] pong 2020-01-01 2020-99-99 |~x >~x ? : - #~x @ % ! auto cpu cuda cuda:1
mps paper random linear majority st-dim float32 bfloat16 episode last best none
"""
VALUES = [value.replace("~", " ") for value in re.findall(r"\S+", _VALUES)]
LONG = ["[" * 3000, "[" * 1000 + "]" * 1000, "a" * 100_000, "9" * 6000, "{a: " * 200 + "}" * 200]
SCALAR = re.compile(r"(?<=: )[^\s,{}\[\]#]+|(?<=[\[,] )[^\s,{}\[\]#]+|(?<=\[)[^\s,{}\[\]#]+")


def bases() -> list[str]:
    """The paper's run, and presets laid over it: texts."""
    return [PACKAGED.read_text(), *(file.read_text() for file in _presets())]


def _presets() -> list[Path]:
    return sorted((PACKAGED.parent.parent / "presets").glob("*.yaml"))


def mutate(text: str, rng: np.random.Generator) -> bytes:
    """One to three random changes of values, lines or bytes."""
    for _ in range(rng.integers(1, 4)):
        text = _MUTATIONS[rng.choice(list(_MUTATIONS))](text, rng)
    content = text.encode("utf-8", "surrogatepass")
    return _bytes(content, rng) if rng.random() < 0.1 else content


def _value(text: str, rng: np.random.Generator) -> str:
    found = list(SCALAR.finditer(text))
    if not found:
        return text
    one = found[rng.integers(len(found))]
    value = rng.choice(VALUES) if rng.random() < 0.95 else rng.choice(LONG)
    return text[: one.start()] + str(value) + text[one.end() :]


def _key(text: str, rng: np.random.Generator) -> str:
    found = list(re.finditer(r"[\w-]+(?=:)", text))
    if not found:
        return text
    one, other = (found[rng.integers(len(found))] for _ in range(2))
    key = other[0] if rng.random() < 0.5 else str(rng.choice(VALUES))
    return text[: one.start()] + key + text[one.end() :]


def _line(text: str, rng: np.random.Generator) -> str:
    lines = text.splitlines(keepends=True) or [""]
    at, to = (int(rng.integers(len(lines))) for _ in range(2))
    how = rng.integers(4)
    if how == 0:
        del lines[at]
    elif how == 1:
        lines.insert(to, lines[at])
    elif how == 2:
        lines[at], lines[to] = lines[to], lines[at]
    else:
        lines[at] = str(rng.choice([" ", "  ", "\t", "- "])) + lines[at]
    return "".join(lines)


def _character(text: str, rng: np.random.Generator) -> str:
    at = int(rng.integers(len(text) + 1))
    new = str(rng.choice(list(":-[]{}#&*!|>'\"%@`,?\t\n 0_~é\u2028\x00\x85")))
    return text[:at] + new + text[at + int(rng.integers(2)) :]


def _bytes(content: bytes, rng: np.random.Generator) -> bytes:
    at = int(rng.integers(len(content) + 1))
    how = rng.integers(3)
    if how == 0:
        return content[:at]
    return content[:at] + rng.bytes(1) + content[at + int(how == 1) :]


_MUTATIONS = {"value": _value, "key": _key, "line": _line, "character": _character}


def is_as_written(node: yaml.Node, value: Any) -> bool:
    """Whether a value is what its text says, in decimal and word for word."""
    if isinstance(node, yaml.MappingNode):
        pairs = {key.value: inner for key, inner in node.value if key.value != "<<"}
        names = {str(name): inner for name, inner in value.items()}
        return all(name in names and is_as_written(pairs[name], names[name]) for name in pairs)
    if isinstance(node, yaml.SequenceNode):
        return all(map(is_as_written, node.value, value))
    text = str(node.value)
    if isinstance(value, bool):
        return text.lower() in (("true", "yes", "on") if value else ("false", "no", "off"))
    if isinstance(value, int):
        return text.removeprefix("+") == str(value)
    if isinstance(value, float):
        return re.fullmatch("[-+.0-9eE]+", text) is not None and float(text) == value
    return value is None or str(value) == text


def fuzz(rounds: int, rng: np.random.Generator, directory: Path) -> Counts:
    """Load ``rounds`` mutated configurations."""
    counts, file = Counts(), directory / "config.yaml"
    texts = bases()[:1] * 3 + bases()
    whole = {text: _with_preset_of(yaml.safe_load(text)) for text in texts[3:]}
    for number in range(rounds):
        base = texts[rng.integers(len(texts))]
        content = mutate(base, rng)
        file.write_bytes(content)
        load = Config.load if base == texts[0] else _with_preset
        outcome, found = attempt(lambda load=load: load(file))
        if outcome is None:
            same = found == whole[base]
            text = content.decode("utf-8-sig")
            written = is_as_written(yaml.compose(text), read_yaml(file))
            outcome = SILENT if not written else SAME if same else OTHER
        if outcome == SILENT:
            found = "".join(difflib.unified_diff(base.splitlines(True), text.splitlines(True), n=0))
        counts.add(outcome, f"configuration {number}: {found if isinstance(found, str) else ''}")
    return counts


def _with_preset(file: Path) -> Config:
    return _with_preset_of(read_yaml(file))


def _with_preset_of(preset: dict) -> Config:
    return Config.check(apply_preset(read_yaml(PACKAGED), preset, "preset"), "preset")
