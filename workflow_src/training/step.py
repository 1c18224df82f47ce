"""One step of training: a batch's loss and, where it learns, its gradient and the optimizer's move.

With ``cuda_graphs`` its kernels are recorded once and launched together, see `graphs`.
"""

import torch

from workflow_src import graphs
from workflow_src.training.objective import Objective

ACCURACY = "accuracy"  # beside the terms of the loss, where a method has one


def accuracy_of(part: str) -> str:
    """The name of a part's accuracy, see `Objective.parts`."""
    return f"{ACCURACY}_{part}"


class Step:
    """Called with batches of rows, it sums up losses on the device; only `means` waits for it.

    ``frames``: uint8 (n, 210, 160), ``labels``: int64 (n, V) or None. Without ``optimizer`` nothing
    is learned.
    """

    def __init__(
        self,
        objective: Objective,
        optimizer: torch.optim.Optimizer | None,
        frames: torch.Tensor,
        labels: torch.Tensor | None,
        *,
        precision: str,
        cuda_graphs: bool,
    ):
        self.objective, self.optimizer, self.frames, self.labels = (
            objective,
            optimizer,
            frames,
            labels,
        )
        self.half = precision == "bfloat16"
        # Of the optimizer's move, for each part; 0 leaves a part exactly as it is.
        self.share = torch.ones(len(objective.parts), device=frames.device)
        self._sums: torch.Tensor | None = None
        self._step = graphs.Recorded(self._run, frames.device, cuda_graphs, objective.generators)

    def __call__(self, batch: torch.Tensor) -> None:
        """Process a batch of examples: int64 (frames, B, frame_stack) rows of ``frames``."""
        self._step(batch)

    def start(self) -> None:
        """Reset the running losses."""
        if self._sums is not None:
            self._sums.zero_()

    def means(self, steps: int) -> dict[str, float]:
        """Each term's mean over the ``steps`` since the start, and that of the accuracy."""
        assert self._sums is not None, "no step was made"
        means: list[float] = torch.div(self._sums, steps).tolist()
        return dict(zip(self._terms, means, strict=True))

    def _run(self, batch: torch.Tensor) -> None:
        with torch.set_grad_enabled(self.optimizer is not None):
            # Time first in memory: most methods' encoders take the frames of an example in that
            # order, and then need no copy.
            frames = self.frames[batch].transpose(0, 1)
            labels = None if self.labels is None else self.labels[batch[..., -1].T]
            with torch.autocast(frames.device.type, torch.bfloat16, enabled=self.half):
                terms = self.objective(frames, labels)
            loss = torch.stack(list(terms.values()))
        seen = dict(zip(terms, loss.detach().unbind(), strict=True))
        accuracy, parts = self.objective.accuracy, self.objective.parts
        if accuracy is not None and parts:
            seen |= dict(zip(map(accuracy_of, parts), accuracy.unbind(), strict=True))
        elif accuracy is not None:
            seen[ACCURACY] = accuracy
        if self.optimizer is not None:
            self.optimizer.zero_grad(set_to_none=True)
            loss.sum().backward()
            self._move()
        if self._sums is None:
            self._terms = tuple(seen)
            self._sums = torch.zeros(len(seen), dtype=loss.dtype, device=loss.device)
        self._sums += torch.stack(list(seen.values()))

    def _move(self) -> None:
        """Step the optimizer. Adam's moves are proportional to the rate: a part takes its share."""
        assert self.optimizer is not None
        if not self.objective.parts:
            self.optimizer.step()
            return
        parameters = list(self.objective.parameters())
        before = [parameter.detach().clone() for parameter in parameters]
        self.optimizer.step()
        with torch.no_grad():
            for parameter, old in zip(parameters, before, strict=True):
                share = self.share.view(-1, *[1] * (parameter.ndim - 1))
                parameter.copy_(torch.lerp(old, parameter, share))
