"""How frames are split: ``splits`` and the switches of a protocol for splitting."""

from typing import Annotated, Literal

from pydantic import Field

from workflow_src.config.section import Fraction, Positive, Section


class ProbeParts(Section):
    """Shares of the probe's episodes."""

    train: Fraction
    val: Fraction
    test: Fraction


class PretrainParts(Section):
    """Shares of the encoder's episodes."""

    train: Fraction
    val: Fraction


class Splits(Section):
    """How episodes are shared out."""

    pretrain: PretrainParts
    probe: ProbeParts
    min_entropy: Annotated[float, Field(ge=0)] = Field(
        description="nats; variables below are dropped"
    )


class SplitProtocol(Section):
    """The quirks of the 2019 code that concern splits (reference: docs/protocol.md)."""

    shuffle_episodes: bool = Field(description="Q1: false keeps the order of collection")
    labels_slip_at_reset: bool = Field(
        description="Q4: an episode's first frame bears its predecessor's last label"
    )
    entropy_of: Literal["all", "train"] = Field(
        description="Q8: the frames that the entropy filter sees"
    )
    min_episode_frames: Positive = Field(
        description="Q8: shorter episodes are dropped; 2019: batch size + 1"
    )
    remove_pretrain_duplicates: bool = Field(
        description="Q11: test loses the encoder's training frames too"
    )
    episode: Literal["life", "game"] = Field(description="Q12: what is never shared between parts")
    keep_unfinished: bool = Field(
        description="Q12: whether episodes cut off by the end of collecting count"
    )
