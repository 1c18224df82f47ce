"""Commands for runs: write a configuration, show what a finished run found."""

import shlex
from pathlib import Path

import click

from workflow_src import checkout
from workflow_src.cli.options import FILE, FOLDER, words
from workflow_src.errors import UserError


@click.command()
@click.option(
    "--base",
    type=FILE,
    help="The configuration to change; by default config.yaml in the current directory, "
    "or else the paper's, which the package ships.",
)
@click.option(
    "--preset", help="The name of a preset of the package, such as quick, or a path to a YAML file."
)
@click.option("--games", default="", help="Games instead of the preset's, separated by blanks.")
@click.option("--into", type=FOLDER, required=True, help="The run's directory.")
def configure(base: Path | None, preset: str | None, games: str, into: Path) -> None:
    """Write the effective configuration of another run."""
    from workflow_src.config.configure import configure
    from workflow_src.config.run import PACKAGED

    here = Path("config.yaml")
    configure(base or (here if here.is_file() else PACKAGED), preset, words(games), into)


_SNAKEFILE = """# Made by `atariari init`: the package's workflow, for the config.yaml beside it.
from workflow_src import checkout


include: str(checkout.folder() / "Snakefile")


# What `snakemake` makes if no target is named: an included file has no say in it.
rule run:
    default_target: True
    input:
        rules.all.input,
"""


@click.command()
@click.argument("run", type=FOLDER)
@click.option(
    "--preset",
    default="quick",
    show_default=True,
    help="The name of a preset of the package, or a path to a YAML file.",
)
@click.option("--games", default="", help="Games instead of the preset's, separated by blanks.")
def init(run: Path, preset: str, games: str) -> None:
    """Make a directory with a configuration and a Snakefile: `snakemake` in it makes the run."""
    from workflow_src import artifacts
    from workflow_src.config.configure import configure, present
    from workflow_src.config.run import PACKAGED

    profiles = checkout.folder() / "profiles"
    files = {f"profiles/{f.relative_to(profiles)}": f for f in profiles.glob("*/config.yaml")}
    texts = {"Snakefile": _SNAKEFILE} | {name: f.read_text() for name, f in files.items()}
    for name, text in texts.items():
        if present(run / name) not in (None, text.encode()):
            raise UserError(f"{run / name} is another one: choose another directory, or remove it")
    configure(PACKAGED, preset, words(games), run)
    for name, text in texts.items():
        artifacts.write_text(run / name, text)
    click.echo(
        f"{run} is a run, its settings are in {run / 'config.yaml'}. Next:\n"
        f"    cd {shlex.quote(str(run))} && snakemake\n"
        f"    atariari show {shlex.quote(str(run))}"
    )


@click.command()
@click.argument("run", type=FOLDER, default=".")
def show(run: Path) -> None:
    """Print the table of F1 by game of a finished run, and where its files are."""
    from workflow_src import layout
    from workflow_src.report.tables.by_game import plain_text

    table = run / "results" / "tables" / "table2_f1_by_game.csv"
    click.echo(plain_text(table))
    click.echo(
        f"Written to {table} (also .tex). All of the run, to explore: {run / layout.PAGE.path}"
    )


@click.command()
@click.argument("run", type=FOLDER, default=".")
def tensorboard(run: Path) -> None:
    """Write the histories of a run's trainings for TensorBoard, also while they run."""
    from workflow_src.report.tensorboard import write

    out = run / "tensorboard"
    count = write(run, out)
    click.echo(f"{count} trainings; to see them: tensorboard --logdir {shlex.quote(str(out))}")


@click.command("check-scores")
@click.argument("scores", type=FILE, nargs=-1, required=True)
def check_scores(scores: tuple[Path, ...]) -> None:
    """Check files of scores that are to be handed in (docs/submitting.md)."""
    from workflow_src.report.submissions import check, summary

    for path in scores:
        click.echo(f"{path}: {summary(check(path))}, in order")


@click.command()
@click.argument("sources", nargs=-1, required=True)
@click.option(
    "--reference",
    type=FOLDER,
    default=checkout.folder() / "reference",
    help="Folder of the published numbers; by default the repository's.",
)
@click.option("--out", required=True, type=FILE, help="Files to write: a path without extension.")
def compare(sources: tuple[str, ...], reference: Path, out: Path) -> None:
    """Compare runs and files of scores (SOURCES, or NAME=SOURCE) with the published numbers."""
    from workflow_src.report.submissions import compare

    named: dict[str, Path] = {}
    for source in sources:
        name, given, path = source.partition("=")
        file = Path(path) if given else Path(source)
        name = name if given else file.resolve().stem
        if name in named:
            raise UserError(f"two sources are called {name}: write NAME={file} for one of them")
        named[name] = file
    compare(named, reference, out)
    click.echo(f"Written to {out}.csv, .tex and .html")
