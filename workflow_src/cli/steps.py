"""Commands for the steps up to the scores, in data-flow order: the rules call them.

Each composes its step's values from the configuration; a step never sees the whole of it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from workflow_src.cli.options import INPUT, OUTPUT, command, shared
from workflow_src.errors import UserError

if TYPE_CHECKING:
    from workflow_src.config.run import Config

_IDENTITY = ("config", "game", "policy", "protocol", "method", "seed")


@command()
@shared("config", "game", "policy", "purpose", "seed", "out")
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    help="Processes; by default one per processor. The file is the same for any number.",
)
@click.option(
    "--weights", type=INPUT, multiple=True, help="Those of the policy's agent, as its row says."
)
@shared("quiet")
def episodes(
    config: Config, game: str, policy: str, weights: tuple[Path, ...], quiet: bool, **which: Any
) -> None:
    """Play a game and store its frames and RAM."""
    from workflow_src.episodes.collect import collect
    from workflow_src.episodes.policy import Player

    row, players = config.policy(policy), []
    if (needed := len(config.weights_that_play(policy))) != len(weights):
        raise UserError(f"policy {policy} needs {needed} --weights, and {len(weights)} were given")
    if row.agent is not None:
        agent = config.agent(row.agent)
        clears = config.agent_protocols[agent.protocol].clear_history
        players = [Player(agent, clears, game, file) for file in weights]
    collect(
        game=config.game(game),
        policy=policy,
        policy_settings=row,
        settings=config.episodes,
        players=players,
        progress=not quiet,
        **which,
    )


@command()
@shared("config", "game", "policy", "protocol", "purpose", "seed")
@click.option("--frames", type=INPUT, required=True, help="Frames to split.")
@click.option("--exclude", type=INPUT, help="The encoder's frames, to keep out of test.")
@shared("out")
def splits(config: Config, protocol: str, **which: Any) -> None:
    """Split frames into train, validation and test."""
    from workflow_src.splits.split import split

    config.validate_names(protocol=protocol, **which)
    split(
        protocol=protocol,
        settings=config.splits,
        switches=config.protocol(protocol).splits,
        label_set=config.label_set,
        seed_protocol=config.derived.seed_protocol(protocol),
        percent=config.derived.percent(protocol),
        **which,
    )


@command()
@shared(*_IDENTITY)
@click.option("--frames", type=INPUT, help="The frames to learn from, unless nothing is learned.")
@click.option("--split", type=INPUT, help="Their split.")
@shared("out")
@click.option("--history", type=OUTPUT, required=True, help="CSV of losses to write.")
@click.option("--checkpoint", type=OUTPUT, help="Where to keep the state, to resume if killed.")
@click.option("--agent-weights", "agent", type=INPUT, help="The weights of the method's agent.")
@click.option("--base-weights", "base", type=INPUT, help="The encoder that a method conditions.")
@shared("log", "quiet")
def encoders(
    config: Config, protocol: str, method: str, log: Path | None, quiet: bool, **which: Any
) -> None:
    """Train an encoder."""
    from workflow_src import live
    from workflow_src.training.job import train

    config.validate_names(protocol=protocol, method=method, **which)
    row = config.method(method)
    with live.at(log, f"{method} on {which['game']}"):
        train(
            protocol=protocol,
            method=method,
            row=row,
            base_row=config.method(row.of) if row.of else None,
            settings=row.training(config.training),
            switches=config.protocol(protocol).methods,
            label_set=config.label_set,
            classes=config.probe.classes,
            seed_protocol=config.derived.seed_protocol(protocol),
            device=config.device,
            trainings_per_gpu=config.trainings_per_gpu,
            progress=not quiet,
            **which,
        )


@command()
@shared(*_IDENTITY)
@click.option("--frames", type=INPUT, required=True, help="The probe's frames.")
@click.option("--split", type=INPUT, required=True, help="Their split.")
@click.option("--weights", type=INPUT, help="The encoder, unless the method has none.")
@click.option(
    "--probe", "kind", required=True, help="One of probe.kinds, or the method's own probe."
)
@shared("out")
@click.option("--predictions", type=OUTPUT, help="What is read in one test episode, to write.")
@shared("log")
def probes(config: Config, protocol: str, method: str, log: Path | None, **which: Any) -> None:
    """Fit a probe for each state variable on an encoder's features, and score it."""
    from workflow_src import live
    from workflow_src.probes.probe import probe

    config.validate_names(protocol=protocol, method=method, **which)
    with live.at(log, f"{which['kind']} probes of {method} on {which['game']}"):
        probe(
            protocol=protocol,
            method=method,
            row=config.method(method),
            settings=config.probe_of(protocol),
            switches=config.protocol(protocol).probes,
            label_set=config.label_set,
            seed_protocol=config.derived.seed_protocol(protocol),
            device=config.device,
            trainings_per_gpu=config.trainings_per_gpu,
            **which,
        )


@command()
@shared(*_IDENTITY)
@click.option("--frames", type=INPUT, required=True, help="The encoder's frames.")
@click.option("--split", type=INPUT, required=True, help="Their split.")
@click.option("--weights", type=INPUT, required=True, help="The encoder, and its decoder.")
@shared("out")
def examples(config: Config, method: str, **which: Any) -> None:
    """Decode some validation frames, for a figure."""
    from workflow_src.training.reconstruct import reconstruct

    config.validate_names(method=method, **which)
    reconstruct(method=method, row=config.method(method), **which)


@command()
@shared(*_IDENTITY)
@click.option("--frames", type=INPUT, required=True, help="The probe's frames.")
@click.option("--split", type=INPUT, required=True, help="Their split.")
@click.option("--weights", type=INPUT, required=True, help="The encoder.")
@shared("out")
def attributions(config: Config, protocol: str, method: str, **which: Any) -> None:
    """Ask which pixels a linear probe of each variable depends on."""
    from workflow_src.probes.attribution import attribute

    config.validate_names(protocol=protocol, method=method, **which)
    row = config.method(method)
    if not row.has_encoder or "linear" not in row.probe_names(["linear"]):
        raise UserError(f"{method} has no encoder with linear probes: choose another method")
    attribute(
        protocol=protocol,
        method=method,
        row=row,
        settings=config.probe,
        switches=config.protocol(protocol).probes,
        label_set=config.label_set,
        mode=config.recordings.saliency,
        **which,
    )


@command()
@shared("config")
@click.option(
    "--study",
    type=click.Choice(["ledger", "scaling", "convergence", "transfer", "control"]),
    help="Collect a study's probes instead of the run's.",
)
@shared("out")
@click.option("--metrics", type=OUTPUT, help="JSON of the headlines to write, for `dvc metrics`.")
def scores(config: Config, study: Any, out: Path, metrics: Path | None) -> None:
    """Collect every metric of every probe of this run in one tidy CSV."""
    from workflow_src import layout
    from workflow_src.report.scores import write_scores

    if study is not None:
        config.derived.require(study)
    files = layout.PROBES.files(config) if study is None else layout.PROBES.files(config, study)
    write_scores([Path(file) for file in files], out, metrics)
