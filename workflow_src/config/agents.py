"""Agents that learn by playing: ``agents``, and the protocols they play by, ``agent_protocols``.

The defaults are those of Kaixhin/Atari (its options, not one of its papers' presets). A row may
name a preset, a file of ``presets/agents``, which lists what differs; its own keys come last.
"""

import json
import math
import re
import typing
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import pydantic
from pydantic import Field

from workflow_src import kinds
from workflow_src.config.published import PUBLISHED, Published
from workflow_src.config.reading import read_yaml
from workflow_src.config.section import (
    Count,
    Identifier,
    LearningRate,
    Row,
    Section,
    Size,
    Steps,
    Threads,
    check_options,
    known_kind,
    resolved_options,
)
from workflow_src.errors import unknown
from workflow_src.paths import expanded

# Settings of learning from a memory, which have no effect on learners without one.
_OF_REPLAY = ("memory", "learn_start", "learn_every", "batch_size")
ENVIRONMENTS, VARIANTS, BODIES = "agents/environments", "agents/variants", "agents/bodies"
PRESETS = Path(__file__).parent.parent / "presets" / "agents"

Share = Annotated[float, Field(ge=0, le=1)]


def _none(value: Any) -> Any:
    # A preset's null removes a key: a value that is to be None is written `none`.
    return None if value == "none" else value


_OR_NONE = pydantic.BeforeValidator(_none)
CountOrNone = Annotated[Count | None, _OR_NONE]
PositiveOrNone = Annotated[Steps | None, _OR_NONE]
AboveZeroOrNone = Annotated[Annotated[float, Field(gt=0)] | None, _OR_NONE]


class AgentProtocol(Section):
    """A row of ``agent_protocols``: how agents play, in training and when they are evaluated."""

    sticky: Share = Field(
        description="chance that an emulator frame repeats the action of the frame before it"
    )
    noop_max: Count = Field(description="no-ops at the start of a game, uniform on 0..noop_max")
    life_loss: bool = Field(
        description="whether the loss of a life ends an episode, in training only; the game goes on"
    )
    clear_history: bool = Field(
        description="whether the frames before a lost life are blanked out of the observation"
    )
    max_frames: PositiveOrNone = Field(
        description="emulator frames after which a game is cut off; none: never"
    )
    epsilon: Share = Field(description="chance of a random action when an agent is evaluated")


class AgentEnvironment(Section):
    """The world that an agent plays in."""

    kind: str = Field("atari", description="the name of a file in agents/environments")
    observation: Literal["atari", "frame"] = Field(
        "atari", description="atari: 84 x 84; frame: 210 x 160, as encoders see it"
    )
    pool: Literal["max-first", "resize-first"] = Field(
        "max-first", description="whether two frames are merged before or after they are resized"
    )
    frame_skip: Annotated[int, Field(ge=2, le=60)] = 4
    mode: CountOrNone = Field(None, description="of the game; none: the game's own default")
    difficulty: CountOrNone = Field(None, description="of the game; none: its own default")
    module: str | None = Field(
        None, description="custom only: path/to/file.py:Class of a gymnasium environment"
    )
    options: dict[str, Any] = Field(
        default_factory=dict,
        description="settings that the kind declares, or custom's keyword arguments",
    )

    @pydantic.field_validator("kind")
    @classmethod
    def _kind_is_known(cls, kind: str) -> str:
        return known_kind("environment", kind, ENVIRONMENTS)

    @pydantic.model_validator(mode="after")
    def _fits_its_kind(self) -> typing.Self:
        if self.kind == "custom":
            check_class("environment.module", self.module or "")
            _check_json("environment.options", self.options)
        else:
            if self.module is not None:
                raise ValueError(
                    "environment.module belongs to kind custom; remove it or set kind: custom"
                )
            _check_kind(ENVIRONMENTS, self.kind, self.options, "environment.options")
        if self.kind != "atari":
            for name in ("observation", "pool", "frame_skip", "mode", "difficulty"):
                if getattr(self, name) != type(self).model_fields[name].default:
                    raise ValueError(
                        f"environment.{name} has no effect on kind {self.kind}; remove it"
                    )
        return self

    @property
    def resolved_options(self) -> dict[str, Any]:
        """The options of the kind: the declared defaults, overridden by this section's."""
        return resolved_options(ENVIRONMENTS, self.kind, self.options)

    @property
    def file(self) -> Path | None:
        """The Python file of a custom environment, relative to the run's directory."""
        return expanded(self.module.rpartition(":")[0]) if self.module else None


