"""Commands for tables, figures, the audit, the page and the paper: the rules call them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from workflow_src.cli.options import FILE, FOLDER, INPUT, command, shared
from workflow_src.errors import UserError, one_of

if TYPE_CHECKING:
    from workflow_src.config.run import Config
    from workflow_src.config.studies import Study


@command()
@shared("config", "scores", "reference", "out-folder")
def tables(config: Config, scores: Path, reference: Path, out: Path) -> None:
    """Write the paper's tables, as LaTeX and CSV."""
    from workflow_src.report.tables.write import write_tables

    write_tables(config, scores, reference, out)


@command()
@shared("config", "game", "scores", "reference", "out-stem")
def variables(config: Config, game: str, scores: Path, reference: Path, out: Path) -> None:
    """Write the table of every variable of a game, as LaTeX and CSV."""
    from workflow_src.report.tables.write import write_variables

    # Of another game there are no scores.
    write_variables(config, one_of("game", game, config.games), scores, reference, out)


@command()
@shared("config", "scores", "out-folder")
def figures(config: Config, scores: Path, out: Path) -> None:
    """Draw the figures of scores, as PDF and PNG."""
    from workflow_src.report.figures.write import write_figures

    write_figures(config, scores, out)


@command()
@shared("config", "scores", "reference")
@click.option("--tables", type=FOLDER, required=True, help="Folder for the tables.")
@click.option("--figures", type=FOLDER, required=True, help="Folder for the figure.")
def agreement(config: Config, scores: Path, reference: Path, tables: Path, figures: Path) -> None:
    """Compare F1 of every variable with the published values."""
    from workflow_src.report.agreement.write import write_agreement

    click.echo(write_agreement(config, scores, reference, tables, figures))


@command()
@shared("config")
@click.option("--game", help="One game; by default all of them in one figure.")
@shared("out-folder")
def curves(config: Config, game: str | None, out: Path) -> None:
    """Draw the learning curves of this run's methods, as PDF and PNG."""
    from workflow_src import layout
    from workflow_src.report.figures.learning_curves import CURVES, write_learning_curves

    drawn = config if game is None else config.for_game(game)
    histories = [Path(file) for file in layout.HISTORIES.files(drawn)]
    write_learning_curves(config, histories, out / (game or CURVES))


@command()
@click.argument("examples", type=FILE, nargs=-1, required=True)
@shared("out-stem")
def reconstructions(examples: tuple[Path, ...], out: Path) -> None:
    """Draw decoded frames of a game next to the originals, as PDF and PNG."""
    from workflow_src.report.figures.reconstructions import write_reconstructions

    write_reconstructions(list(examples), out)


@command()
@click.argument("predictions", type=FILE, nargs=-1, required=True)
@click.option("--frames", type=INPUT, required=True, help="The probe's frames.")
@shared("out-stem")
def readings(predictions: tuple[Path, ...], frames: Path, out: Path) -> None:
    """Draw what probes read in an episode of a game beside the truth, as GIF."""
    from workflow_src.report.figures.readings import write_readings

    write_readings(list(predictions), frames, out)


@command("audit-measure")
@shared("config", "game", "seed")
@click.option("--frames", type=INPUT, required=True, help="Recorded frames of the game.")
@shared("out")
def audit_measure(config: Config, game: str, frames: Path, seed: int, out: Path) -> None:
    """Measure the annotated RAM bytes of a game."""
    from workflow_src.audit.measure import measure

    measure(config.game(game), frames, seed, config.episodes, out)


@command("saliency")
@click.argument("attributions", type=FILE)
@shared("out-stem")
def saliency(attributions: Path, out: Path) -> None:
    """Draw where an encoder reads each variable, as PDF and PNG."""
    from workflow_src.report.figures.attributions import write_attributions

    write_attributions(attributions, out)


_MEASURED = click.option(
    "--measured", type=FILE, required=True, help="The measurements of the game's RAM."
)


@command()
@_MEASURED
@click.option("--label-set", required=True, help="Label set, such as paper-2019.")
@shared("out-stem")
def audit(measured: Path, label_set: str, out: Path) -> None:
    """Judge the variables of a game: a table and a picture."""
    from workflow_src.report.audit.variables import write_audit

    write_audit(measured, label_set, out)


@command("audit-frames")
@shared("config")
@_MEASURED
@shared("out-stem")
def audit_frames(config: Config, measured: Path, out: Path) -> None:
    """Draw frames of a game next to their labels, as a sheet and as an animation."""
    from workflow_src.report.audit.frame_sheets import write_frames

    write_frames(measured, config.label_set, out)


@command("audit-summary")
@click.argument("audits", type=FILE, nargs=-1, required=True)
@shared("out-folder")
def audit_summary(audits: tuple[Path, ...], out: Path) -> None:
    """Count verdicts by game, and list the variables that are not alive."""
    from workflow_src.report.audit.summary import write_summary

    write_summary(list(audits), out)


@command("calibrate")
@shared("config", "game", "seed", "out-stem")
def calibrate(config: Config, game: str, seed: int, out: Path) -> None:
    """Measure where a game's position bytes put things on the screen: a table and a picture."""
    from workflow_src.report.audit.calibration import write_calibration

    write_calibration(config.game(game), seed, config.episodes, out)


