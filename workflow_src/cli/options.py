"""Options that several commands share, and the checked configuration as a parameter type."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from workflow_src.errors import UserError

if TYPE_CHECKING:
    from workflow_src.config.run import Config

_FILE_OF_CONFIG = "workflow_src.config"

FILE = click.Path(path_type=Path, dir_okay=False)


class InputFile(click.Path):
    """A file to read; if it is one of a run, it must have been made as what its name says."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """The path; `UserError` for a file that was copied to the place of another."""
        path = super().convert(value, param, ctx)
        assert isinstance(path, Path)
        if path.is_file():
            _check_names(path)
        return path


def _check_names(path: Path) -> None:
    from workflow_src import artifacts, layout
    from workflow_src.paths import place

    found = layout.find(place(path))
    kinds = {layout.SPLITS: "split", layout.ENCODERS: "weights", layout.AGENTS: "agent"}
    if found is None:
        return
    if found[0] == layout.EPISODES:
        from workflow_src.episodes.store import FrameStore

        layout.check_names(path, FrameStore.open(path).header)
    elif found[0] in kinds:
        layout.check_names(path, artifacts.read_header(path, kinds[found[0]]))


INPUT = InputFile(path_type=Path, dir_okay=False)
FOLDER = click.Path(path_type=Path, file_okay=False)


class Written(click.Path):
    """What a command writes: no other of its files may be the same."""


OUTPUT = Written(path_type=Path, dir_okay=False)
OUTPUT_FOLDER = Written(path_type=Path, file_okay=False)


class ConfigFile(click.ParamType):
    """A configuration file, read and checked: the command receives a `Config`."""

    name = "file"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Config:
        """Load the file; `UserError` when anything in it is wrong."""
        from workflow_src.config.run import Config

        if isinstance(value, Config):
            return value
        if ctx is not None:
            ctx.meta[_FILE_OF_CONFIG] = Path(value)
        return Config.load(value)


class ConfiguredCommand(click.Command):
    """A command that reads its configuration last, so that wrong usage is reported first."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """All parameters, the configuration behind the others."""
        return sorted(super().get_params(ctx), key=lambda param: isinstance(param.type, ConfigFile))

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Refuse arguments that no parameter takes, before any parameter is read."""
        _, extra, _ = self.make_parser(ctx).parse_args(args=list(args))
        if extra:
            ctx.fail(f"Got unexpected extra arguments ({' '.join(map(str, extra))})")
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command, unless two of its files are one."""
        read = ctx.meta.get(_FILE_OF_CONFIG)
        _check_apart(self.params, ctx.params | ({} if read is None else {"config": read}))
        return super().invoke(ctx)


def _check_apart(params: list[click.Parameter], given: dict[str, Any]) -> None:
    """`UserError` where a file to write is also another of a command's files."""
    named: dict[Path, click.Parameter] = {}
    for param in params:
        value = given.get(param.name or "")
        paths = value if isinstance(value, tuple) else (value,)
        for path in {path.resolve() for path in paths if isinstance(path, Path)}:
            other = named.setdefault(path, param)
            written = isinstance(other.type, Written) or isinstance(param.type, Written)
            if other is not param and written:
                one, two = (_shown(which) for which in (other, param))
                raise UserError(f"{path} is both {one} and {two}: name another file")


def _shown(param: click.Parameter) -> str:
    return param.opts[0] if isinstance(param, click.Option) else param.human_readable_name


command = functools.partial(click.command, cls=ConfiguredCommand)

_SHARED: dict[str, Callable] = {
    "config": click.option(
        "--config",
        type=ConfigFile(),
        default="config.yaml",
        show_default=True,
        help="The run's configuration.",
    ),
    "game": click.option("--game", required=True, help="Game, such as mspacman."),
    "policy": click.option("--policy", required=True, help="Who plays: a row of policies."),
    "protocol": click.option(
        "--protocol", required=True, help="A row of protocols, such as paper."
    ),
    "method": click.option("--method", required=True, help="A row of methods, such as st-dim."),
    "purpose": click.option(
        "--purpose",
        required=True,
        type=click.Choice(["pretrain", "probe"]),
        help="What the frames are for.",
    ),
    "seed": click.option("--seed", required=True, type=click.IntRange(min=0), help="Root seed."),
    "out": click.option("--out", required=True, type=OUTPUT, help="File to write."),
    "out-stem": click.option(
        "--out", required=True, type=OUTPUT, help="Files to write: a path without extension."
    ),
    "out-folder": click.option(
        "--out", required=True, type=OUTPUT_FOLDER, help="Folder to write to."
    ),
    "log": click.option(
        "--log", type=OUTPUT, help="The job's log; where it stands is told beside."
    ),
    "quiet": click.option("--quiet", is_flag=True, help="No progress bar."),
    "scores": click.option(
        "--scores", type=FILE, required=True, help="The tidy CSV of all metrics."
    ),
    "reference": click.option(
        "--reference", type=FOLDER, required=True, help="Folder of the published numbers."
    ),
    "run": click.option(
        "--run", type=FOLDER, default=".", show_default=True, help="The run's directory."
    ),
}


def shared(*names: str) -> Callable[[Callable], Callable]:
    """The shared options of these names, in this order."""

    def decorate(function: Callable) -> Callable:
        for name in reversed(names):
            function = _SHARED[name](function)
        return function

    return decorate


def words(text: str) -> list[str]:
    """The entries of a list that is separated by blanks or commas."""
    return text.replace(",", " ").split()
