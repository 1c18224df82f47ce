"""The typed model of ``config.yaml``: the only place that knows its keys.

The model is closed and strict: an unknown key, a number out of range or a number read as text is
refused with the key's full path and what would be allowed. ``Config.load`` is called before any job
starts.
"""

import ast
import functools
import hashlib
import json
import types
import typing
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
import yaml
from pydantic import BaseModel, ConfigDict, Field

from workflow_src import artifacts
from workflow_src.ari.labels import GAMES, LABEL_SETS
from workflow_src.errors import UserError, did_you_mean, explained, one_of, unknown

Purpose = Literal["pretrain", "probe"]
PURPOSES: tuple[Purpose, ...] = typing.get_args(Purpose)

Identifier = Annotated[str, Field(pattern=r"^[a-z0-9]+([_-][a-z0-9]+)*$")]
Positive = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(gt=0, lt=1)]
LearningRate = Annotated[float, Field(gt=0, le=1)]


class Section(BaseModel):
    """A part of the configuration: closed, strict, immutable."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


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


class MethodProtocol(Section):
    """The quirks that concern training encoders."""

    wrap_pairs: bool = Field(description="Q5: the frame before an episode's first is its last")
    keep: Literal["last", "best"] = Field(description="Q6: whose epoch's weights are kept")
    sampling: Literal["replacement", "permutation"] = Field(
        description="Q7: episodes drawn alike with replacement, or every frame once an epoch"
    )


class ProbeProtocol(Section):
    """The quirks that concern probes."""

    keep: Literal["last", "best"] = Field(
        description="Q6: whose epoch's weights are kept, by variable"
    )
    sampling: Literal["replacement", "permutation"] = Field(
        description="Q7: as above, for train, val and test"
    )
    lr: LearningRate = Field(
        description="Q9: 3e-4 in the 2019 script, 5e-4 in its class and README, once 5e-2"
    )


class EpisodeProtocol(Section):
    """The quirk that concerns playing."""

    noop: bool = Field(description="Q2: whether the random agent draws action 0 too")


class Protocol(Section):
    """Every known quirk of the 2019 code as a named switch, by step."""

    episodes: EpisodeProtocol
    splits: SplitProtocol
    methods: MethodProtocol
    probes: ProbeProtocol


# Quirk -> its switches as (section, name), by the mark that begins a switch's description.
QUIRKS: dict[str, list[tuple[str, str]]] = {}
for _section, _field in Protocol.model_fields.items():
    for _name, _switch in _field.annotation.model_fields.items():
        QUIRKS.setdefault(_switch.description.partition(":")[0], []).append((_section, _name))
QUIRKS = dict(sorted(QUIRKS.items(), key=lambda row: int(row[0][1:])))
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


class Training(Section):
    """The one training loop."""

    epochs: Positive
    patience: Positive = Field(
        description="epochs without a better validation loss before training stops"
    )
    batch_size: Annotated[int, Field(ge=2)]
    lr: LearningRate
    eps: Annotated[float, Field(gt=0)] = Field(description="of Adam")
    precision: Literal["float32", "bfloat16"] = Field(
        description="of learning encoders and decoders; linear heads and scores: float32"
    )
    channels_last: bool
    cuda_graphs: bool = Field(
        description="on CUDA, record a step's kernels and launch them together; elsewhere of no effect"
    )
    threads: Positive = Field(description="of the processor; another number gives other last bits")


class Method(Section):
    """A row of ``methods``: one column of the tables."""

    kind: str = Field(description="the file in workflow_src/methods, or majority")
    encoder: Literal["nature", "impala"] = "nature"
    feature_size: Positive = 256
    frame_stack: Positive = Field(
        1, description="input frames: this one and those before it in its episode"
    )
    options: dict[str, Any] = Field(
        default_factory=dict, description="what the kind's file declares as OPTIONS"
    )
    module: str | None = Field(
        None, description="custom only: path/to/file.py:Class of a torch module"
    )
    kwargs: dict[str, Any] = Field(
        default_factory=dict, description="custom only: keyword arguments of the class"
    )
    weights: str | None = Field(None, description="custom only: its state, .safetensors or .pt")
    epochs: Positive | None = Field(None, description="instead of training.epochs")
    patience: Positive | None = Field(None, description="instead of training.patience")
    batch_size: Annotated[int, Field(ge=2)] | None = Field(
        None, description="instead of training.batch_size"
    )
    lr: LearningRate | None = Field(None, description="instead of training.lr")
    eps: Annotated[float, Field(gt=0)] | None = Field(None, description="instead of training.eps")

    @pydantic.field_validator("kind")
    @classmethod
    def _known(cls, kind: str) -> str:
        if kind not in METHOD_KINDS:
            raise ValueError(unknown("kind", kind, METHOD_KINDS))
        return kind

    @pydantic.model_validator(mode="after")
    def _of_its_kind(self) -> typing.Self:
        defaults = declared(self.kind).get("OPTIONS", {})
        for name, value in self.options.items():
            if name not in defaults:
                raise ValueError(f"options: {unknown('option', name, list(defaults) or ['none'])}")
            number = (
                float(value) if isinstance(defaults[name], float) and type(value) is int else value
            )
            if type(number) is not type(defaults[name]) or not 0 < number < float("inf"):
                kind = {int: "a whole number", float: "a number with a decimal point"}[
                    type(defaults[name])
                ]
                raise ValueError(
                    f"options.{name}: {value!r} is not {kind} above 0, such as {defaults[name]}"
                )
        if self.kind == "custom":
            file, _, name = (self.module or "").rpartition(":")
            if not file.endswith(".py") or not name.isidentifier():
                raise ValueError(
                    f"module: {self.module!r} names no class in a file; write path/to/file.py:Class"
                )
            if self.weights is not None and Path(self.weights).suffix not in WEIGHTS:
                raise ValueError(
                    f"weights: {self.weights!r} could run code when it is loaded; save the state_dict as {' or '.join(WEIGHTS)}"
                )
            try:
                json.dumps(self.kwargs, allow_nan=False)
            except (TypeError, ValueError) as error:
                raise ValueError(
                    f"kwargs: {error}; use numbers, texts, lists and mappings"
                ) from error
        elif self.module is not None or self.kwargs or self.weights is not None:
            raise ValueError(
                "module, kwargs and weights belong to kind custom; remove them or set kind: custom"
            )
        idle = set() if self.learns_from else set(Training.model_fields)
        idle |= {"encoder", "feature_size"} if self.kind in ("majority", "custom") else set()
        idle |= {"frame_stack"} if self.kind == "majority" else set()
        vain = [
            n
            for n, field in type(self).model_fields.items()
            if n in idle and getattr(self, n) != field.default
        ]
        if vain:
            raise ValueError(f"{vain[0]} has no effect on kind {self.kind}; remove it")
        return self

    @property
    def has_encoder(self) -> bool:
        """Whether the method reads features out of frames; the majority baseline does not."""
        return self.kind != "majority"

    @property
    def learns_from(self) -> Purpose | None:
        """Whose frames are needed to make the encoder: the probe's, with their labels, where it is supervised."""
        return declared(self.kind).get("LEARNS_FROM", "pretrain" if self.has_encoder else None)

    @property
    def decodes(self) -> int | None:
        """How many frames after the given one its decoder shows, or None where it has no decoder."""
        return declared(self.kind).get("DECODES")

    @property
    def settled_options(self) -> dict[str, Any]:
        """The options of the kind, those of this row before the declared ones."""
        return declared(self.kind).get("OPTIONS", {}) | self.options

    @property
    def files(self) -> dict[str, Path]:
        """What a custom encoder is made of, relative to the run's directory: its module, and weights if any."""
        found = {"module": self.module and self.module.rpartition(":")[0], "weights": self.weights}
        return {name: Path(file).expanduser() for name, file in found.items() if file}

    def readouts(self, probe: "Probe") -> list[str]:
        """The probes its encoder is read out with; a supervised one brings its own."""
        if self.kind == "majority":
            return ["majority"]
        return ["supervised"] if self.learns_from == "probe" else probe.kinds

    def training(self, default: Training) -> Training:
        """``default`` with what this row changes."""
        return default.model_copy(
            update={
                k: v
                for k, v in self.model_dump().items()
                if k in Training.model_fields and v is not None
            }
        )


