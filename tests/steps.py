"""The steps as tests call them: with a configuration, from which they get their values."""

from typing import Any

from workflow_src.config.run import Config
from workflow_src.probes import probe as probing
from workflow_src.splits import split as splitting
from workflow_src.training import job
from workflow_src.training import reconstruct as reconstructing


def split(config: Config, *, protocol: str, **which: Any) -> None:
    """`splits.split.split` with the values that the command ``splits`` composes."""
    config.validate_names(protocol=protocol, **which)
    splitting.split(
        protocol=protocol,
        settings=config.splits,
        switches=config.protocol(protocol).splits,
        label_set=config.label_set,
        seed_protocol=config.derived.seed_protocol(protocol),
        percent=config.derived.percent(protocol),
        **which,
    )


def train(config: Config, *, protocol: str, method: str, **which: Any) -> None:
    """`training.job.train` with the values that the command ``encoders`` composes."""
    row = config.method(method)
    job.train(
        protocol=protocol,
        method=method,
        row=row,
        settings=row.training(config.training),
        switches=config.protocol(protocol).methods,
        label_set=config.label_set,
        classes=config.probe.classes,
        seed_protocol=config.derived.seed_protocol(protocol),
        device=config.device,
        trainings_per_gpu=config.trainings_per_gpu,
        **which,
    )


def probe(config: Config, *, protocol: str, method: str, **which: Any) -> None:
    """`probes.probe.probe` with the values that the command ``probes`` composes."""
    probing.probe(
        protocol=protocol,
        method=method,
        row=config.method(method),
        settings=config.probe,
        switches=config.protocol(protocol).probes,
        label_set=config.label_set,
        seed_protocol=config.derived.seed_protocol(protocol),
        device=config.device,
        trainings_per_gpu=config.trainings_per_gpu,
        **which,
    )


def reconstruct(config: Config, *, method: str, **which: Any) -> None:
    """`training.reconstruct.reconstruct` with the values that the command ``examples`` composes."""
    reconstructing.reconstruct(method=method, row=config.method(method), **which)
