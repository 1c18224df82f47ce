"""Commands for versioning: what Snakemake has made, recorded in DVC, restored and verified."""

import sys
from pathlib import Path

import click

from workflow_src.cli.options import shared, words
from workflow_src.errors import UserError


@click.command()
@shared("run")
@click.option("--check", is_flag=True, help="Only say whether both are up to date.")
def stages(run: Path, check: bool) -> None:
    """Write dvc.yaml and code.yaml: DVC's stages and the digests of their code."""
    from workflow_src.config.run import Config
    from workflow_src.versioning import graph, stages

    config = Config.load(run / "config.yaml")
    found = stages.stages(config, graph.jobs(run))
    if check:
        stages.check(run, config, found)
        stages.check_code(run, found)
    else:
        stages.write(run, config, found)


@click.command()
@shared("run")
def code(run: Path) -> None:
    """Check dvc.yaml, and write code.yaml: DVC's first stage."""
    from workflow_src.config.run import Config
    from workflow_src.versioning import graph, stages

    config = Config.load(run / "config.yaml")
    found = stages.stages(config, graph.jobs(run))
    stages.check(run, config, found)
    stages.write_code(run, found)


@click.command()
@shared("run")
def record(run: Path) -> None:
    """Record in dvc.lock what Snakemake has made, where it is complete and current."""
    from workflow_src.versioning.record import record

    click.echo("\n".join(record(run)))


@click.command()
@shared("run")
def adopt(run: Path) -> None:
    """Fetch what dvc.lock records, check its hashes, and make Snakemake agree."""
    from workflow_src.versioning.adopt import adopt

    lines, whole = adopt(run)
    click.echo("\n".join(lines))
    sys.exit(0 if whole else UserError.exit_code)


@click.command()
@shared("run")
@click.option("--games", default="", help="Games, separated by blanks; by default all.")
@click.option(
    "--steps",
    default="",
    help="Steps, such as episodes or splits; by default all that are recorded.",
)
@click.option("--cores", default="all", show_default=True, help="Processors for Snakemake.")
def verify(run: Path, games: str, steps: str, cores: str) -> None:
    """Make artifacts again in a directory of their own and compare them with dvc.lock.

    The exit code is 1 if any differs.
    """
    from workflow_src.versioning.verify import verify

    lines, same = verify(run, words(games), words(steps), cores)
    click.echo("\n".join(lines))
    sys.exit(0 if same else 1)
