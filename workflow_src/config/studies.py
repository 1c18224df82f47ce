"""Studies: runs that differ from a protocol in one thing.

The sections `Ledger`, `Scaling`, `Convergence`, `Transfer` and `Control` say what is compared.
`Studies` derives from them the protocols and agents of their runs, and what these take from those
of the run.
"""

import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import pydantic
from pydantic import Field

from workflow_src.config.agents import Agent
from workflow_src.config.explaining import explain
from workflow_src.config.methods import Method
from workflow_src.config.probes import ProbeProtocol
from workflow_src.config.protocols import QUIRKS, Protocol
from workflow_src.config.section import Identifier, Positive, Section
from workflow_src.errors import UserError

Study = Literal["ledger", "scaling", "convergence", "transfer", "control"]
STUDIES: tuple[Study, ...] = typing.get_args(Study)

# (section, switch) of a protocol
Switch = tuple[str, str]
# Switches that training an encoder does not depend on.
_PROBES_ONLY: frozenset[Switch] = frozenset(
    {
        ("splits", "entropy_of"),
        ("splits", "remove_pretrain_duplicates"),
        ("splits", "drop_lone_test_frames"),
    }
    | {("probes", name) for name in ProbeProtocol.model_fields}
)


class Ledger(Section):
    """What each quirk is worth: ``base`` with one quirk at a time set as in ``target``."""

    base: Identifier
    target: Identifier
    methods: Annotated[list[Identifier], Field(min_length=1)]


class Scaling(Section):
    """F1 against frames: ``base`` with encoders that learn from a part of their frames."""

    base: Identifier
    percent: Annotated[list[Annotated[int, Field(ge=1, le=99)]], Field(min_length=1)] = Field(
        description="percentages of the encoder's frames, counted from the first; "
        "100 percent is the run of the base itself"
    )
    methods: Annotated[list[Identifier], Field(min_length=1)]


class Convergence(Section):
    """F1 against how long probes are fitted: ``base`` with other numbers of epochs."""

    base: Identifier
    epochs: Annotated[list[Positive], Field(min_length=1)] = Field(
        description="of probes, at most; those of probe.epochs are the run of the base itself"
    )
    methods: Annotated[list[Identifier], Field(min_length=1)]


class Transfer(Section):
    """Encoders of one policy's frames, probed on another's: ``base`` for each pair of policies."""

    base: Identifier
    methods: Annotated[list[Identifier], Field(min_length=1)]


class Control(Section):
    """Whether F1 predicts control: an agent for each method, on its frozen encoder."""

    base: Identifier
    methods: Annotated[list[Identifier], Field(min_length=2)]
    agent: dict[str, Any] = Field(
        description="a row as of agents, without encoder: how each of them learns"
    )

    @pydantic.model_validator(mode="after")
    def _the_agent_is_one(self) -> typing.Self:
        if "encoder" in self.agent:
            raise ValueError("agent.encoder: the study sets it, to each of its methods; remove it")
        try:
            self.agent_on(self.methods[0])
        except pydantic.ValidationError as error:
            raise ValueError(f"agent.{explain(error.errors()[0], Agent)}") from error
        return self

    def agent_on(self, method: str) -> Agent:
        """The row of the agent that sees through a method's encoder."""
        encoder = {"method": method, "protocol": self.base}
        return Agent.model_validate(self.agent | {"encoder": encoder})

    @property
    def agents(self) -> dict[str, Agent]:
        """{name: row} of the agents of all methods."""
        return {ControlStudy.agent_of(method): self.agent_on(method) for method in self.methods}


@dataclass(frozen=True)
class Variant:
    """A protocol that differs from the ledger's base in one quirk."""

    quirk: str  # such as Q5
    protocol: str  # its name, such as paper-q5
    row: Protocol
    changed: frozenset[Switch]


@dataclass(frozen=True)
class LedgerStudy:
    """The runs of the ledger: its base, and a variant for each quirk that the target changes."""

    base: str
    target: str
    methods: tuple[str, ...]
    variants: tuple[Variant, ...]

    @property
    def derived(self) -> dict[str, Protocol]:
        """{name: row} of the variants."""
        return {variant.protocol: variant.row for variant in self.variants}


@dataclass(frozen=True)
class ScalingStudy:
    """The runs of the scaling study: its base, and the base with a percentage of the frames."""

    base: str
    methods: tuple[str, ...]
    row: Protocol
    percents: dict[str, int]  # of the encoder's frames, by name, such as paper-p10

    @property
    def derived(self) -> dict[str, Protocol]:
        """{name: row} of the sizes; the rows are the base's."""
        return dict.fromkeys(self.percents, self.row)


