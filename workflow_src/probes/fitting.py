"""Fitting probes by gradient descent: one loop, with early stopping and learning rate per variable.

In the 2019 code every variable was a module with its own optimizer. Here all variables share the
batches and are one tensor per layer (`ProbeBank`), so a step is a few matrix products, the gradient
of the cross entropy in closed form (softmax - one-hot), and one fused Adam.

Adam moves a weight by rate x direction. A rate per variable is therefore one common rate on weights
that are stored divided by their variable's factor of it; `ProbeBank` does so. Variables that have
stopped leave the tensors and cost nothing.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from tqdm import tqdm

from workflow_src.config.probes import Probe, ProbeProtocol
from workflow_src.devices import product
from workflow_src.episodes.dataset import draw
from workflow_src.errors import UserError
from workflow_src.live import Meter
from workflow_src.schedules import Limits, Schedule

# Frames scored at once: 43 MB for 41 variables of 256 classes.
_CHUNK = 1024


@dataclass(frozen=True)
class Features:
    """A part of a split for probes: n frames of E episodes, episode after episode."""

    values: np.ndarray  # float32 (n, d)
    labels: np.ndarray  # integers (n, V): one column a variable
    lengths: np.ndarray  # int64 (E,): frames an episode; they add up to n


class FittedProbes(Protocol):
    """What a fit returns: a probe of V variables."""

    def predict(self, values: np.ndarray) -> np.ndarray:
        """The most likely value of each variable: features (n, d) float32 -> (n, V) int64."""


@runtime_checkable
class Estimates(FittedProbes, Protocol):
    """A fitted probe that estimates values as numbers, too."""

    def estimate(self, values: np.ndarray) -> np.ndarray:
        """Each variable as a number: features (n, d) float32 -> (n, V) float64."""


class Fit(Protocol):
    """The function ``fit`` of each kind of probe."""

    def __call__(
        self,
        train: Features,
        val: Features,
        settings: Probe,
        switches: ProbeProtocol,
        rng: np.random.Generator,
        device: torch.device,
        *,
        names: Sequence[str] | None = None,
        progress: bool = False,
    ) -> FittedProbes:
        """Fit a probe for each variable; all randomness comes from ``rng``."""


def fit(
    bank: "ProbeBank",
    train: Features,
    val: Features,
    settings: Probe,
    switches: ProbeProtocol,
    rng: np.random.Generator,
    device: torch.device,
    *,
    names: Sequence[str] | None,
    progress: bool,
) -> tuple[list[torch.Tensor], np.ndarray, np.ndarray]:
    """Fit a new bank of V variables on checked parts.

    Returns its weights, and the validation accuracy and learning rate of each epoch, float64
    (epochs, V), NaN once a variable had stopped.
    """
    names = names if names is not None else [f"variable {v}" for v in range(train.labels.shape[1])]
    with_replacement = switches.sampling == "replacement"

    def on_device(array: np.ndarray) -> torch.Tensor:
        return torch.as_tensor(array, device=device)

    x, y = on_device(train.values), on_device(train.labels).long()
    val_x, val_y = on_device(val.values), on_device(val.labels).long()
    active = np.arange(len(names))  # the variables that have not stopped, in the order of the bank
    limits = Limits(
        settings.patience, settings.plateau_patience, settings.plateau_factor, settings.min_lr
    )
    schedule = Schedule(len(names), switches.lr, limits)
    kept = bank.weights()
    accuracy, rate = np.full((2, settings.epochs, len(names)), np.nan)

    meter = Meter("probes", settings.epochs, "frames", 1, lines=False)
    for epoch in tqdm(
        range(settings.epochs),
        desc="probes",
        unit="epoch",
        leave=False,
        disable=None if progress else True,
    ):
        meter.begin(epoch + 1)
        # Ordered once an epoch, so that each batch is a slice.
        order = on_device(full_batches(train.lengths, settings, switches, rng))
        batches = (-1, settings.batch_size)
        loss = bank.learn(
            x[order].unflatten(0, batches), y[order][:, on_device(active)].unflatten(0, batches)
        )
        correct = most_likely_class(bank.scores, val_x) == val_y[:, on_device(active)]
        if with_replacement:
            correct = correct[on_device(full_batches(val.lengths, settings, switches, rng))]
        # The one moment of an epoch when the host waits for the device.
        loss, score = torch.stack([loss.double(), correct.double().mean(0)]).cpu().numpy()
        if not np.isfinite(loss).all():
            first = int(np.argmin(np.isfinite(loss)))
            raise UserError(
                f"the probe of {names[active[first]]} diverged in epoch {epoch}: loss "
                f"{loss[first]}; lower the probes' lr"
            )
        accuracy[epoch, active], rate[epoch, active] = score, schedule.rate
        meter.count(len(order), 1.0)
        better, stopped = schedule.step(score)
        save = better if switches.keep == "best" else np.ones_like(better)
        for place, weights in zip(kept, bank.weights(), strict=True):
            place[on_device(active[save])] = weights[on_device(save)]
        if stopped.all():
            break
        bank.set_rates(schedule.rate / switches.lr)
        if stopped.any():
            active = active[~stopped]
            schedule.retain(~stopped)
            bank.retain(on_device(~stopped))
    return kept, accuracy, rate


def check(train: Features, val: Features, settings: Probe, switches: ProbeProtocol) -> None:
    """Refuse parts that are too small or invalid."""
    check_part(train, settings, "train", settings.batch_size)
    check_part(
        val, settings, "val", settings.batch_size if switches.sampling == "replacement" else 1
    )


def check_part(part: Features, settings: Probe, name: str, least: int) -> None:
    """Refuse features and labels that are invalid, or fewer than ``least`` frames."""
    n = len(part.values)
    assert part.values.ndim == part.labels.ndim == 2 and len(part.labels) == part.lengths.sum() == n
    if n < least:
        raise UserError(
            f"the probe's {name} part has {n} frames, fewer than {least}: collect more frames or "
            "lower probe.batch_size"
        )
    if part.labels.max() >= settings.classes:
        raise UserError(
            f"a {name} label is {part.labels.max()}, but there are {settings.classes} classes: "
            "set probe.classes to 256"
        )
    if not np.isfinite(part.values).all():
        raise UserError(
            f"the {name} features are not all finite: the encoder diverged; "
            "train it again with a lower lr"
        )


def full_batches(
    lengths: np.ndarray, settings: Probe, switches: ProbeProtocol, rng: np.random.Generator
) -> np.ndarray:
    """Positions of an epoch's frames as the protocol draws them, without an incomplete batch."""
    positions = draw(lengths, switches.sampling, rng)
    return positions[: len(positions) // settings.batch_size * settings.batch_size]


def initial(
    variables: int, units: int, d: int, rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights (V, units, d) and biases (V, units) as torch.nn.Linear's: uniform, +-1/sqrt(d)."""
    shapes = (variables, units, d), (variables, units)
    weight, bias = (
        (2 * rng.random(shape, dtype=np.float32) - 1) / np.float32(d**0.5) for shape in shapes
    )
    return torch.from_numpy(weight), torch.from_numpy(bias)


def affine(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """All variables' layers on shared inputs as one product.

    Inputs (n, d), weights (A, units, d), biases (A, units) -> (n, A, units).
    """
    return product(x, weight.view(-1, x.shape[1]), bias.flatten()).view(-1, *bias.shape)


def affine_gradients(
    x: torch.Tensor, grad: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor
) -> None:
    """Write the gradients of `affine`, given that of its result, ``grad`` (n, A, units)."""
    grad = grad.flatten(1)
    assert bias.grad is not None
    weight.grad = product(grad.T, x.T).view_as(weight)
    torch.sum(grad, dim=0, out=bias.grad.view(-1))


def most_likely_class(
    scores: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor
) -> torch.Tensor:
    """The class with the highest score: features (n, d) -> (n, A) int64."""
    return torch.cat([scores(chunk).argmax(-1) for chunk in x.split(_CHUNK)])


class ProbeBank(ABC):
    """The weights of A variables as one tensor per layer, with Adam at one rate per variable.

    ``parameters`` are weights (A, units, inputs) and biases (A, units), layer after layer, divided
    by their variable's ``factor`` (A,) of the common learning rate. Gradients are written, not
    derived, so autograd is never involved: they are those of the unscaled weights, and Adam's eps
    refers to them, too.
    """

    def __init__(
        self, parameters: Sequence[torch.Tensor], lr: float, eps: float, device: torch.device
    ):
        self.factor = torch.ones(len(parameters[0]), device=device)
        self._lr, self._eps = lr, eps
        self._classes = torch.arange(parameters[-1].shape[1], device=device)
        self._take([parameter.to(device, copy=True) for parameter in parameters])

    def _take(self, parameters: list[torch.Tensor]) -> None:
        self.parameters = parameters
        for parameter in parameters:
            parameter.grad = torch.zeros_like(parameter)
        self._adam = torch.optim.Adam(parameters, lr=self._lr, eps=self._eps, fused=True)

    def weights(self) -> list[torch.Tensor]:
        """Copies of the weights and biases, unscaled."""
        return [p * self.factor.view(-1, *[1] * (p.ndim - 1)) for p in self.parameters]

    @abstractmethod
    def scores(self, x: torch.Tensor) -> torch.Tensor:
        """Features (n, d) -> scores (n, A, classes) divided by ``factor``, in the same order."""

    @abstractmethod
    def _backward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Write the gradients of a batch: features (B, d), values (B, A, 1) -> losses (A,)."""

    def _loss(self, scores: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Cross entropy of `scores`, which are overwritten.

        Returns its mean (A,) and the gradient of the scores (B, A, classes).
        """
        log_p = torch.log_softmax(scores.mul_(self.factor.view(-1, 1)), dim=-1)
        loss = -log_p.gather(-1, y).squeeze(-1).mean(0)
        # A comparison and not a scatter, which on CUDA is slow when it has to be deterministic.
        return loss, log_p.exp_().sub_((y == self._classes).float()).div_(len(y))

    @torch.no_grad()
    def learn(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """One step per batch: features (steps, B, d), values (steps, B, A) -> mean losses (A,)."""
        total = torch.zeros_like(self.factor)
        for x_b, y_b in zip(x, y.unsqueeze(-1), strict=True):
            total += self._backward(x_b, y_b)
            self._adam.step()
        return total / len(x)

    def set_rates(self, factor: np.ndarray) -> None:
        """Continue at ``factor`` (A,) times the common learning rate, with the same weights."""
        new = torch.as_tensor(factor, dtype=torch.float32, device=self.factor.device)
        for parameter in self.parameters:
            parameter.mul_((self.factor / new).view(-1, *[1] * (parameter.ndim - 1)))
        self.factor = new

    def retain(self, which: torch.Tensor) -> None:
        """Continue with the variables of the mask ``which`` (A,) only."""
        self.factor = self.factor[which]
        old = [self._adam.state[parameter] for parameter in self.parameters]
        self._take([parameter[which] for parameter in self.parameters])
        for parameter, state in zip(self.parameters, old, strict=True):
            self._adam.state[parameter] = {
                k: v if k == "step" else v[which] for k, v in state.items()
            }
