"""The whole configuration of a run: every section, and what they must agree on.

Only what composes steps imports this module: the command line, the layout, versioning, the report
and `benchmark`. A step receives its own sections.
"""

import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
from pydantic import Field

from workflow_src import kinds
from workflow_src.ari.annotations import GAMES, LABEL_SETS
from workflow_src.config.agents import Agent, AgentProtocol, Recordings
from workflow_src.config.episodes import Episodes, Policy
from workflow_src.config.explaining import explain
from workflow_src.config.methods import Method, Training, with_encoder_of_kind
from workflow_src.config.probes import KINDS, Probe
from workflow_src.config.protocols import Protocol
from workflow_src.config.reading import merge, read_yaml
from workflow_src.config.section import PURPOSES, Identifier, Section
from workflow_src.config.splits import Splits
from workflow_src.config.studies import (
    Control,
    Convergence,
    Ledger,
    Scaling,
    Studies,
    Study,
    Transfer,
)
from workflow_src.errors import UserError, explained, one_of, unknown

PACKAGED = Path(__file__).with_name("paper.yaml")  # the paper's run, as in the repository's root

# Names that the tables use for columns, and endings of columns next to a method's.
RESERVED_NAMES = frozenset(
    [
        "policy",
        "protocol",
        "game",
        "games",
        "category",
        "variable",
        "metric",
        "seed",
        "probe",
        "method",
        "overall",
    ]
)
_LONGEST = 1000  # characters of an error
RESERVED_ENDINGS = ("_std", "_paper", "_report", "_difference", "_f1", "_accuracy")


