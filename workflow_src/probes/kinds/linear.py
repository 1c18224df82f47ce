"""Linear probes of all state variables at once (arXiv 1906.08226, section 4; docs/protocol.md).

One linear classifier of 256 classes per state variable on frozen features: cross entropy, Adam, and
for each variable early stopping and a learning rate that is reduced on a plateau of the validation
accuracy; see `fitting`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from workflow_src.config.probes import Probe, ProbeProtocol
from workflow_src.probes import fitting
from workflow_src.probes.fitting import Features, affine
from workflow_src.probes.metrics import count

NAME = "linear"


@dataclass(frozen=True)
class LinearProbes:
    """The fitted probes of V variables, and how the fitting went."""

    weight: torch.Tensor  # float32 (V, classes, d)
    bias: torch.Tensor  # float32 (V, classes)
    accuracy: np.ndarray  # float64 (epochs, V): of validation, NaN once a variable had stopped
    rate: np.ndarray  # float64 (epochs, V): learning rate of each epoch, NaN likewise

    def predict(self, values: np.ndarray) -> np.ndarray:
        """The most likely value of each variable: features (n, d) float32 -> (n, V) int64."""
        x = torch.as_tensor(values, device=self.weight.device)
        return (
            fitting.most_likely_class(partial(affine, weight=self.weight, bias=self.bias), x)
            .cpu()
            .numpy()
        )


def fit(
    train: Features,
    val: Features,
    settings: Probe,
    switches: ProbeProtocol,
    rng: np.random.Generator,
    device: torch.device,
    *,
    observed: bool = False,
    names: Sequence[str] | None = None,
    progress: bool = False,
) -> LinearProbes:
    """Fit one probe per variable; all randomness comes from ``rng``.

    ``observed``: only classes that the variable has in ``train``; the others get the score -inf.
    ``names``: of the variables, for errors. Memory on the device: twice the features, the labels,
    six times the weights. `UserError` for a part smaller than a batch, labels that are not a class,
    features that are not finite, and divergence.
    """
    fitting.check(train, val, settings, switches)
    weight, bias = fitting.initial(
        train.labels.shape[1], settings.classes, train.values.shape[1], rng
    )
    if observed:
        # This bias stays: the gradient of a class with probability 0 that is never true is 0.
        bias[torch.from_numpy(count(train.labels, settings.classes) == 0)] = -torch.inf
    bank = Bank([weight, bias], switches.lr, settings.eps, device)
    (weight, bias), accuracy, rate = fitting.fit(
        bank, train, val, settings, switches, rng, device, names=names, progress=progress
    )
    return LinearProbes(weight, bias, accuracy, rate)


class Bank(fitting.ProbeBank):
    """One layer: weights (A, classes, d) and biases (A, classes)."""

    def scores(self, x: torch.Tensor) -> torch.Tensor:
        """Features (n, d) -> scores (n, A, classes) divided by ``factor``."""
        return affine(x, *self.parameters)

    def _backward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        loss, grad = self._loss(self.scores(x), y)
        fitting.affine_gradients(x, grad, *self.parameters)
        return loss
