"""What the memory gives and learners take: transitions, as tensors on the learner's device."""

from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True)
class Batch:
    """``B`` transitions; ``k`` frames of history, oldest first; ``*shape`` of a single frame.

    Frames before an episode's first are zero. Rewards are clipped, and with n-step returns summed
    and discounted.
    """

    observation: torch.Tensor  # (B, k, *shape), uint8 or float32
    action: torch.Tensor  # int64 (B,)
    reward: torch.Tensor  # float32 (B,)
    discount: torch.Tensor  # float32 (B,): gamma**n, or 0 where the episode ended
    next_observation: torch.Tensor  # like observation; arbitrary where the discount is 0
    weight: torch.Tensor  # float32 (B,): of importance sampling, 1 without priorities
    mask: torch.Tensor | None  # float32 (B, heads) of bootstrapped agents, else None
    slot: np.ndarray  # int64 (B,): where in the memory, for the update of priorities

    def tensors(self) -> dict[str, torch.Tensor]:
        """Its tensors, by name."""
        return {
            name: value for name, value in vars(self).items() if isinstance(value, torch.Tensor)
        }

    @classmethod
    def from_tensors(cls, tensors: dict[str, torch.Tensor], device: torch.device) -> "Batch":
        """A batch of such tensors; where it lay in the memory is forgotten."""
        mask = tensors.get("mask")
        return cls(
            **{name: value.to(device) for name, value in tensors.items() if name != "mask"},
            mask=None if mask is None else mask.to(device),
            slot=np.zeros(0, np.int64),
        )

    def split(self, size: int) -> list["Batch"]:
        """Batches of ``size`` transitions, one after another; the tensors are shared."""
        if len(self.reward) == size:
            return [self]
        parts = {name: value.split(size) for name, value in self.tensors().items()}
        slots = np.array_split(self.slot, len(parts["reward"]))
        return [
            Batch(
                **{name: part[i] for name, part in parts.items() if name != "mask"},
                mask=None if self.mask is None else parts["mask"][i],
                slot=slots[i],
            )
            for i in range(len(slots))
        ]
