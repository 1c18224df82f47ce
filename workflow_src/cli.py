"""The command line: one subcommand a step. Each parses, calls one function, and nothing else; ``--help`` loads no torch.

All settings come from the run's ``config.yaml`` (``--config``, by default the one in the current
directory), so that Snakemake and DVC see the same; options only say which files, and of which game,
policy, protocol, method and seed.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import click

from workflow_src import __version__
from workflow_src.errors import UserError

_FILE = click.Path(path_type=Path, dir_okay=False)


def _options(*names: str) -> Callable:
    """The options that several steps share, in this order."""
    known = {
        "config": click.option(
            "--config",
            "config_file",
            type=_FILE,
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
        "seed": click.option(
            "--seed", required=True, type=click.IntRange(min=0), help="Root seed."
        ),
        "out": click.option("--out", required=True, type=_FILE, help="File to write."),
        "quiet": click.option("--quiet", is_flag=True, help="No progress bar."),
    }

    def decorate(function: Callable) -> Callable:
        for name in reversed(names):
            function = known[name](function)
        return function

    return decorate


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(__version__)
def cli() -> None:
    """Ask an encoder where things are, who is winning, how many lives are left: the AtariARI benchmark.

    The steps in the way of the data: episodes, splits, encoders, probes, scores, tables, figures,
    report, paper. Snakemake calls them; so can you. What was made is noted and checked with DVC by
    stages, record, adopt, verify.
    """


@cli.command()
@click.option(
    "--base",
    type=_FILE,
    default="config.yaml",
    show_default=True,
    help="The configuration to change.",
)
@click.option("--preset", help="Name of a file in presets/ beside the base.")
@click.option("--games", default="", help="Games instead of the preset's, separated by blanks.")
@click.option(
    "--into",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="The run's directory.",
)
def configure(base: Path, preset: str | None, games: str, into: Path) -> None:
    """Write the effective configuration of another run."""
    from workflow_src.config.configure import configure

    configure(
        base,
        base.parent / "presets" / f"{preset}.yaml" if preset else None,
        games.replace(",", " ").split(),
        into,
    )


@cli.command()
@_options("config", "game", "policy", "purpose", "seed", "out")
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    help="Processes; by default one a processor. The file is the same.",
)
@_options("quiet")
def episodes(
    config_file: Path, game: str, policy: str, workers: int | None, quiet: bool, **which
) -> None:
    """Play a game and store its frames and RAM."""
    from workflow_src.config.run import Config
    from workflow_src.episodes.collect import collect

    config = Config.load(config_file)
    collect(
        game=config.game(game),
        policy=policy,
        policy_settings=config.policy(policy),
        settings=config.episodes,
        workers=workers,
        progress=not quiet,
        **which,
    )


@cli.command()
@_options("config", "game", "policy", "protocol", "purpose", "seed")
@click.option("--frames", type=_FILE, required=True, help="Frames to split.")
@click.option("--exclude", type=_FILE, help="The encoder's frames, to keep out of test.")
@_options("out")
def splits(config_file: Path, **which) -> None:
    """Share frames out to train, validation and test."""
    from workflow_src.config.run import Config
    from workflow_src.splits.split import split

    split(Config.load(config_file).knowing(**which), **which)


@cli.command()
@_options("config", "game", "policy", "protocol", "method", "seed")
@click.option(
    "--frames", type=_FILE, help="The encoder's frames, unless the method learns nothing."
)
@click.option("--split", type=_FILE, help="Their split.")
@_options("out")
@click.option("--history", type=_FILE, required=True, help="CSV of losses to write.")
@click.option("--checkpoint", type=_FILE, help="Where to keep the state, to go on from if killed.")
@_options("quiet")
def encoders(config_file: Path, quiet: bool, **which) -> None:
    """Train an encoder."""
    from workflow_src.config.run import Config
    from workflow_src.training.job import train

    train(Config.load(config_file).knowing(**which), progress=not quiet, **which)


@cli.command()
@_options("config", "game", "policy", "protocol", "method", "seed")
@click.option("--frames", type=_FILE, required=True, help="The probe's frames.")
@click.option("--split", type=_FILE, required=True, help="Their split.")
@click.option("--weights", type=_FILE, help="The encoder, unless the method has none.")
@click.option(
    "--probe", "readout", required=True, help="One of probe.kinds; or majority, supervised."
)
@_options("out")
def probes(config_file: Path, **which) -> None:
    """Read each state variable out of an encoder's features, and score it."""
    from workflow_src.config.run import Config
    from workflow_src.probes.probe import probe

    probe(Config.load(config_file).knowing(**which), **which)


