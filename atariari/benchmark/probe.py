"""``ProbeTrainer`` with the keywords of 2019."""

from pathlib import Path
from typing import Any

from torch import nn

from workflow_src import benchmark
from workflow_src.errors import UserError

# Keywords of `train` and `test` in 2019 -> today's.
_KEYWORDS = {
    "tr_eps": "tr_episodes",
    "val_eps": "val_episodes",
    "test_label_dicts": "test_labels",
}


class ProbeTrainer(benchmark.ProbeTrainer):
    """Linear probes, as `workflow_src.benchmark.ProbeTrainer`, with the defaults of 2019.

    ``encoder=None``: episodes are vectors (T, ``representation_len``). ``method_name`` names the
    file of probes in ``save_dir``, where the fitted weights are written if it is given.
    ``num_state_variables`` is not needed: the labels tell. The last probes are kept and batches
    drawn with replacement, as in 2019; further keywords are those of today's class. `UserError` for
    ``fully_supervised``.
    """

    def __init__(
        self,
        encoder: nn.Module | None = None,
        method_name: str = "my_method",
        patience: int = 15,
        num_classes: int = 256,
        num_state_variables: int | None = None,
        fully_supervised: bool = False,
        save_dir: str | Path | None = None,
        device: Any = "auto",
        lr: float = 5e-4,
        epochs: int = 100,
        batch_size: int = 64,
        representation_len: int = 256,
        **kwargs: Any,
    ):
        if fully_supervised:
            raise UserError(
                "fully_supervised=True trains encoders: use the method supervised of the "
                "workflow, `atariari probe --method supervised --game pong`"
            )
        super().__init__(
            encoder,
            representation_len,
            epochs=epochs,
            patience=patience,
            lr=lr,
            batch_size=batch_size,
            num_classes=num_classes,
            device=device,
            **{"keep": "last", "sampling": "replacement"} | kwargs,
        )
        self.method, self.num_state_variables = method_name, num_state_variables
        self.save_dir = None if save_dir is None else Path(save_dir)

    def train(self, *episodes: Any, **named: Any) -> None:
        """Fit all probes; arguments as from `get_episodes`, keywords of 2019 or today's."""
        from safetensors.torch import save_file

        from workflow_src import artifacts

        super().train(*episodes, **_today(named))
        if self.save_dir is not None and self.probes is not None:
            weights = {"weight": self.probes.weight.cpu(), "bias": self.probes.bias.cpu()}
            weights = {name: tensor.contiguous() for name, tensor in weights.items()}
            file = self.save_dir / f"{self.method}.safetensors"
            with artifacts.atomic(file) as temporary:
                save_file(weights, temporary, metadata={"variables": " ".join(self.names)})

    def test(
        self, *episodes: Any, epoch: int | None = None, **named: Any
    ) -> tuple[dict[str, float], dict[str, float]]:
        """(accuracies, f1_scores), as today's; ``epoch`` is not needed."""
        return super().test(*episodes, **_today(named))


def _today(named: dict[str, Any]) -> dict[str, Any]:
    """Keywords of 2019 under today's names."""
    return {_KEYWORDS.get(name, name): value for name, value in named.items()}