@dataclass(frozen=True)
class ConvergenceStudy:
    """The runs of the convergence study: its base, and the base with other epochs of probes."""

    base: str
    methods: tuple[str, ...]
    row: Protocol
    epochs: dict[str, int]  # of probes, by name, such as paper-e10

    @property
    def derived(self) -> dict[str, Protocol]:
        """{name: row} for each number of epochs; the rows are the base's."""
        return dict.fromkeys(self.epochs, self.row)


@dataclass(frozen=True)
class TransferStudy:
    """The runs of the transfer study: its base, and the base with the encoders of each policy."""

    base: str
    methods: tuple[str, ...]
    row: Protocol
    sources: dict[str, str]  # the policy whose encoders are probed, by name, such as paper-from-ppo

    @property
    def derived(self) -> dict[str, Protocol]:
        """{name: row} for each policy; the rows are the base's."""
        return dict.fromkeys(self.sources, self.row)


@dataclass(frozen=True)
class ControlStudy:
    """The agents of the control study, by method; its protocol is its base."""

    base: str
    methods: tuple[str, ...]
    agents: dict[str, Agent]  # by name, such as control-st-dim

    @property
    def derived(self) -> dict[str, Protocol]:
        """None: it probes what the run itself probes."""
        return {}

    @staticmethod
    def agent_of(method: str) -> str:
        """The name of a method's agent."""
        return f"control-{method}"


AnyStudy = LedgerStudy | ScalingStudy | ConvergenceStudy | TransferStudy | ControlStudy


