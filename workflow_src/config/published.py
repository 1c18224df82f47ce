"""Agents that others published: where their weights come from."""

import typing
from typing import Literal

import pydantic
from pydantic import Field

from workflow_src.config.section import Count, Section, Steps

# Algorithms of atari-agents by the names of their folders, and our presets of the same settings.
PUBLISHED = {
    "DQN_modern": "dqn-modern",
    "MDQN_modern": "m-dqn",
    "C51_classic": "c51-classic",
    "DQN_classic_adam": "dqn-adam",
}


class Published(Section):
    """Where a published agent's weights come from: the keys of a row of the kind ``published``."""

    layout: Literal["atari-agents", "cleanrl", "stable-baselines3"] = Field(
        "atari-agents", description="kind published: the layout of the file"
    )
    algorithm: Literal["DQN_modern", "MDQN_modern", "C51_classic", "DQN_classic_adam"] | None = (
        Field(None, description="kind published: a folder of atari-agents")
    )
    seed: Count = Field(0, description="kind published: the seed of its training")
    step: Steps = Field(description="kind published: agent steps that it was trained for")
    source: str = Field(
        "https://storage.googleapis.com/bitdefender_ml_artifacts/reinforcement_learning",
        description="kind published: a local folder with atari-agents' files, or their server",
    )
    file: str | None = Field(
        None, description="kind published: a file of cleanrl or stable-baselines3"
    )

    @pydantic.model_validator(mode="after")
    def _fits_its_layout(self) -> typing.Self:
        ours = self.layout == "atari-agents"
        if ours and (self.algorithm is None or self.file is not None):
            raise ValueError(
                "kind published with the layout atari-agents needs algorithm, and no file; set "
                f"algorithm to one of {', '.join(PUBLISHED)}"
            )
        if not ours and (self.algorithm is not None or self.file is None):
            raise ValueError(
                f"kind published with the layout {self.layout} needs file, and no algorithm"
            )
        return self

    @property
    def is_remote(self) -> bool:
        """Whether the source is a server."""
        return self.source.startswith(("https://", "http://"))
