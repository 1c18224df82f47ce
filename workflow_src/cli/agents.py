"""Commands for the steps of agents: the rules call them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from workflow_src.cli.options import FILE, INPUT, OUTPUT, Written, command, shared
from workflow_src.errors import UserError, one_of

if TYPE_CHECKING:
    from workflow_src.agents.encoded import Frozen
    from workflow_src.config.run import Config

_AGENT = click.option("--agent", required=True, help="A row of agents, such as dqn.")
_WORKERS = click.option(
    "--workers",
    type=click.IntRange(min=1),
    help="Processes that play; by default one per processor. Any number gives the same files.",
)


_ENCODER = click.option("--encoder", type=INPUT, help="The weights of the agent's encoder.")


def _frozen(config: Config, agent: str, encoder: Path | None) -> Frozen | None:
    """The encoder that an agent sees through; `UserError` where one is missing or too many."""
    from workflow_src.agents.encoded import Frozen

    row = config.agent(agent).encoder
    if (row is None) != (encoder is None):
        said = "no encoder" if row is None else f"the encoder of {row.method}"
        raise UserError(f"agent {agent} needs {said}: see --encoder")
    if row is None or encoder is None:
        return None
    return Frozen(encoder, row.method, config.method(row.method))


class WorkingFolder(Written):
    """A folder that a step makes and removes: nothing else may be in it."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """The path; `UserError` for a folder with files of other programs."""
        path = super().convert(value, param, ctx)
        assert isinstance(path, Path)
        others = (
            [file.name for file in path.iterdir() if not _is_kept(file)] if path.exists() else []
        )
        if others:
            raise UserError(
                f"{path} has {min(others)}, and would be removed at the end: name a folder of its "
                "own with --working"
            )
        return path


def _is_kept(file: Path) -> bool:
    """Whether a file in a working folder is a step's: state, memory, weights, what is fetched."""
    own = file.name in ("state", "memory") or file.suffix in (".safetensors", ".part")
    return own or file.name.startswith(".")  # of writing that was cut off


_WORKING = WorkingFolder(path_type=Path, file_okay=False)


@command()
@shared("config", "game")
@_AGENT
@shared("seed", "out-folder")
@click.option("--history", type=OUTPUT, required=True, help="CSV to write, with a row an epoch.")
@click.option("--working", type=_WORKING, required=True, help="Where to keep the state, to resume.")
@_ENCODER
@_WORKERS
@shared("quiet")
def agents(
    config: Config, agent: str, game: str, quiet: bool, encoder: Path | None, **which: Any
) -> None:
    """Train an agent."""
    from workflow_src.agents.train import train

    row = config.agent(agent)
    train(
        frozen=_frozen(config, agent, encoder),
        agent=agent,
        game=one_of("game", game, row.games(config.games)),
        row=row,
        switches=config.agent_protocols[row.protocol],
        device=config.device,
        trainings_per_gpu=config.trainings_per_gpu,
        progress=not quiet,
        **which,
    )


@command("published-agents")
@shared("config", "game")
@_AGENT
@shared("seed", "out-folder")
@click.option("--history", type=OUTPUT, required=True, help="CSV to write, with a single row.")
@click.option("--working", type=_WORKING, required=True, help="Where to keep what is fetched.")
def published_agents(config: Config, agent: str, game: str, **which: Any) -> None:
    """Fetch a published agent's weights, check and convert them."""
    from workflow_src.agents.published import take

    row = config.agent(agent)
    if row.published is None:
        raise UserError(f"{agent} is not of the kind published: it is trained (agents)")
    take(
        agent=agent,
        game=one_of("game", game, row.games(config.games)),
        row=row,
        switches=config.agent_protocols[row.protocol],
        **which,
    )


@command()
@shared("config", "game")
@_AGENT
@shared("seed", "out")
@_ENCODER
@_WORKERS
@click.argument("weights", type=INPUT, nargs=-1, required=True)
def evaluations(
    config: Config,
    agent: str,
    game: str,
    encoder: Path | None,
    weights: tuple[Path, ...],
    **which: Any,
) -> None:
    """Judge an agent: play with each file of its WEIGHTS, and write a row a game."""
    from workflow_src.agents.evaluate import evaluate

    row = config.agent(agent)
    evaluate(
        agent=agent,
        game=one_of("game", game, row.games(config.games)),
        row=row,
        switches=config.agent_protocols[row.protocol],
        frozen=_frozen(config, agent, encoder),
        files={file.stem: file for file in weights},
        device=config.device,
        **which,
    )


@command()
@shared("config", "game")
@_AGENT
@shared("seed", "out")
@click.argument("weights", type=INPUT)
def recordings(config: Config, agent: str, game: str, seed: int, weights: Path, out: Path) -> None:
    """Record an agent with a file of its WEIGHTS at play: screens, actions, values, saliency."""
    from workflow_src.agents.recording import record

    row = config.agent(agent)
    if not row.can_be_filmed:
        raise UserError(f"agent {agent} cannot be recorded: it sees no frames of its own")
    record(
        game=one_of("game", game, row.games(config.games)),
        agent=agent,
        seed=seed,
        row=row,
        switches=config.agent_protocols[row.protocol],
        weights_file=weights,
        steps=config.recordings.steps,
        mode=config.recordings.saliency,
        out=out,
    )


@command()
@shared("config")
@click.argument("recording", type=FILE)
@shared("out")
def films(config: Config, recording: Path, out: Path) -> None:
    """Draw a RECORDING of an agent as an animated GIF."""
    from workflow_src.report.agents.film import write_film

    write_film(recording, config.label_set, out)


@command()
@shared("config")
@click.argument("recording", type=FILE)
@shared("out")
def movies(config: Config, recording: Path, out: Path) -> None:
    """Encode a RECORDING of an agent as MP4 with sound; needs PyAV."""
    from workflow_src.report.agents.movie import write_movie

    write_movie(recording, config.label_set, out)


@command()
@shared("config")
@click.argument("agent")
@click.argument("game")
@click.option("--weights", default="last", show_default=True, help="last, best or step-STEP.")
@click.option("--seed", type=click.IntRange(min=0), help="Of the training; by default the first.")
@click.option("--epsilon", type=click.FloatRange(0, 1), help="Chance of a random action.")
@click.option("--mode", type=int, help="Of the game, instead of the agent's.")
@click.option("--difficulty", type=int, help="Of the game, instead of the agent's.")
@click.option("--sound", is_flag=True, help="With sound.")
@click.option(
    "--steps", type=click.IntRange(min=1), help="How long; by default until q is pressed."
)
def play(
    config: Config, agent: str, game: str, weights: str, seed: int | None, **which: Any
) -> None:
    """Watch an AGENT of this run play a GAME, in a window.

    Keys in the terminal: space pauses, s makes one step, + and - change epsilon, q quits.
    """
    from workflow_src import layout
    from workflow_src.agents.watch import watch

    row = config.agent(agent)
    if row.encoder is not None:
        raise UserError(f"agent {agent} cannot be watched: it sees through an encoder")
    seed = config.seeds[0] if seed is None else seed
    game = one_of("game", game, row.games(config.games))
    weights = one_of("weights", weights, row.kept)
    file = layout.AGENTS.path.format(agent=agent, game=game, seed=seed, weights=weights)
    scores = watch(
        game=game,
        agent=agent,
        seed=seed,
        row=row,
        switches=config.agent_protocols[row.protocol],
        weights_file=Path(file),
        say=lambda text: click.echo(f"\r{text}", nl=False),
        **which,
    )
    click.echo(f"\n{len(scores)} games: {', '.join(f'{score:g}' for score in scores)}")
