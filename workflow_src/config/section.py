"""What all sections of the configuration share: a closed model, and the types of its values."""

import typing
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import pydantic
from pydantic import BaseModel, ConfigDict, Field

from workflow_src import kinds
from workflow_src.errors import unknown

Purpose = Literal["pretrain", "probe"]
PURPOSES: tuple[Purpose, ...] = typing.get_args(Purpose)

# Names become folders' names: file systems take 255 bytes.
Identifier = Annotated[str, Field(pattern=r"^[a-z0-9]+([_-][a-z0-9]+)*$", max_length=64)]
# Bounds far above what makes sense, so that a slip of the keyboard ends before a run, not after it.
Positive = Annotated[int, Field(ge=1, le=1_000_000)]
Count = Annotated[int, Field(ge=0, le=1_000_000)]
Steps = Annotated[int, Field(ge=1, le=10_000_000_000)]  # of environments
FrameCount = Annotated[int, Field(ge=1, le=100_000_000)]  # collected: 37 GB packed
Size = Annotated[int, Field(ge=1, le=65_536)]  # of a layer or a batch
Threads = Annotated[int, Field(ge=1, le=1024)]
# Weights of an agent: the last, those of the best evaluation, or those after so many steps.
Checkpoint = Literal["last", "best"] | Steps
Fraction = Annotated[float, Field(gt=0, lt=1)]
LearningRate = Annotated[float, Field(gt=0, le=1)]


class Section(BaseModel):
    """A part of the configuration: closed, strict, immutable."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


def quirk(name: str, description: str) -> Any:
    """A switch that reproduces or corrects the quirk ``name`` of the 2019 code, such as Q5."""
    return Field(description=description, json_schema_extra={"quirk": name})


class Row(Section):
    """A row of a section whose kinds are found by their file, with the options of its kind."""

    folder: ClassVar[str]  # of the kinds' files

    kind: str = Field(description="the name of a file in the kinds' folder")
    options: dict[str, Any] = Field(
        default_factory=dict, description="settings that the kind's file declares as OPTIONS"
    )

    @pydantic.field_validator("kind")
    @classmethod
    def _kind_is_known(cls, kind: str) -> str:
        return known_kind("kind", kind, cls.folder)

    @pydantic.model_validator(mode="after")
    def _options_are_declared(self) -> typing.Self:
        check_options(self.folder, self.kind, self.options)
        return self

    @property
    def resolved_options(self) -> dict[str, Any]:
        """The options of the kind: the declared defaults, overridden by this row's."""
        return resolved_options(self.folder, self.kind, self.options)


def known_kind(thing: str, kind: str, folder: str) -> str:
    """``kind`` if ``folder`` has its file; ValueError naming the known ones."""
    if kind not in kinds.names(folder):
        raise ValueError(unknown(thing, kind, kinds.names(folder)))
    return kind


def resolved_options(folder: str, kind: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that a kind's file declares, overridden by ``options``."""
    return kinds.declared(folder, kind).get("OPTIONS", {}) | options


def check_options(
    folder: str, kind: str, options: Mapping[str, Any], where: str = "options"
) -> None:
    """ValueError for an option that the kind does not declare, or of another type than declared.

    Numbers are above 0 and at most a million. ``where``: the key of ``options``, for errors.
    """
    defaults = kinds.declared(folder, kind).get("OPTIONS", {})
    types = {
        int: "a whole number from 1 to 1000000",
        float: "a number with a decimal point above 0 and at most 1000000",
        bool: "true or false",
        str: "a text",
    }
    for name, value in options.items():
        if name not in defaults:
            raise ValueError(f"{where}: {unknown('option', name, defaults)}")
        default = defaults[name]
        whole_for_float = isinstance(default, float) and type(value) is int
        number = float(value) if whole_for_float else value
        bounded = type(default) in (int, float)
        if type(number) is not type(default) or (bounded and not 0 < number <= 1_000_000):
            raise ValueError(
                f"{where}.{name}: {value!r} is not {types[type(default)]}, such as {default}"
            )