WEIGHTS = (".safetensors", ".pt")  # what is read without running code from the file
# A file in methods/ is a kind, so that a new method is one file and one row; what the files share
# is none.
_METHODS = Path(__file__).parent / "methods"
_SHARED = {"__init__", "examples", "objective", "step", "train", "training"}
_DECLARED = ("OPTIONS", "LEARNS_FROM", "DECODES")
METHOD_KINDS = (
    "majority",
    *sorted(f.stem.replace("_", "-") for f in _METHODS.glob("*.py") if f.stem not in _SHARED),
)


@functools.cache
def declared(kind: str) -> dict[str, Any]:
    """What a kind's file declares as literals at its top: ``OPTIONS`` with their defaults, ``LEARNS_FROM``, ``DECODES``.

    Read without importing the file, which would load torch: a configuration is checked before any
    job starts.
    """
    file = _METHODS / f"{kind.replace('-', '_')}.py"
    if not file.exists():
        return {}
    return {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in ast.parse(file.read_text()).body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in _DECLARED
    }


ProbeKind = Literal["linear", "mlp", "observed", "logistic"]


class Logistic(Section):
    """scikit-learn's logistic regression on standardised features."""

    C: Annotated[float, Field(gt=0)] = Field(description="inverse strength of the L2 penalty")
    max_iter: Positive