@dataclass(frozen=True)
class Studies:
    """The studies of a configuration and the protocols derived for them.

    A derived protocol uses the seeds of its base, so the runs differ in one thing and nothing else.
    """

    found: Mapping[Study, AnyStudy] = field(default_factory=dict)

    @classmethod
    def derive(
        cls,
        protocols: Mapping[str, Protocol],
        policies: Iterable[str],
        ledger: Ledger | None = None,
        scaling: Scaling | None = None,
        transfer: Transfer | None = None,
        control: Control | None = None,
        convergence: Convergence | None = None,
    ) -> "Studies":
        """Derive the runs of the sections that are given, from the rows of ``protocols``."""
        found: dict[Study, AnyStudy] = {}
        if ledger is not None:
            variants = _variants(ledger.base, protocols[ledger.base], protocols[ledger.target])
            found["ledger"] = LedgerStudy(
                ledger.base, ledger.target, tuple(ledger.methods), variants
            )
        if scaling is not None:
            percents = {f"{scaling.base}-p{percent}": percent for percent in scaling.percent}
            found["scaling"] = ScalingStudy(
                scaling.base, tuple(scaling.methods), protocols[scaling.base], percents
            )
        if convergence is not None:
            epochs = {f"{convergence.base}-e{number}": number for number in convergence.epochs}
            found["convergence"] = ConvergenceStudy(
                convergence.base,
                tuple(convergence.methods),
                protocols[convergence.base],
                epochs,
            )
        if transfer is not None:
            sources = {f"{transfer.base}-from-{policy}": policy for policy in policies}
            found["transfer"] = TransferStudy(
                transfer.base, tuple(transfer.methods), protocols[transfer.base], sources
            )
        if control is not None:
            found["control"] = ControlStudy(control.base, tuple(control.methods), control.agents)
        return cls(found)

    @property
    def control(self) -> ControlStudy:
        """The control study; `UserError` where the configuration has no such section."""
        study = self.require("control")
        assert isinstance(study, ControlStudy)
        return study

    def agents(self, study: Study | None = None) -> dict[str, Agent]:
        """{name: row} of the agents of a study, or of all."""
        found = self.found.get("control") if study in (None, "control") else None
        return found.agents if isinstance(found, ControlStudy) else {}

    @property
    def ledger(self) -> LedgerStudy:
        """The ledger; `UserError` where the configuration has no such section."""
        study = self.require("ledger")
        assert isinstance(study, LedgerStudy)
        return study

    @property
    def scaling(self) -> ScalingStudy:
        """The scaling study; `UserError` where the configuration has no such section."""
        study = self.require("scaling")
        assert isinstance(study, ScalingStudy)
        return study

    @property
    def convergence(self) -> ConvergenceStudy:
        """The convergence study; `UserError` where the configuration has no such section."""
        study = self.require("convergence")
        assert isinstance(study, ConvergenceStudy)
        return study

    @property
    def transfer(self) -> TransferStudy:
        """The transfer study; `UserError` where the configuration has no such section."""
        study = self.require("transfer")
        assert isinstance(study, TransferStudy)
        return study

    def require(self, study: Study) -> AnyStudy:
        """A study by name; `UserError` where the configuration has no such section."""
        if study not in self.found:
            raise UserError(
                f"the configuration has no section {study}: "
                "copy that section from the repository's config.yaml"
            )
        return self.found[study]

    @property
    def protocols(self) -> dict[str, Protocol]:
        """{name: row} of all derived protocols."""
        return {name: row for study in self.found.values() for name, row in study.derived.items()}

    def methods(self, study: Study) -> dict[str, tuple[str, ...]]:
        """{protocol: its methods} of a study, its base first; empty without that section."""
        if study not in self.found:
            return {}
        row = self.found[study]
        return dict.fromkeys([row.base, *row.derived], row.methods)

    def parents(self, protocol: str) -> list[str]:
        """The rows of ``protocols`` that decide a protocol: itself, or those it is derived from."""
        for study in self.found.values():
            if protocol in study.derived:
                return [study.base, *([study.target] if isinstance(study, LedgerStudy) else [])]
        return [protocol]

    def seed_protocol(self, protocol: str) -> str:
        """The protocol whose name the seeds of ``protocol`` are derived from."""
        return self.parents(protocol)[0]

    def percent(self, protocol: str) -> int:
        """How much of the encoder's frames ``protocol`` uses, in percent."""
        study = self.found.get("scaling")
        return study.percents.get(protocol, 100) if isinstance(study, ScalingStudy) else 100

    def probe_epochs(self, protocol: str) -> int | None:
        """For how many epochs probes of ``protocol`` are fitted; None: as the run's."""
        study = self.found.get("convergence")
        return study.epochs.get(protocol) if isinstance(study, ConvergenceStudy) else None

    def encoder_policy(self, policy: str, protocol: str) -> str:
        """The policy whose encoders are probed on the frames of ``policy``."""
        study = self.found.get("transfer")
        sources = study.sources if isinstance(study, TransferStudy) else {}
        return sources.get(protocol, policy)

    def is_base(self, policy: str, protocol: str) -> bool:
        """Whether a derived protocol is no other than its base, on the frames of ``policy``."""
        study = self.found.get("transfer")
        is_transfer = isinstance(study, TransferStudy) and protocol in study.sources
        return is_transfer and self.encoder_policy(policy, protocol) == policy

    def has_probes_only(self, protocol: str) -> bool:
        """Whether ``protocol`` has splits and encoders of its base, and only probes of its own."""
        of_probes: tuple[Study, ...] = ("transfer", "convergence")
        return any(
            protocol in self.found[study].derived for study in of_probes if study in self.found
        )

    def split_protocol(self, protocol: str) -> str:
        """The protocol whose splits ``protocol`` uses."""
        return self.seed_protocol(protocol) if self.has_probes_only(protocol) else protocol

    def encoder_protocol(self, protocol: str, method: Method) -> str:
        """The protocol whose encoders ``protocol`` uses: the base's, unless training differs."""
        if self.has_probes_only(protocol):
            return self.seed_protocol(protocol)
        study = self.found.get("ledger")
        untouched = set(_PROBES_ONLY)
        if method.learns_from == "probe":  # the probe's own split decides what it learns
            untouched = {(section, name) for section, name in untouched if section == "probes"}
        if isinstance(study, LedgerStudy) and any(
            variant.protocol == protocol and variant.changed <= untouched
            for variant in study.variants
        ):
            return study.base
        return protocol


def _variants(name: str, base: Protocol, target: Protocol) -> tuple[Variant, ...]:
    """``base`` with one quirk set as in ``target``, for each quirk in which they differ."""
    found = []
    for quirk, switches in QUIRKS.items():
        row, changed = base.model_dump(), set()
        for section, switch in switches:
            value = getattr(getattr(target, section), switch)
            if row[section][switch] != value:
                row[section][switch] = value
                changed.add((section, switch))
        if changed:
            found.append(
                Variant(
                    quirk,
                    f"{name}-{quirk.lower()}",
                    Protocol.model_validate(row),
                    frozenset(changed),
                )
            )
    return tuple(found)