class Config(Section):
    """A whole run."""

    seeds: Annotated[
        list[Annotated[int, Field(ge=0, lt=2**63)]], Field(min_length=1, max_length=1000)
    ] = Field(description="root seeds, one per replicate")
    games: Annotated[list[str], Field(min_length=1)]
    label_set: str
    device: Literal["auto", "cpu", "cuda"]
    trainings_per_gpu: Annotated[int, Field(ge=1, le=64)] = Field(
        1, description="jobs that share a GPU, each a process; probes count as trainings"
    )
    policies: Annotated[dict[Identifier, Policy], Field(min_length=1)]
    protocols: Annotated[dict[Identifier, Protocol], Field(min_length=1)]
    episodes: Episodes
    splits: Splits
    training: Training
    methods: Annotated[dict[Identifier, Method], Field(min_length=1)]
    probe: Probe
    agent_protocols: dict[Identifier, AgentProtocol] = Field(default_factory=dict)
    agents: dict[Identifier, Agent] = Field(default_factory=dict)
    recordings: Recordings = Field(default_factory=lambda: Recordings())
    ledger: Ledger | None = None
    scaling: Scaling | None = None
    convergence: Convergence | None = None
    transfer: Transfer | None = None
    control: Control | None = None
    studies: list[Study] = Field(
        default_factory=list,
        description="the studies (ledger, scaling, convergence, ...) that are part of the run",
    )

    @pydantic.model_validator(mode="before")
    @classmethod
    def _take_encoders(cls, content: Any) -> Any:
        """Methods of kind conditioned get what describes their encoder from the method they name.

        ValueError where that is not possible.
        """
        rows = content.get("methods") if isinstance(content, dict) else None
        if not isinstance(rows, dict):
            return content
        return content | {"methods": {name: _with_encoder(name, rows) for name in rows}}

    @pydantic.field_validator("label_set")
    @classmethod
    def _label_set_is_known(cls, label_set: str) -> str:
        if label_set not in LABEL_SETS:
            raise ValueError(unknown("label set", label_set, LABEL_SETS))
        return label_set

    @pydantic.model_validator(mode="after")
    def _consistent(self) -> typing.Self:
        for game in self.games:
            if game not in GAMES[self.label_set]:
                raise ValueError(f"games: {unknown('game', game, GAMES[self.label_set])}")
        _check_unique("games", self.games)
        _check_unique("seeds", self.seeds)
        _check_unique("probe.kinds", self.probe.kinds)
        _check_unique("studies", self.studies)
        for name in self.methods:
            if name in RESERVED_NAMES or name.endswith(RESERVED_ENDINGS):
                raise ValueError(
                    f"methods: {name} is reserved for a table column; choose another name"
                )
        for purpose in PURPOSES:
            shares = getattr(self.splits, purpose).model_dump()
            if abs(sum(shares.values()) - 1) > 1e-9:
                raise ValueError(f"splits.{purpose}: the shares {shares} do not add up to 1")
        for name, agent in self.every_agent.items():
            if agent.protocol not in self.agent_protocols:
                known = unknown("protocol of agents", agent.protocol, self.agent_protocols)
                raise ValueError(f"agents.{name}.protocol: {known}")
            self._check_encoder(name, agent)
        for name, policy in self.policies.items():
            self._check_player(f"policies.{name}", policy)
        for name, method in self.methods.items():
            if method.agent is not None:
                self._check_weights(f"methods.{name}", method.agent, [method.checkpoint])
        self._check_studies()
        for name in _with_noop(self.policies):
            if name in self.policies:
                base = name.removesuffix(_NOOP)
                raise ValueError(f"policies: {name} is reserved for {base} with no-ops; rename it")
        return self

    def _check_player(self, key: str, policy: Policy) -> None:
        """ValueError unless a policy's agent can play the frames that are stored."""
        if policy.agent is None:
            return
        row = self._check_weights(key, policy.agent, policy.checkpoints)
        for name, here in (("pool", "max-first"), ("frame_skip", self.episodes.frame_skip)):
            if getattr(row.environment, name) != here:
                raise ValueError(
                    f"{key}.agent: {policy.agent} has environment.{name}: "
                    f"{getattr(row.environment, name)}, and frames are stored with {here}; name "
                    "another agent"
                )

    def _check_weights(self, key: str, agent: str, checkpoints: Sequence[str | int]) -> Agent:
        """The row of an agent that plays the run's games; ValueError without such weights."""
        if agent not in self.agents:
            raise ValueError(f"{key}.agent: {unknown('agent', agent, self.agents)}")
        row = self.agents[agent]
        if row.encoder is not None:
            raise ValueError(
                f"{key}.agent: {agent} sees through an encoder, and cannot be seen through itself; "
                "name another agent"
            )
        if row.environment.kind != "atari":
            raise ValueError(
                f"{key}.agent: {agent} plays {row.environment.kind}, not the games of the run; "
                "name another agent"
            )
        for step in checkpoints:
            if step not in ("last", "best", *row.kept_steps):
                kept = ", ".join(map(str, row.kept_steps)) or "no step (see checkpoints)"
                raise ValueError(
                    f"{key}.checkpoint: {agent} keeps no weights of step {step}; choose last, "
                    f"best, or {kept}"
                )
        return row

    def _check_encoder(self, name: str, agent: Agent) -> None:
        """ValueError unless an agent's encoder is one of the run's."""
        if agent.encoder is None:
            return
        key, which = f"agents.{name}.encoder", agent.encoder
        if which.method not in self.methods:
            raise ValueError(f"{key}.method: {unknown('method', which.method, self.methods)}")
        for kind, row, rows in (
            ("policy", which.policy, self.policies),
            ("protocol", which.protocol, self.protocols),
        ):
            if row is not None and row not in rows:
                raise ValueError(f"{key}.{kind}: {unknown(kind, row, rows)}")
        method = self.methods[which.method]
        if not method.has_encoder or (method.learns_from == "probe" and not method.shares_encoder):
            raise ValueError(
                f"{key}.method: {which.method} has no encoder for all variables; name another"
            )
        if method.sees_color:
            raise ValueError(
                f"{key}.method: {which.method} sees colours, and agents see frames in gray; name "
                "another"
            )
        if agent.environment.frame_skip != self.episodes.frame_skip:
            raise ValueError(
                f"{key}: environment.frame_skip is {agent.environment.frame_skip}, and frames are "
                f"stored with {self.episodes.frame_skip}; make them equal"
            )

    def encoder_of(self, agent: Agent) -> dict[str, str]:
        """Policy, protocol and method of the encoder that an agent sees through."""
        assert agent.encoder is not None
        return {
            "policy": agent.encoder.policy or next(iter(self.policies)),
            "protocol": agent.encoder.protocol or next(iter(self.protocols)),
            "method": agent.encoder.method,
        }

    @property
    def every_agent(self) -> dict[str, Agent]:
        """The rows of ``agents``, and those that studies derive."""
        return self.agents | (self.control.agents if self.control else {})

    def weights_that_play(self, policy: str) -> list[str]:
        """The names of the weights that a policy plays with; none without an agent."""
        row = self.policy(policy)
        if row.agent is None:
            return []
        return [Agent.weights_name(one) for one in row.checkpoints]

    def _check_studies(self) -> None:
        sections: dict[str, Ledger | Scaling | Convergence | Transfer | Control | None] = {
            "ledger": self.ledger,
            "scaling": self.scaling,
            "convergence": self.convergence,
            "transfer": self.transfer,
            "control": self.control,
        }
        for study, section in sections.items():
            if section is None:
                if study in self.studies:
                    raise ValueError(
                        f"studies: there is no section {study}; add it, or remove it from the list"
                    )
                continue
            for name in (section.base, *([section.target] if isinstance(section, Ledger) else [])):
                if name not in self.protocols:
                    raise ValueError(f"{study}: {unknown('protocol', name, self.protocols)}")
            for name in section.methods:
                if name not in self.methods:
                    raise ValueError(f"{study}.methods: {unknown('method', name, self.methods)}")
                if (
                    study in ("scaling", "transfer")
                    and self.methods[name].learns_from != "pretrain"
                ):
                    raise ValueError(
                        f"{study}.methods: {name} does not learn from the encoder's frames; "
                        "name others"
                    )
                base = self.methods[name].of
                if base is not None and study == "ledger" and base not in section.methods:
                    raise ValueError(
                        f"{study}.methods: {name} takes the encoder of {base}; add {base}"
                    )
            _check_unique(f"{study}.methods", section.methods)
            if isinstance(section, Scaling):
                _check_unique("scaling.percent", section.percent)
            if isinstance(section, Convergence):
                _check_unique("convergence.epochs", section.epochs)
                if self.probe.epochs in section.epochs:
                    raise ValueError(
                        f"convergence.epochs: {self.probe.epochs} is probe.epochs, the run of the "
                        "base itself; remove it"
                    )
                for name in section.methods:
                    self._check_fitted(name)
            if isinstance(section, Transfer) and len(self.policies) < 2:
                raise ValueError(
                    "transfer: it compares policies, and there is one; add another to policies, or "
                    "leave the section out"
                )
        for name in self.control.agents if self.control else ():
            if name in self.agents:
                raise ValueError(f"agents: {name} is reserved by the study control; rename it")
        for name, row in self.derived.found.items():
            for protocol in row.derived:
                if protocol in self.protocols:
                    raise ValueError(
                        f"protocols: {protocol} is reserved by the study {name}; rename it"
                    )

    def _check_fitted(self, method: str) -> None:
        """ValueError if probes of ``method`` are not fitted for epochs."""
        kind = self.methods[method].probe_names(self.probe.kinds)[0]
        if kind not in self.probe.kinds or not kinds.declared(KINDS, kind).get(
            "GRADIENT_DESCENT", True
        ):
            raise ValueError(
                f"convergence.methods: the probe of {method} is of kind {kind}, which has no "
                "epochs; name others"
            )

    _derived: tuple[tuple[Any, ...], Studies] | None = pydantic.PrivateAttr(None)

    @property
    def derived(self) -> Studies:
        """The protocols that the sections of studies derive."""
        rows = (self.protocols, self.policies)
        sections = (self.ledger, self.scaling, self.transfer, self.control, self.convergence)
        parts = (*rows, *sections)
        # Kept, but not for a copy with other sections, which `model_copy` would give it to.
        if self._derived is None or any(
            a is not b for a, b in zip(self._derived[0], parts, strict=True)
        ):
            self._derived = parts, Studies.derive(*parts)
        return self._derived[1]

    def protocol(self, name: str) -> Protocol:
        """The row of a protocol, derived ones included; `UserError` naming the known ones."""
        rows = self.protocols | self.derived.protocols
        return rows[one_of("protocol", name, rows)]

    def probe_of(self, protocol: str) -> Probe:
        """How the probes of a protocol are fitted, derived ones included."""
        epochs = self.derived.probe_epochs(protocol)
        return self.probe if epochs is None else self.probe.model_copy(update={"epochs": epochs})

    def policy(self, name: str) -> Policy:
        """The row of a policy, also of one with no-ops; `UserError` naming the known ones."""
        rows = self.policies | _with_noop(self.policies)
        return rows[one_of("policy", name, rows)]

    def playing_policy(self, policy: str, protocol: str) -> str:
        """The policy whose frames a protocol uses: ``policy``, or the same with no-ops (Q2)."""
        asked = self.protocol(protocol).episodes.noop and f"{policy}{_NOOP}" in _with_noop(
            self.policies
        )
        return f"{policy}{_NOOP}" if asked else policy

    def for_game(self, name: str) -> "Config":
        """The same run for one game alone; `UserError` naming the known ones."""
        return self.model_copy(update={"games": [self.game(name)]})

    def game(self, name: str) -> str:
        """``name``, if the label set has that game; `UserError` naming the known ones."""
        return one_of("game", name, GAMES[self.label_set])

    def agent(self, name: str) -> Agent:
        """The row of an agent; `UserError` naming the known ones."""
        return self.every_agent[one_of("agent", name, self.every_agent)]

    def method(self, name: str) -> Method:
        """The row of a method; `UserError` naming the known ones."""
        return self.methods[one_of("method", name, self.methods)]

    def validate_names(
        self, *, game: str, policy: str, protocol: str, method: str | None = None, **_: Any
    ) -> "Config":
        """This configuration, after checking the names that a job was given."""
        self.game(game)
        self.policy(policy)
        self.protocol(protocol)
        if method is not None:
            self.method(method)
        return self

    @classmethod
    def load(cls, path: str | Path) -> "Config":
        """Read and check a configuration file; `UserError` in one line when anything is wrong.

        The files of custom encoders, environments and bodies are looked for too, relative to the
        file's own directory.
        """
        config = cls.check(read_yaml(path), source=str(path))
        files = {f"methods.{name}": row.files for name, row in config.methods.items()}
        files |= {f"agents.{name}": row.files for name, row in config.every_agent.items()}
        for name, named in files.items():
            for what, file in named.items():
                with explained(f"read {name}.{what},", str(file)[:_LONGEST]):
                    is_file = (Path(path).parent / file).is_file()
                if not is_file:
                    raise UserError(
                        f"{path}: {name}.{what}: there is no file {file}; "
                        "write its path relative to the run's directory"
                    )
        return config

    @classmethod
    def check(cls, content: dict, source: str) -> "Config":
        """Check a configuration that was read from ``source``."""
        try:
            return cls.model_validate(content)
        except pydantic.ValidationError as error:
            # A misspelt key is an unknown and a missing one: the unknown one says more.
            first, *others = sorted(error.errors(), key=lambda e: e["type"] != "extra_forbidden")
            more = f" (and {len(others)} more)" if others else ""
            why = explain(first, cls)
            if len(why) > _LONGEST:  # of a name or a list that makes no sense
                why = f"{why[:_LONGEST]} ..."
            raise UserError(f"{source}: {why}{more}") from error


