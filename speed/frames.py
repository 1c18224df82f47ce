"""Real frames for the scripts to share, collected when first asked for."""

from pathlib import Path

from speed.measure import Bench
from workflow_src.config.run import defaults
from workflow_src.episodes.collect import collect


def gather(game: str, frames: int, out: Path, workers: int) -> Path:
    """Collect as the workflow does: the paper's random agent and settings."""
    config = defaults({"episodes": {"frames": {"pretrain": frames, "probe": frames}}})
    collect(
        game=game,
        policy="random_agent",
        policy_settings=config.policies["random_agent"],
        settings=config.episodes,
        purpose="probe",
        seed=0,
        out=out,
        workers=workers,
        progress=False,
    )
    return out


def played(at: Bench, frames: int, game: str = "pong") -> Path:
    """The file of a collection of ``frames`` of a game."""
    out = at.directory / f"{game}-{frames}.b2nd"
    return out if out.exists() else gather(game, frames, out, at.cores)
