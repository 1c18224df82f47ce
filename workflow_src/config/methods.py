"""How encoders are trained: ``training``, ``methods`` and a protocol's switches for training."""

import json
import re
import typing
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import pydantic
from pydantic import Field

from workflow_src import kinds
from workflow_src.config.section import (
    Checkpoint,
    Identifier,
    LearningRate,
    Positive,
    Purpose,
    Row,
    Section,
    Size,
    Threads,
    known_kind,
    quirk,
)
from workflow_src.errors import unknown
from workflow_src.paths import expanded


class MethodProtocol(Section):
    """The quirks that concern training encoders."""

    wrap_pairs: bool = quirk("Q5", "the frame before an episode's first is its last")
    keep: Literal["last", "best"] = quirk("Q6", "the epoch whose weights are kept")
    sampling: Literal["replacement", "permutation"] = quirk(
        "Q7", "episodes drawn uniformly with replacement, or every frame once per epoch"
    )


class Training(Section):
    """The one training loop."""

    epochs: Positive
    patience: Positive = Field(
        description="epochs without a better validation loss before training stops"
    )
    batch_size: Annotated[int, Field(ge=2, le=65_536)]
    lr: LearningRate
    eps: Annotated[float, Field(gt=0, le=1)] = Field(description="of Adam")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        description="of encoders and decoders in training; linear heads and scores use float32; "
        "auto: bfloat16 where the device has products of it"
    )
    channels_last: bool
    cuda_graphs: bool = Field(
        description="on CUDA, record the kernels of a step once and launch them together"
    )
    threads: Threads = Field(
        description="CPU threads; another number changes the last bits of the weights"
    )


Side = Annotated[int, Field(ge=8, le=1024)]


class Input(Section):
    """What an encoder of one's own sees of each frame."""

    size: Side | Annotated[list[Side], Field(min_length=2, max_length=2)] | None = Field(
        None, description="pixels: of both sides, or [height, width]; by areas, from 210x160"
    )
    color: Literal["gray", "rgb"] = Field(
        "gray", description="rgb: three channels for each frame, from the recorded actions"
    )
    stack: Annotated[int, Field(ge=1, le=64)] = Field(
        1, description="frames: the newest last, as frame_stack"
    )

    @property
    def shape(self) -> tuple[int, int] | None:
        """Height and width; None: as they are stored."""
        if self.size is None:
            return None
        height, width = self.size if isinstance(self.size, list) else [self.size] * 2
        return height, width


