"""Agent: the network of an agent of this run, as it learned to play; not trained any further.

The row names the ``agent`` and its ``checkpoint``. The encoder is its convolutions and its hidden
layer before the ReLU, as an ordinary file of weights: ``encoder: nature`` for agents that see
single frames with the body ``benchmark`` (the paper's pretrained-rl-agent), ``encoder: dqn`` with
``frame_stack: 4`` for those that see 84 x 84 with the body ``nature``. Both streams of dueling
networks stand side by side. With ``layer: conv3`` it ends with that convolution's maps.
"""

import re
from pathlib import Path
from typing import Any

import torch
from torch import nn

from workflow_src import artifacts, encoders
from workflow_src.config.methods import Method
from workflow_src.errors import UserError
from workflow_src.training.objective import Objective, method

LEARNS_FROM = None


@method("agent")
class AgentNetwork(Objective):
    """What an agent's network makes of frames."""

    def __init__(self, settings: Method, generator: torch.Generator, agent: Path):
        """`UserError` when the file is no agent's of that name, or does not fit the encoder."""
        super().__init__(settings, generator)
        self._layer = settings.inner_layer
        arrays, header = artifacts.read_arrays(agent, "agent")
        if header.get("agent") != settings.agent:
            raise UserError(
                f"{agent} holds agent {header.get('agent')}, not {settings.agent}: name the right "
                "file"
            )
        found = {name: torch.from_numpy(array) for name, array in arrays.items()}
        names = [name for name in found if re.fullmatch(r"body\.\d+\.weight", name)]
        bodies = [name.removesuffix(".weight") for name in sorted(names, key=_number)]
        layers: list[dict[str, list[torch.Tensor]]] = [
            {part: [found[f"{name}.{part}"]] for part in ("weight", "bias")} for name in bodies
        ]
        # Of policies, of values, and of dueling values.
        layer_names = ("hidden", "heads.hidden", "heads.advantage.hidden", "heads.value.hidden")
        hidden = [name for name in layer_names if f"{name}.weight" in found]
        layers.append(
            {part: [found[f"{name}.{part}"] for name in hidden] for part in ("weight", "bias")}
        )
        kinds = (nn.Conv2d, nn.Linear)
        ours = [module for module in self.encoder.modules() if isinstance(module, kinds)]
        if not hidden or len(ours) != len(layers):
            raise self._misfit(agent, settings)
        for module, layer in zip(ours, layers, strict=True):
            for part, parts in layer.items():
                parameter = getattr(module, part)
                value = torch.cat(parts)
                if value.shape != parameter.shape:
                    raise self._misfit(agent, settings)
                parameter.data.copy_(value)
        if self._layer is not None:
            self.encoder = encoders.up_to(self.encoder, self._layer)

    @property
    def header(self) -> dict[str, Any]:
        """The layer, unless it is the hidden one."""
        return {"layer": self._layer} if self._layer else {}

    def _misfit(self, agent: Path, settings: Method) -> UserError:
        return UserError(
            f"{agent} does not fit encoder {settings.encoder} with feature_size "
            f"{settings.feature_size} and frame_stack {settings.frame_stack}: set those of the "
            "agent (body benchmark: nature; body nature: dqn; feature_size: its hidden, twice with "
            "dueling; frame_stack: its history)"
        )


def _number(name: str) -> int:
    return int(name.split(".")[1])
