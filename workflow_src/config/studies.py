"""Studies: runs that differ from a protocol in one thing."""

import typing
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from workflow_src.config.probes import ProbeProtocol
from workflow_src.config.protocols import Protocol
from workflow_src.config.section import Identifier, Section

Study = Literal["ledger", "scaling"]
STUDIES: tuple[Study, ...] = typing.get_args(Study)


class Ledger(Section):
    """What each quirk is worth: ``base`` with one quirk at a time set as in ``target``."""

    base: Identifier
    target: Identifier
    methods: Annotated[list[Identifier], Field(min_length=1)]


class Scaling(Section):
    """F1 against frames: ``base`` with encoders that learn from a part of their frames."""

    base: Identifier
    percent: Annotated[list[Annotated[int, Field(ge=1, le=99)]], Field(min_length=1)] = Field(
        description="of the encoder's frames, the first so many; all of them are the base's own run"
    )
    methods: Annotated[list[Identifier], Field(min_length=1)]


# Switches that no encoder's training sees.
_PROBES_ONLY = {("splits", "entropy_of"), ("splits", "remove_pretrain_duplicates")} | {
    ("probes", name) for name in ProbeProtocol.model_fields
}


@dataclass(frozen=True)
class Variant:
    """A protocol that differs from the ledger's base in one quirk."""

    quirk: str  # such as Q5
    protocol: str  # its name, such as paper-q5
    row: Protocol
    changed: set[tuple[str, str]]  # (section, switch)