class Probe(Section):
    """What is read out of frozen features, and how."""

    kinds: Annotated[list[ProbeKind], Field(min_length=1)] = Field(
        description="linear: the paper's; mlp: one hidden layer; observed: linear, of the classes seen in train; "
        "logistic: scikit-learn's; the first is the one of the tables"
    )
    hidden: Positive = Field(description="units of mlp's hidden layer")
    logistic: Logistic
    classes: Annotated[int, Field(ge=2, le=256)]
    epochs: Positive
    patience: Positive = Field(
        description="epochs without a better validation accuracy before a variable stops"
    )
    batch_size: Positive
    eps: Annotated[float, Field(gt=0)] = Field(description="of Adam")
    plateau_patience: Positive = Field(
        description="epochs without gain before a variable's learning rate falls"
    )
    plateau_factor: Fraction
    min_lr: Annotated[float, Field(gt=0)]
    threads: Positive


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

Study = Literal["ledger", "scaling"]
STUDIES: tuple[Study, ...] = typing.get_args(Study)


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
            raise UserError(f"{source}: {_explain(first)}{more}") from error


def _with_noop(policy: str) -> str:
    return f"{policy}-noop"


class _Loader(yaml.SafeLoader):
    """YAML's last of two rows of the same name wins without a word; here it is refused."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        keys = [
            self.construct_object(key, deep=True)
            for key, _ in node.value
            if key.tag != "tag:yaml.org,2002:merge"
        ]
        for key in keys:
            if keys.count(key) > 1:
                raise ValueError(
                    f"the key {key} stands twice in the mapping of line {node.start_mark.line + 1}"
                )
        return super().construct_mapping(node, deep)


def read_yaml(path: str | Path) -> dict:
    """Read a YAML mapping; `UserError` when it does not parse."""
    with explained("read", path):
        try:
            content = yaml.load(Path(path).read_text(), _Loader)  # safe: it is a SafeLoader
        except (
            yaml.YAMLError,
            ValueError,
        ) as error:  # ValueError: no UTF-8, or a date that is none
            raise UserError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise UserError(
            f"{path} is not a mapping of keys to values: start from config.yaml of the repository"
        )
    return content


def _explain(error: dict) -> str:
    """One pydantic error as a line: where, why, what would be allowed."""
    where = ".".join(str(part) for part in error["loc"] if part != "[key]")
    value, kind = error.get("input"), error["type"]
    if kind == "extra_forbidden":
        key, allowed = error["loc"][-1], _keys(error["loc"][:-1])
        return f"unknown key {where}{did_you_mean(str(key), allowed)}; allowed here: {', '.join(allowed)}"
    if kind == "missing":
        return f"{where} is missing; add it as in the repository's config.yaml"
    if isinstance(value, str) and kind in ("int_type", "float_type"):
        return f"{where}: {value!r} is text, not a number; write it with a decimal point, such as 3.0e-4"
    if kind == "string_pattern_mismatch":
        return f"{where}: {value!r} is no identifier; use small letters, digits, '-' and '_'"
    if kind == "value_error":
        return f"{where}: {error['ctx']['error']}".removeprefix(": ")
    shown = f" (it is {value!r})" if isinstance(value, str | int | float | bool | None) else ""
    return f"{where}: {error['msg'][0].lower()}{error['msg'][1:]}{shown}"


def _keys(location: Iterable) -> list[str]:
    """The keys that the model allows at ``location``."""
    model: Any = Config
    for part in location:
        if isinstance(model, type) and issubclass(model, BaseModel):
            model = model.model_fields[part].annotation
        else:
            model = typing.get_args(model)[-1]
        if typing.get_origin(model) in (Annotated, types.UnionType):
            model = typing.get_args(model)[0]
    return list(model.model_fields) if hasattr(model, "model_fields") else []


def leaves(config: dict, *keys: str) -> dict[str, Any]:
    """``{dotted key: value}`` of the named keys: what a rule hands its job, under the names that dvc.yaml uses."""
    found = {}
    for key in keys:
        value: Any = config
        for part in key.split("."):
            value = value[part]
        found[key] = value
    return found


def merge(base: dict, change: dict) -> dict:
    """``base`` with the keys of ``change`` replaced, mapping by mapping; lists are replaced whole, null takes a key away."""
    merged = dict(base)
    for key, value in change.items():
        both = isinstance(value, dict) and isinstance(base.get(key), dict)
        merged[key] = merge(base[key], value) if both else value
    return {key: value for key, value in merged.items() if value is not None}


def defaults(change: dict) -> Config:
    """The package's own copy of the paper's configuration, changed: for use from Python, where there is no run."""
    return Config.check(
        merge(read_yaml(Path(__file__).parent.parent / "config.yaml"), change), source="settings"
    )


_MADE = "# sha256 of what follows: "


def _edited(text: str) -> bool:
    """Whether a configuration is another than `configure` wrote."""
    _, found, rest = text.partition(_MADE)
    digest, _, body = rest.partition("\n")
    return not found or hashlib.sha256(body.encode()).hexdigest() != digest


def configure(base: Path, preset: Path | None, games: list[str], into: Path) -> Path:
    """Write the effective configuration of another run: ``base`` changed by ``preset``, for ``games`` if any are named.

    The file is written only when its content changes, so that a repeated call makes nothing stale,
    and never over one that was edited by hand.
    """
    content = read_yaml(base)
    source = str(base)
    if preset is not None:
        if not preset.is_file():
            raise UserError(
                unknown(
                    "preset",
                    preset.stem,
                    sorted(p.stem for p in preset.parent.glob("*.yaml")) or ["none"],
                )
            )
        content, source = merge(content, read_yaml(preset)), f"{base} with {preset}"
    if games:
        content["games"] = games
    Config.check(content, source)
    body = yaml.safe_dump(content, sort_keys=False, width=120)
    text = f"# Made by configure, from {source}. Every job reads this file; once edited, configure leaves it alone.\n"
    text += f"{_MADE}{hashlib.sha256(body.encode()).hexdigest()}\n{body}"
    target = into / "config.yaml"
    if target.resolve() == base.resolve():
        raise UserError(
            f"cannot configure {into}: {base} is what the run is made of; name another directory with --into"
        )
    if target.is_file() and _edited(target.read_text()):
        raise UserError(
            f"{target} was edited by hand and would be lost: use it as it is with snakemake, or move it away"
        )
    if not target.is_file() or target.read_text() != text:
        artifacts.write_text(target, text)
    return target
