"""How frames are collected: ``policies``, ``episodes`` and a protocol's switches for playing."""

from typing import Annotated, ClassVar

from pydantic import Field

from workflow_src.config.section import Positive, Purpose, Row, Section, quirk


class Policy(Row):
    """A row of ``policies``: who plays."""

    folder: ClassVar[str] = "episodes/policies"

    noop: bool = Field(
        False,
        description="whether action 0 is drawn too, in every protocol (Q2)",
    )


class Frames(Section):
    """Frames to collect per game, by purpose."""

    pretrain: Positive
    probe: Positive

    def of(self, purpose: Purpose) -> int:
        """Frames for one purpose."""
        return self.pretrain if purpose == "pretrain" else self.probe


class Episodes(Section):
    """How frames are collected."""

    frames: Frames
    num_envs: Positive = Field(
        description="independent emulators; their frames follow one another in the file"
    )
    frame_skip: Annotated[int, Field(ge=2)] = Field(
        description="emulator frames per step; the last two are merged by their maximum"
    )
    noop_max: Annotated[int, Field(ge=0)] = Field(
        description="no-ops after a reset are uniform on 1..noop_max"
    )


class EpisodeProtocol(Section):
    """The quirk that concerns playing."""

    noop: bool = quirk("Q2", "whether the random agent draws action 0 too")