class AgentMemory(Section):
    """The replay memory: a ring of single frames."""

    size: Annotated[int, Field(ge=64, le=1_000_000_000)] = Field(
        1_000_000, description="frames that it holds"
    )
    storage: Literal["auto", "raw", "lz4"] = Field(
        "auto", description="auto: raw on a GPU or up to 1 GiB, else lz4, which is for bytes"
    )
    discretise: bool = Field(
        True, description="whether float observations within 0..1 are stored in 8 bits"
    )


class Epsilon(Section):
    """The chance of a random action in training: from ``start`` to ``end`` along a line."""

    start: Share = 1.0
    end: Share = 0.01
    steps: Steps = Field(1_000_000, description="steps of the environments until ``end``")

    def at(self, step: int) -> float:
        """The chance at a step."""
        return self.start + (self.end - self.start) * min(step / self.steps, 1.0)


class Optimizer(Section):
    """Gradient descent."""

    kind: Literal["rmsprop", "adam", "adadelta"] = Field(
        "rmsprop", description="rmsprop: centred, eps inside the root, as in Torch7"
    )
    lr: LearningRate = 6.25e-5
    eps: Annotated[float, Field(gt=0)] = 0.01
    decay: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.95, description="of the running means of rmsprop; rho of adadelta"
    )
    max_norm: AboveZeroOrNone = Field(
        10.0, description="the gradient's norm is clipped at this; none: not"
    )
    centred: bool = Field(
        True, description="rmsprop only: whether it divides by the deviation, or by the root mean"
    )
    anneal: bool = Field(
        False, description="whether lr falls to 0 along a line; of learners without a memory"
    )
    reduction: Literal["sum", "mean"] = Field(
        "sum", description="of the losses of a batch, as in Torch7, or their mean"
    )


class AgentEncoder(Section):
    """An encoder of the run that an agent sees through; it is not trained any further."""

    method: Identifier = Field(description="a row of methods with one encoder for all variables")
    policy: Identifier | None = Field(None, description="of its frames; by default the first")
    protocol: Identifier | None = Field(None, description="by default the first")


class Recordings(Section):
    """How agents are recorded at play, for the films of a run."""

    steps: Annotated[int, Field(ge=1, le=2000)] = 120
    saliency: Literal["normal", "guided", "deconvnet"] = Field(
        "guided", description="how gradients pass a ReLU on their way back to the pixels"
    )


