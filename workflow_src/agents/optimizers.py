"""Optimizers as the sources of the agents have them."""

from collections.abc import Callable, Iterable
from typing import Any

import torch

from workflow_src.config.agents import Optimizer


def build(settings: Optimizer, parameters: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
    """The optimizer of an agent."""
    parameters = list(parameters)
    on_cuda = any(one.is_cuda for one in parameters)  # then its steps can be recorded
    shared: dict[str, Any] = {"lr": settings.lr, "eps": settings.eps, "capturable": on_cuda}
    if settings.kind == "adam":
        return torch.optim.Adam(parameters, fused=True, **shared)
    if settings.kind == "adadelta":
        return torch.optim.Adadelta(parameters, rho=settings.decay, **shared)
    made = (settings.lr, settings.decay, settings.eps)
    return RMSProp(parameters, *made, centred=settings.centred)


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Change the learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = lr


class RMSProp(torch.optim.Optimizer):
    """RMSProp with eps inside of the root, by default of the gradient's variance.

    ``g <- decay g + (1 - decay) d``, ``n <- decay n + (1 - decay) d^2``, step
    ``lr d / sqrt(n - g^2 + eps)``, as in Torch7 code of DeepMind's DQN and in Kaixhin/Atari, whose
    asynchronous agents have it without ``g`` (``centred`` false). PyTorch's own has eps outside of
    the root.
    """

    def __init__(
        self,
        parameters: Iterable[torch.nn.Parameter],
        lr: float,
        decay: float,
        eps: float,
        centred: bool = True,
    ):
        super().__init__(parameters, {"lr": lr, "decay": decay, "eps": eps, "centred": centred})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """Move all parameters that have a gradient."""
        for group in self.param_groups:
            moved = [one for one in group["params"] if one.grad is not None]
            for one in moved:
                if not self.state[one]:
                    self.state[one] = {
                        "mean": torch.zeros_like(one),
                        "square": torch.zeros_like(one),
                    }
            gradients = [one.grad for one in moved]
            squares = [self.state[one]["square"] for one in moved]
            decay = group["decay"]
            torch._foreach_mul_(squares, decay)
            torch._foreach_addcmul_(squares, gradients, gradients, 1 - decay)
            if group["centred"]:
                means = [self.state[one]["mean"] for one in moved]
                torch._foreach_lerp_(means, gradients, 1 - decay)
                roots = list(torch._foreach_addcmul(squares, means, means, -1))
                torch._foreach_add_(roots, group["eps"])
            else:
                roots = list(torch._foreach_add(squares, group["eps"]))
            torch._foreach_sqrt_(roots)
            torch._foreach_addcdiv_(moved, gradients, roots, -group["lr"])
