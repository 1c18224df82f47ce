"""Probes with one hidden layer: they find what is in the features but not linearly readable.

For each state variable one hidden layer of ReLU units and scores of 256 classes, fitted like the
linear probes; see `fitting`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from workflow_src.config.probes import Probe, ProbeProtocol
from workflow_src.probes import fitting
from workflow_src.probes.fitting import Features, affine

NAME = "one hidden layer"
OPTIONS = {"hidden": 256}


@dataclass(frozen=True)
class MlpProbes:
    """The fitted probes of V variables, and how the fitting went."""

    hidden_weight: torch.Tensor  # float32 (V, hidden, d)
    hidden_bias: torch.Tensor  # float32 (V, hidden)
    weight: torch.Tensor  # float32 (V, classes, hidden)
    bias: torch.Tensor  # float32 (V, classes)
    accuracy: np.ndarray  # float64 (epochs, V): of validation, NaN once a variable had stopped
    rate: np.ndarray  # float64 (epochs, V): learning rate of each epoch, NaN likewise

    def predict(self, values: np.ndarray) -> np.ndarray:
        """The most likely value of each variable: features (n, d) float32 -> (n, V) int64."""

        def scores(x: torch.Tensor) -> torch.Tensor:
            return _scores(
                affine(x, self.hidden_weight, self.hidden_bias).relu_(), self.weight, self.bias
            )

        return (
            fitting.most_likely_class(scores, torch.as_tensor(values, device=self.weight.device))
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
    names: Sequence[str] | None = None,
    progress: bool = False,
) -> MlpProbes:
    """Fit one probe per variable; all randomness comes from ``rng``.

    Memory and `UserError` as in `linear.fit`.
    """
    fitting.check(train, val, settings, switches)
    variables, d = train.labels.shape[1], train.values.shape[1]
    hidden = settings.resolved_options("mlp")["hidden"]
    layers = (hidden, d), (settings.classes, hidden)
    parameters = [
        tensor
        for units, inputs in layers
        for tensor in fitting.initial(variables, units, inputs, rng)
    ]
    bank = Bank(parameters, switches.lr, settings.eps, device)
    kept, accuracy, rate = fitting.fit(
        bank, train, val, settings, switches, rng, device, names=names, progress=progress
    )
    hidden_weight, hidden_bias, weight, bias = kept
    return MlpProbes(hidden_weight, hidden_bias, weight, bias, accuracy, rate)


class Bank(fitting.ProbeBank):
    """Two layers: weights (A, hidden, d) and (A, classes, hidden), each followed by its biases."""

    def scores(self, x: torch.Tensor) -> torch.Tensor:
        """Features (n, d) -> scores (n, A, classes) divided by ``factor``."""
        return _scores(self._hidden(x), *self.parameters[2:])

    def _hidden(self, x: torch.Tensor) -> torch.Tensor:
        """Features (n, d) -> what the hidden units give, as meant: (n, A, hidden)."""
        return affine(x, *self.parameters[:2]).relu_().mul_(self.factor.view(-1, 1))

    def _backward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        hidden_weight, hidden_bias, weight, bias = self.parameters
        hidden = self._hidden(x)
        loss, grad = self._loss(_scores(hidden, weight, bias), y)
        torch.sum(grad, dim=0, out=bias.grad)
        # From here the variables come first, (A, B, units), as products of one matrix each want it.
        grad, by_variable = grad.transpose(0, 1), hidden.transpose(0, 1)
        torch.bmm(grad.mT, by_variable, out=weight.grad)
        grad = torch.bmm(grad, weight).mul_(self.factor.view(-1, 1, 1)).mul_(by_variable > 0)
        fitting.affine_gradients(x, grad.transpose(0, 1), hidden_weight, hidden_bias)
        return loss


def _scores(hidden: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """Each variable's second layer on its own hidden units: (n, A, hidden) -> (n, A, classes)."""
    return torch.baddbmm(bias.unsqueeze(1), hidden.transpose(0, 1), weight.mT).transpose(0, 1)
