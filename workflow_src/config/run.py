"""The whole configuration of a run: every section, and what they must agree on."""

import functools
import typing
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
from pydantic import Field

from workflow_src.ari.labels import GAMES, LABEL_SETS
from workflow_src.config.episodes import Episodes, Policy
from workflow_src.config.explaining import explain
from workflow_src.config.methods import Method, Training
from workflow_src.config.probes import Probe
from workflow_src.config.protocols import QUIRKS, Protocol
from workflow_src.config.reading import merge, read_yaml
from workflow_src.config.section import PURPOSES, Identifier, Positive, Section
from workflow_src.config.splits import Splits
from workflow_src.config.studies import _PROBES_ONLY, Ledger, Scaling, Study, Variant
from workflow_src.errors import UserError, one_of, unknown

# What columns of the tables are called, and what ends the names of those that stand beside a
# method's.
_COLUMNS = (
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
)
_BESIDE = ("_std", "_paper", "_report", "_difference", "_f1", "_accuracy")


class Config(Section):
    """A whole run."""

    seeds: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)] = Field(
        description="root seeds, one a replicate"
    )
    games: Annotated[list[str], Field(min_length=1)]
    label_set: str
    device: Literal["auto", "cpu", "cuda"]
    trainings_per_gpu: Positive = Field(
        1, description="side by side, each a process of its own; probes count as trainings"
    )
    policies: Annotated[dict[Identifier, Policy], Field(min_length=1)]
    protocols: Annotated[dict[Identifier, Protocol], Field(min_length=1)]
    episodes: Episodes
    splits: Splits
    training: Training
    methods: Annotated[dict[Identifier, Method], Field(min_length=1)]
    probe: Probe
    ledger: Ledger | None = None
    scaling: Scaling | None = None
    studies: list[Study] = Field(
        default_factory=list,
        description="of the last two sections, those whose trainings, tables and figures belong to the run",
    )

    @pydantic.field_validator("label_set")
    @classmethod
    def _label_set_is_known(cls, label_set: str) -> str:
        if label_set not in LABEL_SETS:
            raise ValueError(unknown("label set", label_set, LABEL_SETS))
        return label_set

    @pydantic.model_validator(mode="after")
    def _consistent(self) -> typing.Self:
        known = GAMES[self.label_set]
        for game in self.games:
            if game not in known:
                raise ValueError(f"games: {unknown('game', game, known)}")
        once = {"games": self.games, "seeds": self.seeds, "probe.kinds": self.probe.kinds}
        once |= {"studies": self.studies}
        once |= {"ledger.methods": self.ledger.methods} if self.ledger else {}
        once |= (
            {"scaling.percent": self.scaling.percent, "scaling.methods": self.scaling.methods}
            if self.scaling
            else {}
        )
        for name, values in once.items():
            if len(set(values)) < len(values):
                raise ValueError(f"{name}: an entry stands twice; name each once")
        for name in self.methods:
            if name in _COLUMNS or name.endswith(_BESIDE):
                raise ValueError(
                    f"methods: {name} would be mistaken for a column of the tables; call it otherwise"
                )
        for purpose in PURPOSES:
            shares = getattr(self.splits, purpose).model_dump()
            if abs(sum(shares.values()) - 1) > 1e-9:
                raise ValueError(f"splits.{purpose}: the shares {shares} do not add up to 1")
        if self.ledger is not None:
            for name in (self.ledger.base, self.ledger.target):
                if name not in self.protocols:
                    raise ValueError(f"ledger: {unknown('protocol', name, self.protocols)}")
            for name in self.ledger.methods:
                if name not in self.methods:
                    raise ValueError(f"ledger.methods: {unknown('method', name, self.methods)}")
        if self.scaling is not None:
            if self.scaling.base not in self.protocols:
                raise ValueError(
                    f"scaling: {unknown('protocol', self.scaling.base, self.protocols)}"
                )
            for name in self.scaling.methods:
                if name not in self.methods:
                    raise ValueError(f"scaling.methods: {unknown('method', name, self.methods)}")
                if self.methods[name].learns_from != "pretrain":
                    raise ValueError(
                        f"scaling.methods: {name} does not learn from the encoder's frames; name others"
                    )
        for study, names in (
            ("ledger", [variant.protocol for variant in self.variants]),
            ("scaling", self.sizes),
        ):
            if getattr(self, study) is None and study in self.studies:
                raise ValueError(
                    f"studies: there is no section {study}; add it, or take it off the list"
                )
            taken = set(names) & set(self.protocols)
            if taken:
                raise ValueError(
                    f"protocols: {min(taken)} is the name of a row of the study {study}; call it otherwise"
                )
        taken = {_with_noop(name) for name, row in self.policies.items() if not row.noop} & set(
            self.policies
        )
        if taken:
            raise ValueError(
                f"policies: {min(taken)} is what {min(taken)[:-5]} is called where it draws no-ops; call it otherwise"
            )
        return self

    @functools.cached_property
    def variants(self) -> "list[Variant]":
        """The runs of the ledger: its base with one quirk corrected, for each quirk in which base and target differ."""
        if self.ledger is None:
            return []
        base, target = self.protocols[self.ledger.base], self.protocols[self.ledger.target]
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
                        f"{self.ledger.base}-{quirk.lower()}",
                        Protocol.model_validate(row),
                        changed,
                    )
                )
        return found

    @functools.cached_property
    def sizes(self) -> dict[str, int]:
        """The runs of the scaling study, without its base: {protocol, such as paper-p10: percent of the encoder's frames}."""
        return (
            {}
            if self.scaling is None
            else {f"{self.scaling.base}-p{percent}": percent for percent in self.scaling.percent}
        )

    def protocol(self, name: str) -> Protocol:
        """The row of a protocol, of the studies' too; `UserError` naming the known ones."""
        rows = self.protocols | {variant.protocol: variant.row for variant in self.variants}
        if self.scaling is not None:
            rows |= dict.fromkeys(self.sizes, self.protocols[self.scaling.base])
        return rows[one_of("protocol", name, rows)]

    def made_of(self, protocol: str) -> list[str]:
        """The rows of ``protocols`` that decide what a protocol is: itself, or for one of a study what it is derived from."""
        if any(protocol == variant.protocol for variant in self.variants):
            return [self.ledger.base, self.ledger.target]
        return [self.scaling.base] if protocol in self.sizes else [protocol]

    def seeded_as(self, protocol: str) -> str:
        """The protocol by whose name seeds are derived: studies compare runs that differ in one thing and nothing else."""
        return self.made_of(protocol)[0]

    def taken(self, protocol: str, frames: int) -> int:
        """How many of the encoder's ``frames`` a protocol takes."""
        return frames * self.sizes.get(protocol, 100) // 100

    def studied(self, study: Study) -> dict[str, list[str]]:
        """{protocol: its methods} of a study, its base first; nothing where there is no such study."""
        row = getattr(self, study)
        derived = (
            [variant.protocol for variant in self.variants]
            if study == "ledger"
            else list(self.sizes)
        )
        return dict.fromkeys([row.base, *derived], row.methods) if row else {}

    def trained_as(self, protocol: str, method: str) -> str:
        """The protocol whose encoders are those of ``protocol``: the base's, where a quirk does not touch them."""
        untouched = _PROBES_ONLY
        if (
            self.methods[method].learns_from == "probe"
        ):  # the probe's own split decides what it learns
            untouched = {(section, switch) for section, switch in untouched if section == "probes"}
        same = any(
            variant.protocol == protocol and variant.changed <= untouched
            for variant in self.variants
        )
        return self.ledger.base if same else protocol

    def policy(self, name: str) -> Policy:
        """The row of a policy, also of one that `plays` with no-ops; `UserError` naming the known ones."""
        of_q2 = {
            _with_noop(n): row.model_copy(update={"noop": True})
            for n, row in self.policies.items()
            if not row.noop
        }
        rows = self.policies | of_q2
        return rows[one_of("policy", name, rows)]

    def plays(self, policy: str, protocol: str) -> str:
        """The policy whose frames a protocol is made of: ``policy``, or the same with no-ops (Q2)."""
        asked = self.protocol(protocol).episodes.noop and not self.policy(policy).noop
        return _with_noop(policy) if asked else policy

    def of_game(self, name: str) -> "Config":
        """The same run of one game alone; `UserError` naming the known ones."""
        return self.model_copy(update={"games": [self.game(name)]})

    def game(self, name: str) -> str:
        """``name``, if the label set knows that game; `UserError` naming the known ones."""
        return one_of("game", name, GAMES[self.label_set])

    def knowing(
        self, *, game: str, policy: str, protocol: str, method: str | None = None, **_: Any
    ) -> "Config":
        """This configuration, after checking that it knows what a job was asked to make."""
        self.game(game)
        self.policy(policy)
        self.protocol(protocol)
        if method is not None:
            one_of("method", method, self.methods)
        return self

    @classmethod
    def load(cls, path: str | Path) -> "Config":
        """Read and check a configuration file; `UserError` in one line when anything is wrong.

        The files of custom encoders are looked for too, from the file's own directory.
        """
        config = cls.check(read_yaml(path), source=str(path))
        for name, row in config.methods.items():
            for what, file in row.files.items():
                if not (Path(path).parent / file).is_file():
                    raise UserError(
                        f"{path}: methods.{name}.{what}: there is no file {file}, seen from the run's directory"
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
            raise UserError(f"{source}: {explain(first, cls)}{more}") from error


def _with_noop(policy: str) -> str:
    return f"{policy}-noop"


def defaults(change: dict) -> Config:
    """The package's own copy of the paper's configuration, changed: for use from Python, where there is no run."""
    return Config.check(
        merge(read_yaml(Path(__file__).parent.parent.parent / "config.yaml"), change),
        source="settings",
    )
