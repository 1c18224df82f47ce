"""The group of all commands, by who uses them, and the entry point."""

import _thread
import contextlib
import errno
import os
import platform
import re
import sys
import threading
import time

import click
import psutil

from workflow_src import __version__
from workflow_src.cli import agents, demo, one_line, report, runs, steps, versioning
from workflow_src.errors import UserError

_WATCH_SECONDS = 1.0  # between looks at whether Snakemake is still there
_GRACE_SECONDS = 20.0  # to end by itself
# What the system can be short of.
_SHORT = {errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EDQUOT, errno.ENOMEM, errno.EAGAIN}
# Section of --help -> its commands, in this order.
SECTIONS: dict[str, list[click.Command]] = {
    "Commands": [
        one_line.probe,
        one_line.export,
        runs.init,
        runs.configure,
        runs.show,
        runs.tensorboard,
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
        report.readings,
        report.saliency,
        report.audit_measure,
        report.audit,
        report.audit_frames,
        report.audit_summary,
        report.calibrate,
        report.calibration,
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


def main(prog_name: str = "python -m workflow_src") -> None:
    """Run the command line; a `UserError`, and what the machine is short of, is one line."""
    _end_with_its_starter(os.environ.get("WORKFLOW_SRC_STARTED_BY", ""))
    try:
        cli(prog_name=prog_name)
    except UserError as error:
        said, code = str(error), error.exit_code
    except Exception as error:
        if not (short := _shortage(error) or _missing(error)):
            raise
        said, code = short, UserError.exit_code
    else:
        return
    click.echo(f"error: {said}", err=True)
    sys.exit(code)


def _end_with_its_starter(starter: str) -> None:
    """End this job soon after the Snakemake that started it, ``host:process``, was killed."""
    host, _, process = starter.rpartition(":")
    if host != platform.node() or not process.isdigit():
        return  # on another machine of a cluster there is no such process

    def watch() -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            while psutil.Process(int(process)).status() != psutil.STATUS_ZOMBIE:
                time.sleep(_WATCH_SECONDS)
        _thread.interrupt_main()  # what is being written is cleared away
        time.sleep(_GRACE_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _missing(error: Exception) -> str:
    """The extra that has a library that is not installed; empty for any other error."""
    if not isinstance(error, ModuleNotFoundError):
        return ""
    package = (error.name or "").partition(".")[0]
    if package in ("", "workflow_src", "atariari"):
        return ""
    extra = {"av": "movies", "pyarrow": "parquet", "tensorboard": "tensorboard"}.get(
        package, "workflow"
    )
    return f"{package} is not installed; install it with: pip install 'atariari[{extra}]'"


def _shortage(error: Exception) -> str:
    """What the machine is short of, and the mend; empty for any other error."""
    if isinstance(error, MemoryError) or re.search(
        "(can't|cannot) allocate memory|CUDA out of memory|failed to map segment", str(error)
    ):
        where = "on the GPU" if "CUDA" in str(error) else "on this machine"
        return (
            f"there is not enough memory {where}: close other programs, run fewer jobs at a time, "
            "or make the run smaller"
        )
    if isinstance(error, OSError) and error.errno in _SHORT:
        where = f" {error.filename}" if error.filename else ""
        return f"cannot go on: {os.strerror(error.errno).lower()}{where}; free some and run again"
    return ""