@command("calibration")
@click.argument("tables", type=FILE, nargs=-1, required=True)
@shared("out")
def calibration(tables: tuple[Path, ...], out: Path) -> None:
    """Join the calibrations of several games into one table."""
    from workflow_src.report.audit.calibration import join

    join(list(tables), out)


@command("agent-scores")
@shared("config", "reference")
@click.option("--tables", type=FOLDER, required=True, help="Folder for the table.")
@click.option("--figures", type=FOLDER, required=True, help="Folder for the figure.")
def agent_scores(config: Config, reference: Path, tables: Path, figures: Path) -> None:
    """Show how this run's agents learned, and how well they play."""
    from workflow_src import layout
    from workflow_src.report.agents.write import write_agents

    histories, evaluations = (
        [Path(file) for file in artifact.files(config)]
        for artifact in (layout.AGENT_HISTORIES, layout.EVALUATIONS)
    )
    write_agents(config, histories, evaluations, reference, tables, figures)


def _study(name: Study, about: str) -> click.Command:
    """The command of a study that is a table and a figure of its scores."""

    def write(config: Config, scores: Path, tables: Path, figures: Path) -> None:
        from workflow_src.report.studies.write import write_study

        write_study(config, name, scores, tables, figures)

    write.__name__, write.__doc__ = name, about
    folders = (("--figures", "Folder for the figure."), ("--tables", "Folder for the table."))
    for option, text in folders:  # the last one is shown first
        write = click.option(option, type=FOLDER, required=True, help=text)(write)
    return command()(shared("config", "scores")(write))


ledger = _study("ledger", "Show what each quirk of the 2019 code is worth.")
scaling = _study("scaling", "Show how F1 grows with the frames that encoders learn from.")
convergence = _study(
    "convergence", "Show how F1 grows with the epochs for which probes are fitted."
)
transfer = _study("transfer", "Show F1 of encoders that learned from another policy's frames.")


@command()
@shared("config", "scores", "reference")
@click.option("--tables", type=FOLDER, required=True, help="Folder for the tables.")
@click.option("--figures", type=FOLDER, required=True, help="Folder for the figure.")
def control(config: Config, scores: Path, reference: Path, tables: Path, figures: Path) -> None:
    """Show whether F1 of encoders predicts the scores of agents that see through them."""
    from workflow_src import layout
    from workflow_src.report.studies.write_control import write_control

    config.derived.require("control")
    evaluations = [Path(file) for file in layout.EVALUATIONS.files(config, "control")]
    write_control(config, scores, evaluations, reference, tables, figures)


@command("frames-by-policy")
@shared("config")
@click.argument("splits", type=INPUT, nargs=-1, required=True)
@click.option("--frames", type=INPUT, multiple=True, required=True, help="Those of each split.")
@shared("out-stem")
def frames_by_policy(
    config: Config, splits: tuple[Path, ...], frames: tuple[Path, ...], out: Path
) -> None:
    """Describe the probe's frames of each policy: how many differ, what is kept, who scores."""
    from workflow_src.report.tables.frames_by_policy import write_frames_by_policy
    from workflow_src.splits.describe import describe

    if len(splits) != len(frames):
        raise UserError(f"{len(splits)} splits have {len(frames)} --frames: name those of each")
    rows = [describe(split, store) for split, store in zip(splits, frames, strict=True)]
    write_frames_by_policy(config, rows, out)


@command()
@shared("config", "reference")
@click.argument("shown", type=FILE, nargs=-1)
@shared("out")
def report(config: Config, reference: Path, shown: tuple[Path, ...], out: Path) -> None:
    """Write the page of this run; SHOWN are its tables (CSV) and pictures (PNG, GIF), in order."""
    from workflow_src import layout
    from workflow_src.report.page.agents import AgentFiles
    from workflow_src.report.page.write import write_report

    splits = [Path(file) for file in layout.SPLITS.files(config)]
    histories = [Path(file) for file in layout.HISTORIES.files(config)]
    agents = None
    if config.agents:
        kinds = (layout.AGENTS, layout.AGENT_HISTORIES, layout.EVALUATIONS)
        weights, curves, played = ([Path(f) for f in kind.files(config)] for kind in kinds)
        agents = AgentFiles(weights, curves, played, reference)
    write_report(config, Path(layout.SCORES.path), list(shown), splits, histories, out, agents)


@command()
@shared("config", "scores", "reference")
@click.option(
    "--methods", type=FOLDER, required=True, help="Folder of the methods' pages, docs/methods."
)
@shared("out")
@click.argument("files", type=FILE, nargs=-1)
def paper(
    config: Config,
    scores: Path,
    reference: Path,
    methods: Path,
    files: tuple[Path, ...],
    out: Path,
) -> None:
    """Write the paper of this run from the tables (.tex) and figures (.pdf) named; needs LaTeX."""
    from workflow_src.report.paper.write import write_paper

    write_paper(config, scores, reference, methods, files, out)