# What describes an encoder, which methods of kind conditioned take from another.
_OF_ENCODER = (
    "encoder",
    "feature_size",
    "frame_stack",
    "input_scale",
    "module",
    "kwargs",
    "input",
    "layer",
    "charts",
    "readout",
)


def _with_encoder(name: str, rows: dict[str, Any]) -> Any:
    """The row ``name`` of ``rows``, complete; ValueError when it takes no encoder of another."""
    row = rows[name]
    if not isinstance(row, dict) or row.get("kind") != "conditioned":
        return row
    if not isinstance(row.get("of"), str):
        return row  # which is refused where types are
    if row["of"] not in rows:
        raise ValueError(f"methods.{name}.of: {unknown('method', row['of'], map(str, rows))}")
    base = with_encoder_of_kind(rows[row["of"]])
    if not isinstance(base, dict):
        return row
    kind = str(base.get("kind"))
    declared = kinds.declared(Method.folder, kind)
    one = declared.get("HAS_ENCODER", True) and (
        declared.get("LEARNS_FROM") != "probe" or declared.get("SHARED_ENCODER", False)
    )
    if kind == "conditioned" or not one:
        raise ValueError(
            f"methods.{name}.of: {row['of']} is of kind {kind}, which has no encoder of its own "
            "for all variables; name another method"
        )
    taken = {key: base[key] for key in _OF_ENCODER if key in base}
    for key in _OF_ENCODER:
        plain = Method.model_fields[key].get_default(call_default_factory=True)
        if key in row and row[key] != taken.get(key, plain):
            raise ValueError(
                f"methods.{name}.{key}: it is that of {row['of']}; remove {key}, or set it there"
            )
    return taken | row


_NOOP = "-noop"


def _with_noop(policies: dict[str, Policy]) -> dict[str, Policy]:
    """The policies that a protocol with no-ops uses instead of those without, by name."""
    return {
        f"{name}{_NOOP}": row.model_copy(update={"noop": True})
        for name, row in policies.items()
        if not row.noop and row.agent is None
    }


def _check_unique(name: str, values: Sequence) -> None:
    for value in values:
        if values.count(value) > 1:
            raise ValueError(f"{name}: duplicate entry {value!r}; list each once")


def defaults(change: dict) -> Config:
    """The paper's configuration as the package ships it, changed: for Python, without a run."""
    return Config.check(merge(read_yaml(PACKAGED), change), source="settings")