@cli.command()
@_options("config", "game", "policy", "protocol", "method", "seed")
@click.option("--frames", type=_FILE, required=True, help="The encoder's frames.")
@click.option("--split", type=_FILE, required=True, help="Their split.")
@click.option("--weights", type=_FILE, required=True, help="The encoder, and its decoder.")
@_options("out")
def examples(config_file: Path, **which) -> None:
    """Decode some frames of validation, for a figure."""
    from workflow_src.config.run import Config
    from workflow_src.training.reconstruct import examples

    examples(Config.load(config_file).knowing(**which), **which)


_SCORES = click.option("--scores", type=_FILE, required=True, help="The tidy CSV of all metrics.")
_FOLDER = click.Path(path_type=Path, file_okay=False)


@cli.command()
@_options("config")
@click.option(
    "--study",
    type=click.Choice(["ledger", "scaling"]),
    help="Those of a study's runs, not of the tables'.",
)
@_options("out")
@click.option("--metrics", type=_FILE, help="JSON of the headlines to write, for `dvc metrics`.")
def scores(config_file: Path, study: str | None, out: Path, metrics: Path | None) -> None:
    """Gather every metric of every probe of this run in one tidy CSV."""
    from workflow_src import layout
    from workflow_src.config.run import Config
    from workflow_src.report.scores import write_scores

    config = Config.load(config_file)
    if study is not None and getattr(config, study) is None:
        raise UserError(
            f"{config_file} has no {study}: take over that section of the repository's config.yaml"
        )
    files = layout.probes(config) if study is None else layout.study(config, study)
    write_scores([Path(file) for file in files], out, metrics)


@cli.command()
@_options("config")
@_SCORES
@click.option("--reference", type=_FOLDER, required=True, help="Folder of the published numbers.")
@click.option("--out", type=_FOLDER, required=True, help="Folder to write to.")
def tables(config_file: Path, scores: Path, reference: Path, out: Path) -> None:
    """Write the paper's tables, as LaTeX and CSV."""
    from workflow_src.config.run import Config
    from workflow_src.report.tables import write_tables

    write_tables(Config.load(config_file), scores, reference, out)


@cli.command()
@_options("config", "game")
@_SCORES
@click.option("--reference", type=_FOLDER, required=True, help="Folder of the published numbers.")
@click.option("--out", type=_FILE, required=True, help="Files to write, without their endings.")
def variables(config_file: Path, game: str, scores: Path, reference: Path, out: Path) -> None:
    """Write the table of every variable of a game, as LaTeX and CSV."""
    from workflow_src.config.run import Config
    from workflow_src.report.tables import write_table4

    write_table4(Config.load(config_file), game, scores, reference, out)


@cli.command()
@_options("config")
@_SCORES
@click.option("--out", type=_FOLDER, required=True, help="Folder to write to.")
def figures(config_file: Path, scores: Path, out: Path) -> None:
    """Draw the figures of scores, as PDF and PNG."""
    from workflow_src.config.run import Config
    from workflow_src.report.figures import write_figures

    write_figures(Config.load(config_file), scores, out)