class Method(Row):
    """A row of ``methods``: one column of the tables."""

    folder: ClassVar[str] = "methods"

    encoder: str = "nature"
    feature_size: Size = 256
    frame_stack: Annotated[int, Field(ge=1, le=64)] = Field(
        1, description="input frames: the frame and those before it in its episode"
    )
    input_scale: Literal["unit", "byte"] = Field(
        "unit", description="pixels from 0 to 1, or from 0 to 255 as they are stored"
    )
    module: str | None = Field(
        None, description="custom only: path/to/file.py:Class of a torch module"
    )
    kwargs: dict[str, Any] = Field(
        default_factory=dict, description="custom only: keyword arguments of the class"
    )
    input: Input | None = Field(None, description="custom only: what it sees of each frame")
    weights: str | None = Field(None, description="custom only: its state, .safetensors or .pt")
    agent: Identifier | None = Field(None, description="kind agent only: a row of agents")
    checkpoint: Checkpoint = Field(
        "last", description="kind agent only: last, best, or the weights after a number of steps"
    )
    layer: str = Field(
        "hidden",
        description="kind agent only: hidden, or conv1, conv2, ... after its ReLU",
    )
    of: Identifier | None = Field(
        None, description="kind conditioned only: the method whose encoder it takes"
    )
    features: Literal["standardised", "whitened"] | None = Field(
        None, description="kind conditioned only: what is done to them, without labels"
    )
    charts: Annotated[int, Field(ge=2, le=64)] | None = Field(
        None, description="kind dim-ua only: how many charts, of feature_size values each"
    )
    readout: Literal["mean", "argmax"] | None = Field(
        None, description="kind dim-ua only: what probes get, the charts' mean or the likeliest one"
    )
    epochs: Positive | None = Field(None, description="overrides training.epochs")
    patience: Positive | None = Field(None, description="overrides training.patience")
    batch_size: Annotated[int, Field(ge=2, le=65_536)] | None = Field(
        None, description="overrides training.batch_size"
    )
    lr: LearningRate | None = Field(None, description="overrides training.lr")
    eps: Annotated[float, Field(gt=0)] | None = Field(None, description="overrides training.eps")

    @pydantic.model_validator(mode="before")
    @classmethod
    def _take_defaults_of_kind(cls, content: Any) -> Any:
        """What the kind's file says of its encoder, where the row does not."""
        return with_encoder_of_kind(content)

    @pydantic.model_validator(mode="before")
    @classmethod
    def _take_stack(cls, content: Any) -> Any:
        """``input.stack`` is ``frame_stack``; ValueError if both are there and differ."""
        seen = content.get("input") if isinstance(content, dict) else None
        if not isinstance(seen, dict) or "stack" not in seen:
            return content
        if content.get("frame_stack", seen["stack"]) != seen["stack"]:
            raise ValueError("frame_stack and input.stack differ; write one of them")
        return content | {"frame_stack": seen["stack"]}

    @pydantic.field_validator("encoder")
    @classmethod
    def _encoder_is_known(cls, encoder: str) -> str:
        return encoder if encoder == PROFILES else known_kind("encoder", encoder, ARCHITECTURES)

    @pydantic.field_validator("layer")
    @classmethod
    def _layer_is_known(cls, layer: str) -> str:
        if not re.fullmatch("hidden|conv[1-9]", layer):
            raise ValueError(f"{layer!r} is no layer; choose hidden, or conv1, conv2, ...")
        return layer

    @pydantic.model_validator(mode="after")
    def _fits_its_kind(self) -> typing.Self:
        if self.kind == "conditioned":
            if self.of is None or self.features is None:
                raise ValueError(
                    "kind conditioned needs of: the name of a method, and features: standardised "
                    "or whitened"
                )
        elif self.of is not None or self.features is not None:
            raise ValueError(
                "of and features belong to kind conditioned; remove them or set kind: conditioned"
            )
        if self.kind == "custom":
            self._check_custom()
        elif self.kind == "conditioned":
            pass  # what it takes from its base was checked there
        elif self.module is not None or self.kwargs or self.weights is not None or self.input:
            raise ValueError(
                "module, kwargs, input and weights belong to kind custom; remove them or set "
                "kind: custom"
            )
        if self.kind == "agent":
            if self.agent is None:
                raise ValueError("kind agent needs agent: the name of a row of agents")
        elif self.agent is not None or self.checkpoint != "last":
            raise ValueError(
                "agent and checkpoint belong to kind agent; remove them or set kind: agent"
            )
        elif self.layer != "hidden" and self.kind != "conditioned":
            raise ValueError("layer belongs to kind agent; remove it or set kind: agent")
        self._check_own_encoder()
        if "terms" in self.resolved_options:
            self._check_terms()
        unused = set() if self.learns_from else set(Training.model_fields)
        if not self.has_architecture:
            own = self.encoder == PROFILES
            unused |= {"input_scale"} if own else {"encoder", "feature_size", "input_scale"}
        unused |= {"frame_stack"} if not self.has_encoder else set()
        for name, field in type(self).model_fields.items():
            if name in unused and getattr(self, name) != field.default:
                raise ValueError(f"{name} has no effect on kind {self.kind}; remove it")
        return self

    def _check_own_encoder(self) -> None:
        """ValueError for an encoder of another kind, or settings of one."""
        if self.kind == "conditioned":
            return  # checked where it was taken from
        own = self._declared("ENCODER", {})
        if "encoder" in own and self.encoder != own["encoder"]:
            raise ValueError(f"kind {self.kind} has an encoder of its own; remove encoder")
        if self.encoder == PROFILES and "encoder" not in own:
            raise ValueError(
                f"encoder {PROFILES} belongs to kind {PROFILES}; choose another encoder"
            )
        if "charts" not in own and (self.charts is not None or self.readout is not None):
            raise ValueError(
                "charts and readout belong to kind dim-ua; remove them or set kind: dim-ua"
            )

    def _check_terms(self) -> None:
        known = kinds.declared(self.folder, "combined")["TERMS"]
        text = self.resolved_options["terms"]
        entries = [entry.partition(":") for entry in text.split()]
        if not entries:
            raise ValueError("options.terms: it names no term; write such as global-local")
        for name, colon, weight in entries:
            if name not in known:
                raise ValueError(f"options.terms: {unknown('term', name, known)}")
            if colon and not re.fullmatch(r"\d+(\.\d+)?", weight):
                raise ValueError(
                    f"options.terms: {weight!r} is no weight of {name}; write such as {name}:0.5"
                )
        if not self.resolved_options["masked"] < 1:
            raise ValueError("options.masked: it is a share of the pixels; write such as 0.4")
        names = [name for name, *_ in entries]
        if len({*names}) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"options.terms: {twice} stands there twice; remove one")

    def _check_custom(self) -> None:
        file, _, name = (self.module or "").rpartition(":")
        if not file.endswith(".py") or not name.isidentifier():
            raise ValueError(
                f"module: {self.module!r} does not name a class in a file; "
                "write path/to/file.py:Class"
            )
        if self.weights is not None and Path(self.weights).suffix not in WEIGHTS:
            raise ValueError(
                f"weights: {self.weights!r} could run code when it is loaded; "
                f"save the state_dict as {' or '.join(WEIGHTS)}"
            )
        try:
            written = json.loads(json.dumps(self.kwargs, allow_nan=False))
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"kwargs: {error}; use numbers, strings, lists and mappings"
            ) from error
        # A file of weights would give other arguments back, and another encoder be probed.
        if written != self.kwargs:
            raise ValueError("kwargs: keys of mappings must be text; put other keys in quotes")

    def _declared(self, name: str, default: Any) -> Any:
        return kinds.declared(self.folder, self.kind).get(name, default)

    @property
    def has_encoder(self) -> bool:
        """Whether the method computes features from frames."""
        return self._declared("HAS_ENCODER", True)

    @property
    def has_architecture(self) -> bool:
        """Whether the encoder is one of the package's architectures."""
        return self.has_encoder and self.module is None and self.encoder != PROFILES

    @property
    def learns_from(self) -> Purpose | None:
        """The frames that training needs: supervised methods use the probe's, with labels."""
        return self._declared("LEARNS_FROM", "pretrain" if self.has_encoder else None)

    @property
    def reads(self) -> Purpose | None:
        """The frames that making its encoder needs: those it learns from, or measures on."""
        return self._declared("READS", self.learns_from)

    @property
    def terms(self) -> dict[str, float]:
        """The terms of a kind that combines some, and their weights."""
        entries = (entry.partition(":") for entry in self.resolved_options["terms"].split())
        return {name: float(weight or 1) for name, _, weight in entries}

    @property
    def inner_layer(self) -> str | None:
        """The layer of an agent whose values are the representation; None: the last one."""
        return None if self.layer == "hidden" else self.layer

    @property
    def decodes(self) -> int | None:
        """How many frames ahead its decoder predicts; None without a decoder."""
        return self._declared("DECODES", None)

    @property
    def shares_encoder(self) -> bool:
        """Whether a supervised method has one encoder for all variables."""
        return self._declared("SHARED_ENCODER", False)

    @property
    def sees_color(self) -> bool:
        """Whether its frames are red, green and blue."""
        return self.input is not None and self.input.color == "rgb"

    @property
    def channels(self) -> int:
        """The channels of its input: frames, or their red, green and blue."""
        return self.frame_stack * (3 if self.sees_color else 1)

    @property
    def files(self) -> dict[str, Path]:
        """The module and weights of a custom encoder, relative to the run's directory."""
        found = {"module": self.module and self.module.rpartition(":")[0], "weights": self.weights}
        return {name: expanded(file) for name, file in found.items() if file}

    def probe_names(self, probe_kinds: list[str]) -> list[str]:
        """The probes of this method: the one its kind declares, or the configured kinds."""
        own = self._declared("PROBE", None)
        return probe_kinds if own is None else [own]

    def training(self, default: Training) -> Training:
        """``default`` with the settings that this row overrides."""
        own = {name: getattr(self, name, None) for name in Training.model_fields}
        return default.model_copy(update={k: v for k, v in own.items() if v is not None})


def with_encoder_of_kind(row: Any) -> Any:
    """A row as written, with what its kind's file declares as ENCODER where the row says nothing.

    ENCODER: fields of the row that describe the encoder, with their defaults.
    """
    if not isinstance(row, dict):
        return row
    return kinds.declared(Method.folder, str(row.get("kind"))).get("ENCODER", {}) | row


ARCHITECTURES = "encoders/architectures"
PROFILES = "profiles"  # the encoder of that kind, which is no architecture
WEIGHTS = (".safetensors", ".pt")  # formats that are read without running code from the file
