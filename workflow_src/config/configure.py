"""Writing the configuration of another run."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import yaml

from workflow_src import artifacts
from workflow_src.config.reading import apply_preset, read_yaml
from workflow_src.config.run import PACKAGED, Config
from workflow_src.errors import UserError, explained, one_of

PRESETS = PACKAGED.parent.parent / "presets"
_DIGEST = "# sha256 of what follows: "


def preset_file(preset: str) -> Path:
    """The file of a preset: one that the package ships, by name, or a path that ends in .yaml."""
    if Path(preset).suffix in (".yaml", ".yml"):
        return Path(preset)
    known = sorted(str(f.relative_to(PRESETS).with_suffix("")) for f in PRESETS.glob("*.yaml"))
    return PRESETS / f"{one_of('preset', preset, known)}.yaml"


def configure(base: Path, preset: str | None, games: list[str], into: Path) -> Path:
    """Write the effective configuration of another run: ``base`` changed by ``preset``.

    ``preset``: a name or a path, see `preset_file`; ``games`` replace the preset's if any are
    named. See `write`.
    """
    content, source = read_yaml(base), base.name if base == PACKAGED else str(base)
    if preset is not None:
        source = f"{source} with preset {preset}"
        content = apply_preset(content, read_yaml(preset_file(preset)), f"preset {preset}")
    if games:
        content["games"] = games
    target = into / "config.yaml"
    with explained("write", target):  # the current directory may be gone
        same = target.resolve() == base.resolve()
    if same:
        raise UserError(
            f"cannot configure {into}: it is the directory of the base {base}; "
            "name another directory with --into"
        )
    return write(content, source, into)


def probing(
    scale: Literal["quick", "paper"],
    game: str,
    protocol: str,
    seed: int,
    methods: Sequence[str],
    own: Mapping[str, Any],
    probe: str,
) -> dict[str, Any]:
    """The configuration of a run that probes some methods on one game, and nothing else.

    ``methods``: rows of the paper's run, with those they take their encoder from; ``own``: further
    rows. `UserError` for a method or protocol that the paper's run does not have.
    """
    paper = read_yaml(PACKAGED)
    content = (
        paper if scale == "paper" else apply_preset(paper, read_yaml(preset_file(scale)), scale)
    )
    chosen = {one_of("method", name, paper["methods"]): None for name in methods}
    bases = [paper["methods"][name].get("of") for name in chosen]
    rows = {name: paper["methods"][name] for name in [*filter(None, bases), *chosen]}
    one_of("protocol", protocol, paper["protocols"])
    switches = dict(content["protocols"].get(protocol, paper["protocols"][protocol]))
    # The rate that goes with the number of epochs.
    rate = next(iter(content["protocols"].values()))["probes"]["lr"]
    switches["probes"] = dict(switches["probes"]) | {"lr": rate}
    changed = {"games": [game], "seeds": [seed], "methods": rows | dict(own), "studies": []}
    changed |= {"protocols": {protocol: switches}, "ledger": None, "scaling": None}
    content["probe"] = dict(content["probe"]) | {"kinds": [probe]}
    return {key: value for key, value in (content | changed).items() if value is not None}


def write(content: dict[str, Any], source: str, into: Path) -> Path:
    """Check a configuration and write it into a run's directory.

    The file is written only when its content changes, so a repeated call makes nothing stale, and
    never over one that was edited by hand.
    """
    Config.check(content, source)
    body = yaml.safe_dump(content, sort_keys=False, width=120)
    text = (
        f"# Written by configure, from {source}. Every job reads this file; "
        "once edited, configure leaves it alone.\n"
        f"{_DIGEST}{hashlib.sha256(body.encode()).hexdigest()}\n{body}"
    )
    target = into / "config.yaml"
    found = present(target)
    if found is not None and _edited(found.decode(errors="replace")):
        raise UserError(
            f"{target} was edited by hand, and configure would overwrite that: "
            "run snakemake as it is, or move the file away"
        )
    if found != text.encode():
        artifacts.write_text(target, text)
    return target


def present(path: Path) -> bytes | None:
    """What is in a file that may be there, be it text or not; `UserError` if it cannot be read."""
    with explained("read", path):
        return path.read_bytes() if path.is_file() else None


def _edited(text: str) -> bool:
    """Whether the file was edited since `configure` wrote it."""
    _, found, rest = text.partition(_DIGEST)
    digest, _, body = rest.partition("\n")
    return not found or hashlib.sha256(body.encode()).hexdigest() != digest
