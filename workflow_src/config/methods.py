"""How encoders are trained: ``training``, the rows of ``methods``, and the switches of a protocol."""

import ast
import functools
import json
import typing
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
from pydantic import Field

from workflow_src.config.probes import Probe
from workflow_src.config.section import LearningRate, Positive, Purpose, Section
from workflow_src.errors import unknown


class MethodProtocol(Section):
    """The quirks that concern training encoders."""

    wrap_pairs: bool = Field(description="Q5: the frame before an episode's first is its last")
    keep: Literal["last", "best"] = Field(description="Q6: whose epoch's weights are kept")
    sampling: Literal["replacement", "permutation"] = Field(
        description="Q7: episodes drawn alike with replacement, or every frame once an epoch"
    )


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
_METHODS = Path(__file__).parent.parent / "methods"
_SHARED = {"__init__"}
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
