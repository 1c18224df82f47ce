"""How frames are collected: ``policies``, ``episodes`` and the switches of a protocol for playing."""

from typing import Annotated, Literal

from pydantic import Field

from workflow_src.config.section import Positive, Purpose, Section


class Policy(Section):
    """Who plays."""

    kind: Literal["random"]
    noop: bool = Field(
        False,
        description="whether action 0 is drawn too, in protocols that do not ask for it as well (Q2)",
    )


class Frames(Section):
    """Frames a game, by purpose."""

    pretrain: Positive
    probe: Positive

    def of(self, purpose: Purpose) -> int:
        """Frames of one purpose."""
        return getattr(self, purpose)


class Episodes(Section):
    """How frames are collected."""

    frames: Frames
    streams: Positive = Field(
        description="independent emulators whose frames follow one another in the file"
    )
    repeat: Annotated[int, Field(ge=2)] = Field(
        description="emulator frames a step; the last two are merged by maximum"
    )
    noop_max: Annotated[int, Field(ge=0)] = Field(
        description="no-ops at a reset are uniform on 1..noop_max"
    )


class EpisodeProtocol(Section):
    """The quirk that concerns playing."""

    noop: bool = Field(description="Q2: whether the random agent draws action 0 too")
