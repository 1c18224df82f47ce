"""Linear probes of the classes that a variable has in train, instead of all 256."""

from collections.abc import Sequence

import numpy as np
import torch

from workflow_src.config.probes import Probe, ProbeProtocol
from workflow_src.probes.fitting import Features
from workflow_src.probes.kinds import linear

NAME = "linear, observed classes"


def fit(
    train: Features,
    val: Features,
    settings: Probe,
    switches: ProbeProtocol,
    rng: np.random.Generator,
    device: torch.device,
    *,
    names: Sequence[str] | None = None,
    progress: bool = False,
) -> linear.LinearProbes:
    """Fit one probe per variable; as `linear.fit`, but other classes get the score -inf."""
    return linear.fit(
        train,
        val,
        settings,
        switches,
        rng,
        device,
        observed=True,
        names=names,
        progress=progress,
    )
