"""Protocols: every known quirk of the 2019 code as a named switch."""

from workflow_src.config.episodes import EpisodeProtocol
from workflow_src.config.methods import MethodProtocol
from workflow_src.config.probes import ProbeProtocol
from workflow_src.config.section import Section
from workflow_src.config.splits import SplitProtocol


class Protocol(Section):
    """Every known quirk of the 2019 code as a named switch, by step."""

    episodes: EpisodeProtocol
    splits: SplitProtocol
    methods: MethodProtocol
    probes: ProbeProtocol


def _quirks() -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for section in Protocol.model_fields:
        for name, quirk in switches_of(section).items():
            found.setdefault(quirk, []).append((section, name))
    return dict(sorted(found.items(), key=lambda row: int(row[0][1:])))


def switches_of(section: str) -> dict[str, str]:
    """{switch: its quirk} of a section of `Protocol`."""
    model = Protocol.model_fields[section].annotation
    assert isinstance(model, type) and issubclass(model, Section)
    found = {}
    for name, field in model.model_fields.items():
        extra = field.json_schema_extra
        assert isinstance(extra, dict), name
        found[name] = str(extra["quirk"])
    return found


def meaning(section: str, switch: str) -> str:
    """What a switch decides, in words."""
    model = Protocol.model_fields[section].annotation
    assert isinstance(model, type) and issubclass(model, Section)
    return model.model_fields[switch].description or ""


# Quirk -> its switches as (section, name)
QUIRKS: dict[str, list[tuple[str, str]]] = _quirks()