class Agent(Row):
    """A row of ``agents``."""

    folder: ClassVar[str] = "agents/learners"

    kind: str = Field("dqn", description="the name of a file in agents/learners")
    preset: str | None = Field(None, description="a file of presets/agents to start from")
    environment: AgentEnvironment = Field(default_factory=lambda: AgentEnvironment())
    protocol: str = Field("classic", description="a row of agent_protocols")
    variants: list[str] = Field(
        default_factory=list, description="files of agents/variants that change the learner"
    )
    options: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="settings of the kind and of variants, by their names"
    )
    body: str = Field(
        "nature", description="a file of agents/bodies, or path/to/file.py:Class of a torch module"
    )
    encoder: AgentEncoder | None = Field(
        None,
        description="observations are this encoder's features; sets observation: frame, "
        "body: flat and memory.discretise: false",
    )
    hidden: Size = Field(512, description="units between the body and the values")
    history: Annotated[int, Field(ge=1, le=64)] = Field(4, description="frames of an observation")
    memory: AgentMemory = Field(default_factory=lambda: AgentMemory())
    num_envs: Annotated[int, Field(ge=1, le=4096)] = Field(
        1, description="environments that are played in lockstep"
    )
    steps: Steps = Field(50_000_000, description="of all environments together")
    learn_start: Steps = Field(50_000, description="steps before the first update")
    learn_every: Steps = Field(4, description="steps per update")
    batch_size: Size = 32
    gamma: Annotated[float, Field(ge=0, le=1)] = 0.99
    epsilon: Epsilon = Field(default_factory=lambda: Epsilon())
    target_every: Steps = Field(30_000, description="steps between copies to the target network")
    reward_clip: AboveZeroOrNone = Field(
        1.0, description="rewards are clipped to this in learning only; none: not"
    )
    delta_clip: AboveZeroOrNone = Field(
        1.0, description="errors above this count linearly (Huber); none: squared errors"
    )
    optimizer: Optimizer = Field(default_factory=lambda: Optimizer())
    validate_every: Steps = Field(250_000, description="steps of an epoch")
    validate_steps: Steps = Field(125_000, description="steps of an epoch's evaluation")
    checkpoints: Literal["all", "last", "geometric"] = Field(
        "last", description="the epochs whose weights are kept; geometric: 51 of 200"
    )
    precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="of the body and the hidden layer, where values stay float32"
    )
    published: Published | None = Field(
        None, description="written as kind: published with its keys in the row"
    )
    threads: Threads = Field(2, description="CPU threads of learning")
    cuda_graphs: bool = Field(True, description="on CUDA, launch the kernels of an update together")

    @pydantic.model_validator(mode="before")
    @classmethod
    def _start_from_preset(cls, content: Any) -> Any:
        if not isinstance(content, dict) or not isinstance(content.get("preset"), str):
            return content
        name = content["preset"]
        if name not in presets():
            raise ValueError(f"preset: {unknown('preset of agents', name, presets())}")
        return _over(read_yaml(PRESETS / f"{name}.yaml"), content)

    @pydantic.model_validator(mode="before")
    @classmethod
    def _encoder_sets_what_fits(cls, content: Any) -> Any:
        if not isinstance(content, dict) or content.get("encoder") is None:
            return content
        fitting = {"environment": {"observation": "frame"}, "memory": {"discretise": False}}
        # Learners without a memory refuse its settings.
        kept = {"environment": fitting["environment"]} if _has_horizon(content) else fitting
        return _over({"body": "flat", **kept}, content)

    # Validators of this mode run from the last to the first.
    @pydantic.model_validator(mode="before")
    @classmethod
    def _published_is_a_preset(cls, content: Any) -> Any:
        """``kind: published`` is a preset's network with another's weights."""
        if not isinstance(content, dict) or content.get("kind") != "published":
            return content
        row = {key: value for key, value in content.items() if key != "kind"}
        about = {key: row.pop(key) for key in Published.model_fields if key in row}
        if about.get("layout", "atari-agents") == "atari-agents":
            algorithm = about.get("algorithm")
            if algorithm in PUBLISHED:
                row.setdefault("preset", PUBLISHED[algorithm])
            # As they were trained; a pool of the row's own comes last.
            row["environment"] = {"pool": "resize-first"} | (row.get("environment") or {})
        elif "preset" not in row:
            raise ValueError("kind published with a file needs preset: that of the same network")
        # Nothing is learned here: there is one set of weights.
        return {"checkpoints": "last"} | row | {"published": about}

    @pydantic.model_validator(mode="after")
    def _options_are_declared(self) -> typing.Self:
        for name in self.variants:
            known_kind("variant", name, VARIANTS)
            if self.variants.count(name) > 1:
                raise ValueError(f"variants: duplicate entry {name}; list each once")
        for name, options in self.options.items():
            if name != self.kind and name not in self.variants:
                raise ValueError(
                    f"options: {name} is neither this agent's kind nor among its variants; add it "
                    "there, or remove its options"
                )
            folder = self.folder if name == self.kind else VARIANTS
            _check_kind(folder, name, options, f"options.{name}")
        return self

    @pydantic.model_validator(mode="after")
    def _fits_its_kind(self) -> typing.Self:
        declared, plain = kinds.declared(self.folder, self.kind), type(self).model_construct()
        for name in self.variants:
            if name not in declared.get("VARIANTS", kinds.names(VARIANTS)):
                allowed = ", ".join(declared["VARIANTS"]) or "none"
                raise ValueError(
                    f"variants: {name} cannot be combined with kind {self.kind}; remove it "
                    f"(allowed: {allowed})"
                )
        others = _OF_REPLAY if "horizon" in self.kind_options else ("optimizer.anneal",)
        for key in (*others, *declared.get("IGNORES", ())):
            here, there = self, plain
            for part in key.split("."):
                here, there = getattr(here, part), getattr(there, part)
            if here != there:
                raise ValueError(f"{key} has no effect on kind {self.kind}; remove it")
        return self

    @pydantic.model_validator(mode="after")
    def _consistent(self) -> typing.Self:
        for name in self.variants:
            for other in kinds.declared(VARIANTS, name).get("EXCLUDES", ()):
                if other in self.variants:
                    raise ValueError(
                        f"variants: {name} and {other} cannot be combined; remove one of them"
                    )
        if self.encoder is not None:
            world = self.environment
            if (world.kind, world.observation, world.pool) != ("atari", "frame", "max-first"):
                raise ValueError(
                    "encoder: it sees frames of atari as they are collected; leave "
                    "environment.kind, observation and pool out"
                )
        if ":" in self.body:
            check_class("body", self.body)
        else:
            known_kind("body", self.body, BODIES)
        if horizon := self.kind_options.get("horizon"):
            played = self.num_envs * horizon
            if self.validate_every % played:
                raise ValueError(
                    f"validate_every: {self.validate_every} is not a multiple of num_envs x "
                    f"horizon: {self.num_envs} x {horizon} = {played}"
                )
        elif self.num_envs % self.learn_every and self.learn_every % self.num_envs:
            raise ValueError(
                f"num_envs: {self.num_envs} and learn_every: {self.learn_every} do not divide one "
                "another; change one of them"
            )
        for name in ("validate_every", "target_every", "learn_start", "steps"):
            if not horizon and getattr(self, name) % self.num_envs:
                raise ValueError(
                    f"{name}: {getattr(self, name)} is not a multiple of num_envs: {self.num_envs}"
                )
        if self.steps % self.validate_every:
            raise ValueError(
                f"steps: {self.steps} is not a multiple of validate_every: {self.validate_every}"
            )
        if self.learn_start < self.batch_size:
            raise ValueError(
                f"learn_start: {self.learn_start} is below batch_size: {self.batch_size}; raise it"
            )
        return self

    @property
    def epochs(self) -> int:
        """How often the agent is evaluated."""
        return self.steps // self.validate_every

    @property
    def kinds(self) -> list[tuple[str, str]]:
        """The folder and the name of each kind that it is made of."""
        found = [(self.folder, self.kind), (ENVIRONMENTS, self.environment.kind)]
        found += [(VARIANTS, name) for name in sorted(self.variants)]
        return found + ([(BODIES, self.body)] if ":" not in self.body else [])

    @property
    def kept_steps(self) -> list[int]:
        """The steps whose weights are kept for good, in order."""
        epochs = {"all": range(1, self.epochs + 1), "last": (), "geometric": geometric(self.epochs)}
        return [epoch * self.validate_every for epoch in epochs[self.checkpoints]]

    @staticmethod
    def step_name(step: int) -> str:
        """The name of the weights after so many steps."""
        return f"step-{step:09}"

    @classmethod
    def weights_name(cls, checkpoint: str | int) -> str:
        """The name of the weights that ``last``, ``best`` or a number of steps means."""
        return checkpoint if isinstance(checkpoint, str) else cls.step_name(checkpoint)

    @property
    def kept(self) -> list[str]:
        """The names of the weights that training leaves."""
        return ["last", "best", *map(self.step_name, self.kept_steps)]

    @property
    def kind_options(self) -> dict[str, Any]:
        """The options of the kind: the declared defaults, overridden by this row's."""
        return resolved_options(self.folder, self.kind, self.options.get(self.kind, {}))

    def variant_options(self, variant: str) -> dict[str, Any]:
        """The options of a variant: the declared defaults, overridden by this row's."""
        return resolved_options(VARIANTS, variant, self.options.get(variant, {}))

    @property
    def files(self) -> dict[str, Path]:
        """The files of its own environment, body and weights, relative to the run's directory."""
        found = {"environment.module": self.environment.file}
        if ":" in self.body:
            found["body"] = expanded(self.body.rpartition(":")[0])
        if self.published is not None and self.published.file is not None:
            found["file"] = expanded(self.published.file)
        return {name: file for name, file in found.items() if file is not None}

    @property
    def can_be_filmed(self) -> bool:
        """Whether there is a screen, and a network that all of an observation goes through."""
        return self.environment.kind in ("atari", "catch") and self.encoder is None

    def games(self, games: list[str]) -> list[str]:
        """What it plays: the run's games, or the one that its environment is."""
        if self.environment.kind == "atari":
            return games
        file = self.environment.file
        return [re.sub("[^a-z0-9]", "", file.stem.lower()) if file else self.environment.kind]


