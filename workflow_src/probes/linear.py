"""Linear probes of all state variables at once (arXiv 1906.08226, section 4; docs/protocol.md, Probe).

One linear classifier of 256 classes per state variable, on frozen features: cross entropy, Adam, and per variable early
stopping and a learning rate that falls on plateaus of the validation accuracy. As in the 2019 code, but there every
variable was a module with an optimizer of its own. Here all variables share the batches and are one tensor of weights, so
that a step is two matrix products, the cross-entropy gradient in closed form (softmax - one-hot), and one fused Adam.

Adam moves weights by (rate x direction), so a rate per variable is one common rate on weights that are stored divided by
their variable's factor of that rate; the logits are multiplied by the factor. Variables that stopped leave the tensor and
cost nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from tqdm import tqdm

from workflow_src.config import Probe, ProbeProtocol
from workflow_src.episodes.dataset import draw
from workflow_src.errors import UserError

# Frames predicted at once: 43 MB of scores for 41 variables of 256 classes.
_CHUNK = 1024
# The defaults of torch.optim.lr_scheduler.ReduceLROnPlateau, which the configuration does not name.
_PLATEAU_THRESHOLD, _PLATEAU_EPS = 1e-4, 1e-8


@dataclass(frozen=True)
class Features:
    """A part of a split as probes see it: n frames of E episodes, episode after episode; V variables."""

    values: np.ndarray  # float32 (n, d)
    labels: np.ndarray  # integers (n, V)
    lengths: np.ndarray  # int64 (E,): frames an episode; they add up to n


@dataclass(frozen=True)
class LinearProbes:
    """Fitted probes of V variables, and how fitting them went."""

    weight: torch.Tensor  # float32 (V, classes, d)
    bias: torch.Tensor  # float32 (V, classes)
    accuracy: np.ndarray  # float64 (epochs, V): of validation; NaN after a variable stopped

    def predict(self, values: np.ndarray) -> np.ndarray:
        """The likeliest value of every variable: features (n, d) -> int64 (n, V)."""
        return _predict(self.weight, self.bias, torch.as_tensor(values)).cpu().numpy()


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
) -> LinearProbes:
    """Fit the probes of all variables; every draw comes from ``rng``.

    ``names`` are the variables' in errors. `UserError` when a part has too few frames, a feature is not finite, a label is
    no class, or a probe diverges. Memory on the device: the features twice, the labels, four times the weights.
    """
    names = names or [f"variable {v}" for v in range(train.labels.shape[1])]
    for part, what in ((train, "train"), (val, "val")):
        _check(part, what, settings, batches=what == "train" or switches.sampling == "replacement")
    x, y = torch.as_tensor(train.values, device=device), torch.as_tensor(train.labels, dtype=torch.int64, device=device)
    val_x, val_y = torch.as_tensor(val.values, device=device), torch.as_tensor(val.labels, dtype=torch.int64, device=device)

    active = np.arange(len(names))  # the variables that still learn
    stack = Stack(*initial(len(names), settings.classes, x.shape[1], rng), switches.lr, settings.eps, device)
    schedule = Schedule(len(names), switches.lr, settings)
    kept = [torch.empty_like(parameter) for parameter in stack.parameters]
    history = np.full((settings.epochs, len(names)), np.nan)
    epochs = tqdm(range(settings.epochs), desc="probes", unit="epoch", leave=False, disable=None if progress else True)
    for epoch in epochs:
        # Putting the epoch in order beforehand makes every batch a slice.
        order = torch.from_numpy(_epoch(train.lengths, switches, settings)).to(device)
        shape = (-1, settings.batch_size)
        losses = stack.learn(x[order].unflatten(0, shape), y[order].unflatten(0, shape))
        hits = _predict(*stack.parameters, val_x) == val_y
        if switches.sampling == "replacement":
            hits = hits[torch.from_numpy(_full_batches(draw(val.lengths, "replacement", rng), settings)).to(device)]
        # The only time in an epoch that the host waits for the device.
        losses, accuracy = torch.stack([losses.double(), hits.double().mean(0)]).cpu().numpy()
        if not np.isfinite(losses).all():
            v = np.flatnonzero(~np.isfinite(losses))[0]
            raise UserError(f"the probe of {names[active[v]]} diverged in epoch {epoch}: loss {losses[v]}; lower its lr")

        history[epoch, active] = accuracy
        better, stopped = schedule.step(accuracy)
        save = better if switches.keep == "best" else np.ones_like(better)
        for place, parameter in zip(kept, stack.weights(), strict=True):
            place[torch.from_numpy(active[save]).to(device)] = parameter[torch.from_numpy(save).to(device)]
    return LinearProbes(*kept, history)
