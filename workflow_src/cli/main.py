"""The group of all commands, by who uses them, and the entry point."""

import sys

import click

from workflow_src import __version__
from workflow_src.cli import agents, demo, report, runs, steps, versioning
from workflow_src.errors import UserError

# Section of --help -> its commands, in this order.
SECTIONS: dict[str, list[click.Command]] = {
    "Commands": [
        runs.configure,
        runs.show,
        runs.compare,
        runs.check_scores,
        demo.demo,
        agents.play,
        versioning.verify,
        versioning.adopt,
        versioning.record,
        versioning.stages,
        versioning.code,
    ],
    "Steps (the rules call them; so can you)": [
        steps.episodes,
        steps.splits,
        steps.encoders,
        steps.probes,
        steps.examples,
        steps.attributions,
        steps.scores,
        agents.agents,
        agents.published_agents,
        agents.evaluations,
        agents.recordings,
        agents.films,
        agents.movies,
    ],
    "Tables, figures and documents (the rules call them; so can you)": [
        report.tables,
        report.variables,
        report.figures,
        report.agreement,
        report.curves,
        report.reconstructions,
        report.saliency,
        report.audit_measure,
        report.audit,
        report.audit_frames,
        report.audit_summary,
        report.agent_scores,
        report.ledger,
        report.scaling,
        report.convergence,
        report.transfer,
        report.control,
        report.frames_by_policy,
        report.report,
        report.paper,
    ],
}


class SectionedGroup(click.Group):
    """A group whose help lists the commands by `SECTIONS`."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one list of commands for each section."""
        for title, commands in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(c.name or "", c.get_short_help_str(100)) for c in commands])


@click.group(
    cls=SectionedGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__)
def cli() -> None:
    """Run the AtariARI benchmark of state representations.

    Does an encoder capture where things are, who is winning, how many lives are left? Snakemake
    calls the steps in data-flow order; DVC remembers what they made.
    """


for _commands in SECTIONS.values():
    for _command in _commands:
        cli.add_command(_command)


def main() -> None:
    """Run the command line; a `UserError` is one line and exit code 2."""
    try:
        cli(prog_name="python -m workflow_src")
    except UserError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
