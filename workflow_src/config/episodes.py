"""How frames are collected: ``policies``, ``episodes`` and a protocol's switches for playing."""

import typing
from typing import Annotated, Any, ClassVar

import pydantic
from pydantic import Field

from workflow_src.config.section import (
    Checkpoint,
    FrameCount,
    Identifier,
    Purpose,
    Row,
    Section,
    quirk,
)


class Policy(Row):
    """A row of ``policies``: who plays."""

    folder: ClassVar[str] = "episodes/policies"

    noop: bool = Field(
        False,
        description="whether action 0 is drawn too, in every protocol (Q2); of kind random",
    )
    agent: Identifier | None = Field(None, description="kind agent only: a row of agents")
    checkpoint: Checkpoint | Annotated[list[Checkpoint], Field(min_length=1)] = Field(
        "last",
        description="kind agent only: whose weights play: last, best, or those after a number of "
        "steps; of a list, each environment takes one in turn",
    )
    random: Annotated[float, Field(ge=0, le=1)] = Field(
        0.2, description="kind agent only: the chance of a uniform action, no-ops included"
    )
    sample: bool = Field(
        True,
        description="kind agent only: whether actions are drawn from a policy, or its likeliest",
    )

    @pydantic.model_validator(mode="after")
    def _fits_its_kind(self) -> typing.Self:
        if self.kind == "agent":
            if self.agent is None:
                raise ValueError("kind agent needs agent: the name of a row of agents")
            if self.noop:
                raise ValueError("noop belongs to kind random; remove it")
        else:
            for name in _AGENTS_OWN:
                if getattr(self, name) != type(self).model_fields[name].default:
                    raise ValueError(f"{name} belongs to kind agent; remove it or set kind: agent")
        return self

    @pydantic.model_serializer(mode="wrap")
    def _of_its_kind(self, serialize: pydantic.SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without what other kinds have: files of frames say by whom they were played."""
        others = _AGENTS_OWN if self.kind != "agent" else ("noop",)
        return {name: value for name, value in serialize(self).items() if name not in others}

    @property
    def checkpoints(self) -> list[str | int]:
        """The weights that play."""
        return list(self.checkpoint) if isinstance(self.checkpoint, list) else [self.checkpoint]


_AGENTS_OWN = ("agent", "checkpoint", "random", "sample")


class Frames(Section):
    """Frames to collect per game, by purpose."""

    pretrain: FrameCount
    probe: FrameCount

    def of(self, purpose: Purpose) -> int:
        """Frames for one purpose."""
        return self.pretrain if purpose == "pretrain" else self.probe


class Episodes(Section):
    """How frames are collected."""

    frames: Frames
    num_envs: Annotated[int, Field(ge=1, le=1024)] = Field(
        description="independent emulators; their frames follow one another in the file"
    )
    frame_skip: Annotated[int, Field(ge=2, le=60)] = Field(
        description="emulator frames per step; the last two are merged by their maximum"
    )
    noop_max: Annotated[int, Field(ge=0, le=10_000)] = Field(
        description="no-ops after a reset are uniform on 1..noop_max"
    )


class EpisodeProtocol(Section):
    """The quirk that concerns playing."""

    noop: bool = quirk("Q2", "whether the random agent draws action 0 too")
