"""How frames are split: ``splits`` and a protocol's switches for splitting."""

from typing import Annotated, Literal

from pydantic import Field

from workflow_src.config.section import Fraction, Positive, Section, quirk


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
    """How episodes are distributed to the parts."""

    pretrain: PretrainParts
    probe: ProbeParts
    min_entropy: Annotated[float, Field(ge=0, le=5.55)] = Field(
        description="in nats; variables below it are dropped"
    )


class SplitProtocol(Section):
    """The quirks of the 2019 code that concern splits (docs/protocol.md)."""

    shuffle_episodes: bool = quirk("Q1", "false keeps the order of collection")
    labels_slip_at_reset: bool = quirk(
        "Q4", "an episode's first frame has the last label of the episode before it"
    )
    entropy_of: Literal["all", "train"] = quirk("Q8", "the frames that the entropy filter sees")
    min_episode_frames: Positive = quirk("Q8", "shorter episodes are dropped; 2019: batch size + 1")
    remove_pretrain_duplicates: bool = quirk(
        "Q11", "whether test frames that the encoder was trained on are dropped"
    )
    drop_lone_test_frames: bool = quirk(
        "Q15", "whether test episodes with a single frame that is no duplicate are dropped"
    )
    split_by: Literal["life", "game", "frame"] = quirk(
        "Q12", "the unit that is never split across parts; frame concerns the probe's frames alone"
    )
    keep_unfinished: bool = quirk(
        "Q12", "whether episodes truncated by the end of collecting count"
    )