@cli.command()
@_options("config")
@click.option("--game", help="One game; by default all of them in one figure.")
@click.option("--out", type=_FOLDER, required=True, help="Folder to write to.")
def curves(config_file: Path, game: str | None, out: Path) -> None:
    """Draw the learning curves of this run's methods, as PDF and PNG."""
    from workflow_src import layout
    from workflow_src.config.run import Config
    from workflow_src.report.curves import CURVES, write_learning_curves

    config = Config.load(config_file)
    of = config if game is None else config.of_game(game)
    write_learning_curves(
        config, [Path(file) for file in layout.encoders(of, layout.HISTORY)], out / (game or CURVES)
    )


@cli.command()
@click.argument("examples", type=_FILE, nargs=-1, required=True)
@click.option("--out", type=_FILE, required=True, help="Files to write, without their endings.")
def reconstructions(examples: tuple[Path, ...], out: Path) -> None:
    """Draw what decoders make of a game's frames, as PDF and PNG."""
    from workflow_src.report.reconstructions import write_reconstructions

    write_reconstructions(list(examples), out)


@cli.command("audit-measure")
@_options("config", "game", "seed")
@click.option("--frames", type=_FILE, required=True, help="Recorded frames of the game.")
@_options("out")
def audit_measure(config_file: Path, game: str, frames: Path, seed: int, out: Path) -> None:
    """Measure what the annotated RAM bytes of a game are."""
    from workflow_src.audit.measure import measure
    from workflow_src.config.run import Config

    config = Config.load(config_file)
    measure(config.game(game), frames, seed, config.episodes, out)


_MEASURED = click.option(
    "--measured", type=_FILE, required=True, help="What was measured of the game's RAM."
)


@cli.command()
@_MEASURED
@click.option("--label-set", required=True, help="Label set, such as paper-2019.")
@click.option("--out", type=_FILE, required=True, help="Files to write, without their endings.")
def audit(measured: Path, label_set: str, out: Path) -> None:
    """Judge the variables of a game: a table and a picture."""
    from workflow_src.report.audit import write_audit

    write_audit(measured, label_set, out)


@cli.command("audit-frames")
@_options("config")
@_MEASURED
@click.option("--out", type=_FILE, required=True, help="Files to write, without their endings.")
def audit_frames(config_file: Path, measured: Path, out: Path) -> None:
    """Draw frames of a game with their labels beside, as a sheet and as an animation."""
    from workflow_src.config.run import Config
    from workflow_src.report.frames import write_frames

    write_frames(measured, Config.load(config_file).label_set, out)


@cli.command("audit-summary")
@click.argument("audits", type=_FILE, nargs=-1, required=True)
@click.option("--out", type=_FOLDER, required=True, help="Folder to write to.")
def audit_summary(audits: tuple[Path, ...], out: Path) -> None:
    """Count verdicts by game, and list the variables that are not alive."""
    from workflow_src.report.audit_summary import write_summary

    write_summary(list(audits), out)


@cli.command()
@_options("config")
@click.argument("shown", type=_FILE, nargs=-1)
@_options("out")
def report(config_file: Path, shown: tuple[Path, ...], out: Path) -> None:
    """Write the page of this run; SHOWN are its tables (CSV) and pictures (PNG, GIF), in their order."""
    from workflow_src import layout
    from workflow_src.config.run import Config
    from workflow_src.report.page import write_report

    config = Config.load(config_file)
    splits, histories = (
        map(Path, layout.splits(config)),
        map(Path, layout.encoders(config, layout.HISTORY)),
    )
    write_report(config, Path(layout.SCORES), list(shown), list(splits), list(histories), out)


@cli.command()
@_options("config")
@_SCORES
@click.option("--tables", type=_FOLDER, required=True, help="Folder for the table.")
@click.option("--figures", type=_FOLDER, required=True, help="Folder for the figure.")
def ledger(config_file: Path, scores: Path, tables: Path, figures: Path) -> None:
    """Show what each quirk of the 2019 code is worth."""
    from workflow_src.config.run import Config
    from workflow_src.report.ledger import write_ledger

    write_ledger(Config.load(config_file), scores, tables, figures)