def _has_horizon(content: dict) -> bool:
    """Whether a row, or the preset that it starts from, is of a learner without a memory."""
    preset = content.get("preset")
    base = read_yaml(PRESETS / f"{preset}.yaml") if preset in presets() else {}
    kind = str((base | content).get("kind"))
    return "horizon" in kinds.declared(Agent.folder, kind).get("OPTIONS", {})


def _over(base: dict, change: dict) -> dict:
    """``base`` with ``change`` on top, mapping by mapping; unlike `merge`, null is a value."""
    both = {
        key: _over(base[key], value)
        if isinstance(value, dict) and isinstance(base.get(key), dict)
        else value
        for key, value in change.items()
    }
    return base | both


def geometric(epochs: int) -> list[int]:
    """Epochs that are dense at the end: 51 of 200, as atari-agents kept them.

    Measured in the picture of its README: ``201 - floor(x)`` for 75 values of ``x`` that lead from
    1 to 200 in equal ratios.
    """
    return sorted({epochs + 1 - math.floor(epochs ** (i / 74) + 1e-9) for i in range(75)})


def presets() -> list[str]:
    """The names of the presets, sorted."""
    return sorted(file.stem for file in PRESETS.glob("*.yaml"))


def check_class(key: str, text: str) -> None:
    """ValueError unless ``text`` names a class in a Python file."""
    file, _, name = text.rpartition(":")
    if not file.endswith(".py") or not name.isidentifier():
        raise ValueError(
            f"{key}: {text!r} does not name a class in a file; write path/to/file.py:Class"
        )


def _check_kind(folder: str, kind: str, options: dict[str, Any], where: str) -> None:
    """`check_options`, but a number can be 0 where its default is, and a text has its CHOICES."""
    declared = kinds.declared(folder, kind)
    choices, defaults = declared.get("CHOICES", {}), declared.get("OPTIONS", {})
    numbers = {name for name, value in options.items() if type(value) in (int, float)}
    zeros = {name for name in numbers if options[name] == 0 and defaults.get(name, 1) == 0}
    others = {name: value for name, value in options.items() if name not in zeros}
    check_options(folder, kind, others, where)
    for name in choices:
        if name in options and options[name] not in choices[name]:
            raise ValueError(f"{where}.{name}: {unknown('choice', options[name], choices[name])}")


def _check_json(key: str, options: dict[str, Any]) -> None:
    try:
        json.dumps(options, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{key}: {error}; use numbers, strings, lists and mappings") from error
