"""Writing the configuration of another run."""

import hashlib
from pathlib import Path

import yaml

from workflow_src import artifacts
from workflow_src.config.reading import merge, read_yaml
from workflow_src.config.run import Config
from workflow_src.errors import UserError, unknown

_MADE = "# sha256 of what follows: "


def _edited(text: str) -> bool:
    """Whether a configuration is another than `configure` wrote."""
    _, found, rest = text.partition(_MADE)
    digest, _, body = rest.partition("\n")
    return not found or hashlib.sha256(body.encode()).hexdigest() != digest


def configure(base: Path, preset: Path | None, games: list[str], into: Path) -> Path:
    """Write the effective configuration of another run: ``base`` changed by ``preset``, for ``games`` if any are named.

    The file is written only when its content changes, so that a repeated call makes nothing stale,
    and never over one that was edited by hand.
    """
    content = read_yaml(base)
    source = str(base)
    if preset is not None:
        if not preset.is_file():
            raise UserError(
                unknown(
                    "preset",
                    preset.stem,
                    sorted(p.stem for p in preset.parent.glob("*.yaml")) or ["none"],
                )
            )
        content, source = merge(content, read_yaml(preset)), f"{base} with {preset}"
    if games:
        content["games"] = games
    Config.check(content, source)
    body = yaml.safe_dump(content, sort_keys=False, width=120)
    text = f"# Made by configure, from {source}. Every job reads this file; once edited, configure leaves it alone.\n"
    text += f"{_MADE}{hashlib.sha256(body.encode()).hexdigest()}\n{body}"
    target = into / "config.yaml"
    if target.resolve() == base.resolve():
        raise UserError(
            f"cannot configure {into}: {base} is what the run is made of; name another directory with --into"
        )
    if target.is_file() and _edited(target.read_text()):
        raise UserError(
            f"{target} was edited by hand and would be lost: use it as it is with snakemake, or move it away"
        )
    if not target.is_file() or target.read_text() != text:
        artifacts.write_text(target, text)
    return target
