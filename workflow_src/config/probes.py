"""How probes are fitted: ``probe`` and a protocol's switches for probing."""

import typing
from typing import Annotated, Any, Literal

import pydantic
from pydantic import Field

from workflow_src.config.section import (
    Fraction,
    LearningRate,
    Positive,
    Section,
    Size,
    Threads,
    check_options,
    known_kind,
    quirk,
    resolved_options,
)

KINDS = "probes/kinds"


class Probe(Section):
    """What is fitted on frozen features, and how."""

    kinds: Annotated[list[str], Field(min_length=1)] = Field(
        description="names of files in workflow_src/probes/kinds; the tables show the first"
    )
    options: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="by kind: settings that its file declares as OPTIONS"
    )
    classes: Annotated[int, Field(ge=2, le=256)]
    epochs: Positive
    patience: Positive = Field(
        description="epochs without a better validation accuracy before a variable stops"
    )
    batch_size: Size
    eps: Annotated[float, Field(gt=0, le=1)] = Field(description="of Adam")
    plateau_patience: Positive = Field(
        description="epochs without a gain before a variable's learning rate is reduced"
    )
    plateau_factor: Fraction
    min_lr: LearningRate
    threads: Threads

    @pydantic.field_validator("kinds", "options")
    @classmethod
    def _kinds_are_known(cls, value: Any) -> Any:
        for kind in value:
            known_kind("kind", kind, KINDS)
        return value

    @pydantic.model_validator(mode="after")
    def _options_are_declared(self) -> typing.Self:
        for kind, options in self.options.items():
            check_options(KINDS, kind, options, where=f"options.{kind}")
        return self

    def resolved_options(self, kind: str) -> dict[str, Any]:
        """The options of a kind: the declared defaults, overridden by the configuration's."""
        return resolved_options(KINDS, kind, self.options.get(kind, {}))


class ProbeProtocol(Section):
    """The quirks that concern probes."""

    keep: Literal["last", "best"] = quirk("Q6", "the epoch whose weights are kept, by variable")
    sampling: Literal["replacement", "permutation"] = quirk(
        "Q7", "as for encoders, in train, val and test"
    )
    lr: LearningRate = quirk("Q9", "3e-4 in the 2019 script, 5e-4 in its class and README")
