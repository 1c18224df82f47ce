"""All scripts, one table, and speed/latest.json: `make bench`."""

import importlib
import platform
import sys
import time
from importlib.metadata import version
from pathlib import Path

import click

from speed.measure import alone, bench, content, table
from workflow_src import artifacts

STEPS = (
    *("collect", "store", "duplicates", "train", "methods", "places", "probes", "agents"),
    "workflow",
)
LATEST = Path(__file__).with_name("latest.json")
_INSTRUCTIONS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "amx_int8", "sve", "bf16")


def check_device(device: str) -> None:
    """End with one line if ``device`` is cuda and there is none."""
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        click.echo(
            "error: no CUDA device here; run it on a machine that has one, or try the code with "
            "--device cpu",
            err=True,
        )
        sys.exit(2)


def hardware() -> str:
    """Processor, cores, instruction sets, GPU and versions, in one line."""
    import os

    import torch

    info = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    entries = {
        key.strip(): value.strip()
        for key, _, value in (line.partition(":") for line in info.splitlines())
    }
    flags = set((entries.get("flags") or entries.get("Features") or "").split())
    parts = [
        entries.get("model name") or platform.processor() or platform.machine(),
        f"{len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()} "
        "cores",
        " ".join(name for name in _INSTRUCTIONS if name in flags),
        torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU",
        f"torch {torch.__version__}",
        f"ale-py {version('ale-py')}",
    ]
    return ", ".join(filter(None, parts))


@click.command()
@click.option(
    "--only", multiple=True, type=click.Choice(STEPS), help="These steps; by default all of them."
)
@click.option(
    "--rounds",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    help="Medians are of so many.",
)
@click.option("--tiny", is_flag=True, help="Sizes that say nothing about speed, for tests.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default=LATEST,
    help="JSON of the table.",
)
def main(only: tuple[str, ...], rounds: int, tiny: bool, out: Path) -> None:
    """Measure the steps beside baselines and limits; prints one table."""
    rows = []
    with bench(rounds, tiny) as at:
        try:
            for step in only or STEPS:
                start = time.monotonic()
                rows += importlib.import_module(f"speed.{step}").rows(at)
                click.echo(f"measured {step} in {time.monotonic() - start:.0f} s", err=True)
        finally:  # what was measured before a step failed took minutes
            click.echo(alone(hardware).value)
            if rows:
                click.echo(table(rows))
    artifacts.write_json(out, content(rows))


if __name__ == "__main__":
    main()