@cli.command()
@_options("config")
@_SCORES
@click.option("--tables", type=_FOLDER, required=True, help="Folder for the table.")
@click.option("--figures", type=_FOLDER, required=True, help="Folder for the figure.")
def scaling(config_file: Path, scores: Path, tables: Path, figures: Path) -> None:
    """Show how F1 grows with the frames that encoders learn from."""
    from workflow_src.config.run import Config
    from workflow_src.report.scaling import write_scaling

    write_scaling(Config.load(config_file), scores, tables, figures)


@cli.command()
@_options("config")
@_SCORES
@click.option("--reference", type=_FOLDER, required=True, help="Folder of the published numbers.")
@click.option(
    "--methods", type=_FOLDER, required=True, help="Folder of the methods' pages, docs/methods."
)
@_options("out")
@click.argument("files", type=_FILE, nargs=-1)
def paper(
    config_file: Path,
    scores: Path,
    reference: Path,
    methods: Path,
    files: tuple[Path, ...],
    out: Path,
) -> None:
    """Write the paper of this run, with the tables (.tex) and figures (.pdf) named; needs LaTeX."""
    from workflow_src.config.run import Config
    from workflow_src.report.paper import write_paper

    write_paper(Config.load(config_file), scores, reference, methods, files, out)


@cli.command()
@click.argument("run", type=_FOLDER, default=".")
def show(run: Path) -> None:
    """Print the table of F1 by game of a finished run, and where it lies."""
    from workflow_src import layout
    from workflow_src.report.tables import render_table2

    table = run / "results" / "tables" / "table2_f1_by_game.csv"
    click.echo(render_table2(table))
    click.echo(f"Written to {table} (also .tex). All of the run, to explore: {run / layout.REPORT}")


_RUN = click.option(
    "--run", type=_FOLDER, default=".", show_default=True, help="The run's directory."
)


@cli.command()
@_RUN
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


@cli.command()
@_RUN
def code(run: Path) -> None:
    """Check dvc.yaml, and write code.yaml: DVC's first stage."""
    from workflow_src.config.run import Config
    from workflow_src.versioning import graph, stages

    config = Config.load(run / "config.yaml")
    found = stages.stages(config, graph.jobs(run))
    stages.check(run, config, found)
    stages.write_code(run, found)


@cli.command()
@_RUN
def record(run: Path) -> None:
    """Note in dvc.lock what Snakemake has made, where it is complete and current."""
    from workflow_src.versioning.record import record

    click.echo("\n".join(record(run)))


@cli.command()
@_RUN
def adopt(run: Path) -> None:
    """Bring what dvc.lock records, check its hashes, and make Snakemake agree."""
    from workflow_src.versioning.adopt import adopt

    lines, whole = adopt(run)
    click.echo("\n".join(lines))
    sys.exit(0 if whole else UserError.exit_code)


@cli.command()
@_RUN
@click.option("--games", default="", help="Games, separated by blanks; by default all.")
@click.option(
    "--steps",
    default="",
    help="Steps, such as episodes or splits; by default all that are recorded.",
)
@click.option("--cores", default="all", show_default=True, help="Processors for Snakemake.")
def verify(run: Path, games: str, steps: str, cores: str) -> None:
    """Make artifacts again in a directory of their own, and compare them with dvc.lock; exit code 1 if any differs."""
    from workflow_src.versioning.verify import verify

    lines, same = verify(
        run, games.replace(",", " ").split(), steps.replace(",", " ").split(), cores
    )
    click.echo("\n".join(lines))
    sys.exit(0 if same else 1)


def main() -> None:
    """Run the command line; what a person got wrong is one line and exit code 2."""
    try:
        cli(prog_name="python -m workflow_src")
    except UserError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
